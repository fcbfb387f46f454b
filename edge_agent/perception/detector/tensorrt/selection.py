"""Finds the engine that belongs to a model on this machine, and opens it.

Knows engines of our own, which are kept under their key, and ready-made ones, which the settings name. Builds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import ConfigError, FatalError
from edge_agent.perception.detector.manifest import SHIPPED_MODEL, shipped_model
from edge_agent.perception.detector.onnx import OnnxDetector
from edge_agent.perception.detector.postprocess import read_model
from edge_agent.perception.detector.tensorrt.bindings import Bindings, GpuPlatform, gpu_platform, load_bindings
from edge_agent.perception.detector.tensorrt.cache import EngineCache
from edge_agent.perception.detector.tensorrt.detector import TensorRtDetector
from edge_agent.perception.detector.tensorrt.engine_file import EngineInfo, EngineKey
from edge_agent.perception.detector.tensorrt.spec import EngineSpec, PostprocessOptions

PRECISIONS = ("auto", "fp16", "int8", "fp32")
_AUTO = ("fp16", "fp32")
"""What `auto` takes, the first whose file is there: fp16 costs no accuracy, int8 some."""


@dataclass(frozen=True, slots=True)
class OnnxSource:
    """The ONNX file of one precision, and what its engine is to say of itself (without key and times)."""

    path: Path
    precision: str
    content: bytes
    about: EngineInfo
    sha256: str

    def key(self, machine: GpuPlatform) -> EngineKey:
        """Return the key of this model's engine on that machine."""
        return EngineKey(self.sha256, machine, self.precision, self.profile)

    @property
    def profile(self) -> tuple[int, int, int, int]:
        """The shape of the input: one picture, three colours, height, width."""
        return 1, 3, self.about.height, self.about.width


def precision_file(model: Path, precision: str) -> tuple[Path, str]:
    """Return the file of the float32 `model` in a precision, and which; raises ConfigError where there is none."""
    wanted = _AUTO if precision == "auto" else (precision,)
    for name in wanted:
        if name == "fp32":
            return model, name
        path = model.with_name(f"{model.stem}-{name}.onnx")
        if model.name == SHIPPED_MODEL:
            path = shipped_model(model.parent, name)  # one that was made from an older model does not count
        if path != model and path.exists():
            return path, name
    raise ConfigError(
        f"there is no {model.stem}-{precision}.onnx that was made from {model.name}",
        remedy="make it with `python -m edge_agent.mlops.quantise`, or leave out --precision",
    )


def open_source(model: Path, precision: str, *, needs_manifest: bool = False) -> OnnxSource:
    """Read the file and have ONNX Runtime look at it; raises ConfigError when it is no model for us."""
    path, name = precision_file(model, precision)
    detector = OnnxDetector(path, needs_manifest=needs_manifest)
    info = detector.info
    layout = detector.head.spec.layout
    detector.close()
    about = EngineInfo(info.labels, info.input_width, info.input_height, detector.threshold, layout, path.name)
    return OnnxSource(path, name, read_model(path), about, info.sha256)


MOST_REFUSALS = 3
"""An engine that was built so often and was no good each time is not built at every start for ever."""


class NoEngineError(FatalError):
    """No engine was built yet for this model on this machine."""


def find_engine(wanted: EngineSpec, bindings: Bindings) -> tuple[Path | None, Path | None]:
    """Return the engine's file (None where it is not built yet) and the ONNX file that it must agree with, if any.

    Raises ConfigError when the model is none, FatalError when its engine was refused too often.
    """
    if wanted.ready_made:
        if not wanted.model.is_file():
            raise ConfigError(f"{wanted.model}: no such engine", remedy="correct detector.model")
        return wanted.model, wanted.onnx()
    source = open_source(wanted.model, wanted.precision, needs_manifest=wanted.needs_manifest)
    key, cache = source.key(gpu_platform(bindings)), EngineCache(wanted.folder)
    found, refused = cache.find(key, source.about.model), cache.refused(key, source.about.model)
    if found is None and refused >= MOST_REFUSALS:
        raise FatalError(
            f"the engine of {source.about.model} was set aside {refused} times and is not built again",
            remedy=f"choose another detector.precision, or clear {wanted.folder}",
        )
    return found, source.path


def open_engine(
    wanted: EngineSpec, reading: PostprocessOptions, load: Callable[[], Bindings] = load_bindings
) -> TensorRtDetector:
    """Open the engine that is there already; in the thread that will run it.

    Raises GpuUnavailableError without TensorRT, pycuda or GPU, NoEngineError where none was built, and what
    TensorRtDetector raises.
    """
    bindings = load()
    engine, _ = find_engine(wanted, bindings)
    if engine is None:
        raise NoEngineError(
            f"no TensorRT engine of {wanted.model.name} was built on this machine",
            remedy="run `edge-agent engine build`",
        )
    return TensorRtDetector(engine, bindings, reading)


__all__ = ["MOST_REFUSALS", "EngineSpec", "NoEngineError", "find_engine", "open_engine"]
