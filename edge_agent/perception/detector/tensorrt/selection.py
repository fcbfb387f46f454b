"""Find and open the engine for a model on this machine: a ready-made one, or the cached one that was built here."""

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


@dataclass(frozen=True, slots=True)
class OnnxSource:
    """The ONNX file of one precision, and its engine's description, still without key and times."""

    path: Path
    precision: str
    content: bytes
    engine_info: EngineInfo
    sha256: str

    def key(self, platform: GpuPlatform) -> EngineKey:
        """Return the key of this model's engine on a platform."""
        return EngineKey(self.sha256, platform, self.precision, self.profile)

    @property
    def profile(self) -> tuple[int, int, int, int]:
        """The shape of the input: one picture, three channels, height, width."""
        return 1, 3, self.engine_info.height, self.engine_info.width


def precision_file(model: Path, precision: str) -> tuple[Path, str]:
    """Return the file of the float32 `model` in a precision, and that precision; raises ConfigError without one."""
    # What `auto` tries in turn: fp16 costs no accuracy, int8 some.
    candidates = ("fp16", "fp32") if precision == "auto" else (precision,)
    for name in candidates:
        if name == "fp32":
            return model, name
        path = model.with_name(f"{model.stem}-{name}.onnx")
        if model.name == SHIPPED_MODEL:
            path = shipped_model(model.parent, name)  # not one made from an older model
        if path != model and path.exists():
            return path, name
    raise ConfigError(
        f"there is no {model.stem}-{precision}.onnx that was made from {model.name}",
        remedy="make it with `python -m edge_agent.mlops.quantise`, or leave out --precision",
    )


def open_source(model: Path, precision: str, *, needs_manifest: bool = False) -> OnnxSource:
    """Open the file in ONNX Runtime to learn its layout; raises ConfigError when it is not a usable model."""
    path, name = precision_file(model, precision)
    detector = OnnxDetector(path, needs_manifest=needs_manifest)
    info = detector.info
    layout = detector.decoder.spec.layout
    detector.close()
    engine_info = EngineInfo(info.labels, info.input_width, info.input_height, detector.threshold, layout, path.name)
    return OnnxSource(path, name, read_model(path), engine_info, info.sha256)


MAX_REFUSALS = 3
"""An engine that was rejected this many times is not built again at every start."""


class NoEngineError(FatalError):
    """No engine has been built yet for this model on this machine."""


def find_engine(spec: EngineSpec, bindings: Bindings) -> tuple[Path | None, Path | None]:
    """Return the engine's file (None when it is not built yet) and the ONNX file that it must agree with, if any.

    Raises ConfigError when the model is not usable, FatalError when its engine was rejected too often.
    """
    if spec.ready_made:
        if not spec.model.is_file():
            raise ConfigError(f"{spec.model}: no such engine", remedy="correct detector.model")
        return spec.model, spec.onnx()
    source = open_source(spec.model, spec.precision, needs_manifest=spec.needs_manifest)
    key, cache = source.key(gpu_platform(bindings)), EngineCache(spec.folder)
    found, refused = cache.find(key, source.engine_info.model), cache.refused(key, source.engine_info.model)
    if found is None and refused >= MAX_REFUSALS:
        raise FatalError(
            f"the engine of {source.engine_info.model} was rejected {refused} times and will not be built again",
            remedy=f"choose another detector.precision, or clear {spec.folder}",
        )
    return found, source.path


def open_engine(
    spec: EngineSpec, options: PostprocessOptions, load: Callable[[], Bindings] = load_bindings
) -> TensorRtDetector:
    """Open the engine if it exists already; call this in the thread that will run it.

    Raises GpuUnavailableError without TensorRT, pycuda or GPU, NoEngineError when none was built, and whatever
    TensorRtDetector raises.
    """
    bindings = load()
    engine, _ = find_engine(spec, bindings)
    if engine is None:
        raise NoEngineError(
            f"no TensorRT engine of {spec.model.name} has been built on this machine",
            remedy="run `edge-agent engine build`",
        )
    return TensorRtDetector(engine, bindings, options)


__all__ = ["MAX_REFUSALS", "EngineSpec", "NoEngineError", "find_engine", "open_engine"]
