"""Finds the engine that belongs to a model on this machine, and opens it.

Knows engines of our own, which are kept under their key, and ready-made ones, which the settings name. Builds nothing.
"""

from collections.abc import Callable
from pathlib import Path

from edge_agent.detector.tensorrt.bindings import Bindings, identify, load_bindings
from edge_agent.detector.tensorrt.cache import Cache
from edge_agent.detector.tensorrt.detector import TensorRtDetector
from edge_agent.detector.tensorrt.source import open_source
from edge_agent.detector.tensorrt.wanted import Reading, Wanted
from edge_agent.errors import ConfigError, FatalError

MOST_REFUSALS = 3
"""An engine that was built so often and was no good each time is not built at every start for ever."""


class NoEngineError(FatalError):
    """No engine was built yet for this model on this machine."""


def find_engine(wanted: Wanted, bindings: Bindings) -> tuple[Path | None, Path | None]:
    """Return the engine's file (None where it is not built yet) and the ONNX file that it must agree with, if any.

    Raises ConfigError when the model is none, FatalError when its engine was refused too often.
    """
    if wanted.ready_made:
        if not wanted.model.is_file():
            raise ConfigError(f"{wanted.model}: no such engine", remedy="correct detector.model")
        return wanted.model, wanted.onnx()
    source = open_source(wanted.model, wanted.precision, needs_manifest=wanted.needs_manifest)
    key, cache = source.key(identify(bindings)), Cache(wanted.folder)
    found, refused = cache.find(key, source.about.model), cache.refused(key, source.about.model)
    if found is None and refused >= MOST_REFUSALS:
        raise FatalError(
            f"the engine of {source.about.model} was set aside {refused} times and is not built again",
            remedy=f"choose another detector.precision, or clear {wanted.folder}",
        )
    return found, source.path


def open_engine(wanted: Wanted, reading: Reading, load: Callable[[], Bindings] = load_bindings) -> TensorRtDetector:
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


__all__ = ["MOST_REFUSALS", "NoEngineError", "Wanted", "find_engine", "open_engine"]
