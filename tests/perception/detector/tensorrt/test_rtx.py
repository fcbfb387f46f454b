"""NVIDIA's own parser and builder take the models that ship, through our own building code, on a machine without a GPU.

TensorRT-RTX has TensorRT's builder API and builds ahead of time. It knows no SM 87 (Orin); 86 is the same generation.
"""

import importlib
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from edge_agent.perception.detector.tensorrt.builder import BuildError, BuildStoppedError, Progress, build
from edge_agent.perception.detector.tensorrt.selection import open_source
from edge_agent.runtime import resources
from tests.perception.detector.engines import tiny

HAS_WHEEL = sys.platform == "linux" and platform.machine() == "x86_64"
trt: Any = importlib.import_module("tensorrt_rtx_bindings") if HAS_WHEEL else None

pytestmark = [
    pytest.mark.skipif(not HAS_WHEEL, reason="no TensorRT-RTX wheel for this machine"),
    # TensorRT-RTX keeps timing caches in its API only, and says so; TensorRT has them.
    pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning"),
]


def ahead_of_time(onnx: bytes, profile: tuple[int, int, int, int], progress: Progress | None = None) -> bytes:
    def prepare(config: Any) -> None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)

    return build(trt, onnx, profile, progress=progress or (lambda phase, share: True), prepare=prepare).engine


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_shipped_model_parses_and_builds(precision: str) -> None:
    source = open_source(resources.engines_dir() / "signs.onnx", precision, needs_manifest=True)
    assert source.precision == precision
    engine = ahead_of_time(source.content, source.profile)
    assert len(engine) > 500_000, "weights and kernels are inside"


def test_model_of_any_size_builds_for_one(tmp_path: Path) -> None:
    model = tiny(tmp_path, size=("height", "width"), batch="batch")
    assert len(ahead_of_time(model.read_bytes(), (1, 3, 64, 96))) > 1000


def test_file_that_is_no_model_is_refused_with_the_parsers_message() -> None:
    with pytest.raises(BuildError, match="cannot read the model"):
        ahead_of_time(b"nonsense", (1, 3, 64, 96))


def test_operator_that_tensorrt_does_not_know_is_named() -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 96]) for name in ("images", "out")]
    graph = helper.make_graph([helper.make_node("Bernoulli", ["images"], ["out"])], "odd", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(BuildError, match="at the operator Bernoulli"):
        ahead_of_time(model.SerializeToString(), (1, 3, 64, 96))


def test_progress_is_reported_and_ends_the_build(tmp_path: Path) -> None:
    model = tiny(tmp_path).read_bytes()
    seen: list[float] = []
    ahead_of_time(model, (1, 3, 64, 96), lambda phase, share: bool(seen.append(share) or True))
    assert seen
    assert all(0.0 <= share <= 1.0 for share in seen)
    with pytest.raises(BuildStoppedError):
        ahead_of_time(model, (1, 3, 64, 96), lambda phase, share: False)
