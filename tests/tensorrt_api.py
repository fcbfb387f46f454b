"""Compares what our code calls of TensorRT and pycuda with what the published bindings really have, name by name.

`make tensorrt-api` runs it. The bindings' wheels (1 MB each) are downloaded into a temporary folder; they load without
TensorRT's libraries, because a C compiler makes empty ones of the few functions that are missing. Nothing is kept.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

CODE = Path(__file__).parents[1] / "edge_agent" / "perception" / "detector" / "tensorrt"
WHEELS = (
    ("tensorrt-cu12-bindings", "10.3.0"),
    ("tensorrt-cu12-bindings", "10.13.0.35"),
    ("tensorrt-cu12-bindings", "11.4.0.106"),
    ("tensorrt-cu13-bindings", "11.4.0.106"),
)
PYCUDA = ("2024.1", "2026.1")

CALLED = {
    "": "Builder DataType ILogger IProgressMonitor MemoryPoolType NetworkDefinitionCreationFlag OnnxParser Runtime "
    "TensorIOMode __version__",
    "Builder": "build_serialized_network create_builder_config create_network create_optimization_profile",
    "IBuilderConfig": "add_optimization_profile create_timing_cache get_timing_cache progress_monitor "
    "set_memory_pool_limit set_timing_cache",
    "ICudaEngine": "create_execution_context get_tensor_dtype get_tensor_mode get_tensor_name num_io_tensors",
    "IExecutionContext": "execute_async_v3 get_tensor_shape set_input_shape set_tensor_address",
    "ILogger": "Severity log",
    "ILogger.Severity": "ERROR INTERNAL_ERROR",
    "INetworkDefinition": "get_input",
    "IOptimizationProfile": "set_shape",
    "IProgressMonitor": "phase_finish phase_start step_complete",
    "ITensor": "name shape",
    "ITimingCache": "serialize",
    "MemoryPoolType": "WORKSPACE",
    "NetworkDefinitionCreationFlag": "STRONGLY_TYPED",
    "OnnxParser": "get_error num_errors parse",
    "ParserError": "desc node_operator",
    "Runtime": "deserialize_cuda_engine",
    "TensorIOMode": "INPUT",
    "DataType": "BOOL FLOAT HALF INT32 INT64 INT8 UINT8",
}
"""What is called, by the class that has it; the empty name is the module itself."""

CALLED_PYCUDA = (
    "Context Device Error MemoryError Stream compute_capability count detach free get_driver_version get_version "
    "handle init mem_alloc memcpy_dtoh_async memcpy_htod_async name pagelocked_empty pop push retain_primary_context "
    "synchronize"
)

OURS_TOO = frozenset({"clear", "close", "engine", "flags", "get", "layout", "path", "precision", "reset", "width"})
"""Names that our own objects share with some class of TensorRT's."""

_STUBBED = re.compile(rb"\b(?:createInfer|createNv|getBuilderPlugin|getPluginRegistry|initLibNv|getNvOnnx)\w*")
_LOOK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import tensorrt_bindings as trt
classes = {name: dir(value) for name, value in vars(trt).items() if isinstance(value, type)}
classes["ILogger.Severity"] = dir(trt.ILogger.Severity)
print(json.dumps({"": dir(trt), **classes}))
"""


def main() -> int:
    """Look at each version; return 1 where a name is missing or not declared here."""
    used = set(_attributes())
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for package, version in WHEELS:
            has = _names_of(package, version, Path(folder) / f"{package}-{version}")
            missing += [f"{package} {version}: {name}" for name in _absent(has)]
            missing += [f"{name} is called, but not listed in tests/tensorrt_api.py" for name in _undeclared(used, has)]
            print(f"{package} {version}: {sum(len(names.split()) for names in CALLED.values())} names looked up")
        for version in PYCUDA:
            text = _pycuda_source(version, Path(folder))
            lost = [name for name in CALLED_PYCUDA.split() if not re.search(rf"\b{name}\b", text)]
            missing += [f"pycuda {version}: {name}" for name in lost]
            print(f"pycuda {version}: {len(CALLED_PYCUDA.split())} names looked up")
    for line in sorted(set(missing)):
        print(f"missing: {line}")
    return 1 if missing else 0


def _attributes() -> Iterator[str]:
    """Name every attribute that our code takes of anything."""
    for path in CODE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                yield node.attr


def _absent(has: dict[str, list[str]]) -> Iterator[str]:
    for owner, names in CALLED.items():
        for name in names.split():
            if name not in has.get(owner, ()):
                yield f"{owner}.{name}".lstrip(".")


def _undeclared(used: set[str], has: dict[str, list[str]]) -> Iterator[str]:
    """Name what our code takes, TensorRT has, and the table above does not list: words of several parts only.

    Short words (`name`, `shape`) are everywhere; a name like `set_tensor_address` is TensorRT's.
    """
    declared = {name for names in CALLED.values() for name in names.split()} | OURS_TOO
    theirs = {name for names in has.values() for name in names if "_" in name.strip("_")}
    yield from sorted((used & theirs) - declared)


def _names_of(package: str, version: str, folder: Path) -> dict[str, list[str]]:
    folder.mkdir()
    _pip("download", "--only-binary=:all:", f"{package}=={version}", "-d", str(folder))
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("tensorrt_bindings/"):
                archive.extract(name, folder)
    library = folder / "tensorrt_bindings" / "tensorrt.so"
    stub = folder / "stub.c"
    functions = sorted(set(_STUBBED.findall(library.read_bytes())))
    stub.write_text("".join(f"void *{name.decode()}(void) {{ return 0; }}\n" for name in functions), encoding="ascii")
    major = version.partition(".")[0]
    for name in ("nvinfer", "nvonnxparser", "nvinfer_plugin"):
        out = folder / f"lib{name}.so.{major}"
        subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", str(out), str(stub)], check=True)
    environ = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    looked = subprocess.run(
        [sys.executable, "-c", _LOOK, str(folder)], env=environ, check=True, capture_output=True, text=True
    )
    found: dict[str, list[str]] = json.loads(looked.stdout)
    return found


def _pycuda_source(version: str, folder: Path) -> str:
    """Return pycuda's own sources that name what its driver module has."""
    _pip("download", "--no-binary=:all:", "--no-build-isolation", f"pycuda=={version}", "-d", str(folder))
    with tarfile.open(folder / f"pycuda-{version}.tar.gz") as archive:
        wanted = (f"pycuda-{version}/src/wrapper/wrap_cudadrv.cpp", f"pycuda-{version}/pycuda/driver.py")
        files = [archive.extractfile(name) for name in wanted]
        return "\n".join(file.read().decode() for file in files if file is not None)


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", words[0], "--quiet", "--disable-pip-version-check", "--no-deps", *words[1:]]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words[1:])} cannot be downloaded: {done.stderr.strip()[-300:]}")


if __name__ == "__main__":
    sys.exit(main())
