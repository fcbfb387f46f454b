"""Detectors behind the Detector port, and the one function that picks one by the settings.

Knows which backends exist; TensorRT's rooms are loaded where an engine is opened. Knows nothing of cameras, threads or
what the signs mean to the train.
"""

import os
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Detection
from edge_agent.perception.detector.manifest import CPU_PRECISION, SHIPPED_MODEL, shipped_model
from edge_agent.perception.detector.onnx import OnnxDetector
from edge_agent.perception.detector.tensorrt.spec import ENGINE_SUFFIXES, EngineSpec, PostprocessOptions
from edge_agent.ports import Detector, DetectorInfo
from edge_agent.runtime import resources
from edge_agent.signs import LABELS


class NoDetector:
    """Implements ports.Detector; every picture is empty to it."""

    info = DetectorInfo("none", model="", sha256="", input_width=0, input_height=0, labels=LABELS)

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Return no detections, whatever the picture."""
        del image
        return ()

    def close(self) -> None:
        """Hold nothing, release nothing."""


class DetectorOptions(Protocol):
    """What the factory reads of the settings' section `detector`."""

    @property
    def backend(self) -> str:
        """`auto`, `onnxruntime`, `tensorrt` or `none`."""

    @property
    def model(self) -> Path | None:
        """The ONNX file, or a TensorRT engine; None for the detector that ships."""

    @property
    def precision(self) -> str:
        """The numbers of an engine: `auto`, `fp16`, `int8` or `fp32`."""

    @property
    def threshold(self) -> float | None:
        """The least score of a detection, 0..1; None for the manifest's, or 0.5."""

    @property
    def iou(self) -> float:
        """Boxes that overlap by more than this are one sign; 0..1."""

    @property
    def threads(self) -> int:
        """Threads of the network; 0 for two, or one where there is one core."""

    @property
    def max_detections(self) -> int:
        """The most detections in one picture."""


def open_fastest(settings: DetectorOptions, engines: Path | None = None) -> Detector:
    """Open the fastest detector that is ready: a TensorRT engine that was built before, else ONNX Runtime.

    Call this, `infer` and `close` in the same thread. `engines` is where engines are kept. Raises ConfigError when the
    model is missing, broken, changed or of an unknown form, FatalError where TensorRT is asked for and does not work.
    """
    if settings.backend == "none":
        return NoDetector()
    if settings.backend == "onnxruntime":
        return _on_cpu(settings)
    try:
        return _on_gpu(settings, engines)
    except FatalError:
        if settings.backend == "tensorrt":
            raise
        return _on_cpu(settings)


def open_detector(settings: DetectorOptions) -> Detector:
    """Open what a train starts with: ONNX Runtime, unless the model is an engine without its ONNX file beside it.

    It has been run once when it is open, so that the first frame is about as quick as the next. Raises as
    `open_fastest` does.
    """
    if settings.backend == "none":
        return NoDetector()
    if not starts_on_cpu(settings):
        try:
            return _on_gpu(settings, None)
        except FatalError as error:
            name = settings.model.name if settings.model else SHIPPED_MODEL
            raise ConfigError(
                error.message, remedy=f"put the ONNX file beside {name}, to drive on the CPU meanwhile"
            ) from error
    return _on_cpu(settings)


def starts_on_cpu(settings: DetectorOptions) -> bool:
    """Tell whether `open_detector` needs no GPU: its detector may then be used in another thread than the opening."""
    if settings.backend in {"none", "onnxruntime"}:
        return True
    return engine_spec(settings, engines=Path()).onnx() is not None


def engine_spec(settings: DetectorOptions, engines: Path) -> EngineSpec:
    """Say which engine the settings mean; `engines` keeps those that we build."""
    model = settings.model or resources.engines_dir() / SHIPPED_MODEL
    return EngineSpec(model, settings.precision, engines, needs_manifest=settings.model is None)


def postprocess_options(settings: DetectorOptions) -> PostprocessOptions:
    """Say how an engine's detections are to be taken."""
    return PostprocessOptions(settings.threshold, settings.iou, settings.max_detections)


def _on_gpu(settings: DetectorOptions, engines: Path | None) -> Detector:
    from edge_agent.perception.detector.tensorrt.cache import cache_dir  # noqa: PLC0415 - a train starts sooner without
    from edge_agent.perception.detector.tensorrt.selection import open_engine  # noqa: PLC0415

    return open_engine(engine_spec(settings, engines or cache_dir(os.environ)), postprocess_options(settings))


def _on_cpu(settings: DetectorOptions) -> OnnxDetector:
    model = settings.model or shipped_model(resources.engines_dir(), CPU_PRECISION)
    if model.suffix in ENGINE_SUFFIXES:
        model = model.with_suffix(".onnx")
    return OnnxDetector(
        model,
        threshold=settings.threshold,
        iou=settings.iou,
        threads=settings.threads or min(2, os.cpu_count() or 1),
        max_detections=settings.max_detections,
        needs_manifest=settings.model is None,
    )


__all__ = [
    "SHIPPED_MODEL",
    "DetectorOptions",
    "NoDetector",
    "OnnxDetector",
    "engine_spec",
    "open_detector",
    "open_fastest",
    "postprocess_options",
    "shipped_model",
    "starts_on_cpu",
]
