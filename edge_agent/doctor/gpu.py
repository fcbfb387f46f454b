"""Check of the graphics processor and of what makes the detector use it.

Knows where Linux shows NVIDIA's devices, on a PC and on a Jetson. Imports TensorRT and pycuda only where all of it is
there. Knows nothing of models.
"""

import os
from pathlib import Path

from edge_agent.config import Settings
from edge_agent.doctor.check import CheckResult, in_thread, ok, warn

_TRACES = ("proc/driver/nvidia/version", "dev/nvidia0", "dev/nvhost-gpu", "dev/nvgpu", "etc/nv_tegra_release")


async def check_gpu(settings: Settings, root: Path = Path("/")) -> CheckResult:
    """Look for a GPU, TensorRT and pycuda, and load them; what is missing costs speed, never the run."""
    from edge_agent.detector.tensorrt.bindings import GpuUnavailableError, installed  # noqa: PLC0415 - as below

    backend, found = settings.detector.backend, installed()
    present = any((root / trace).exists() for trace in _TRACES)
    if not present and not all(found.values()):
        message = "no NVIDIA GPU: the detector runs on the CPU"
        if backend == "tensorrt":
            return warn(message, "set detector.backend to auto")
        return ok(message)
    if backend in {"onnxruntime", "none"}:
        return ok(f"not used: detector.backend is {backend}")
    try:
        return ok(await in_thread(lambda: _load(settings)))
    except GpuUnavailableError as error:
        return warn(f"{error.message}: the detector runs on the CPU", error.remedy)


def _load(settings: Settings) -> str:
    """Say what there is, and whether the engine is built; raises GpuUnavailableError with what is missing."""
    from edge_agent.detector import wanted_engine  # noqa: PLC0415 - ONNX Runtime is slow to load
    from edge_agent.detector.tensorrt.bindings import identify, load_bindings  # noqa: PLC0415
    from edge_agent.detector.tensorrt.cache import cache_dir  # noqa: PLC0415
    from edge_agent.detector.tensorrt.opening import find_engine  # noqa: PLC0415

    bindings = load_bindings()
    machine, cuda = identify(bindings), bindings.driver.get_driver_version()
    engine, _ = find_engine(wanted_engine(settings.detector, cache_dir(os.environ, settings.state.directory)), bindings)
    jetson = f", Jetson Linux {machine.l4t}" if machine.l4t else ""
    built = f"engine {engine.name}" if engine else "no engine yet: it is built while the train drives"
    return f"{machine.gpu}, TensorRT {machine.tensorrt}, CUDA {cuda // 1000}.{cuda % 1000 // 10}{jetson}; {built}"
