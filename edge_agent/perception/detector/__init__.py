"""Detectors: a BGR picture in, labelled boxes out; and the factory that picks a backend by the settings.

Opening, inference and closing block, and run in one thread that the caller chooses.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_agent.config.control import DetectorSettings
from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Detection
from edge_agent.perception.detector.manifest import (
    CPU_PRECISION,
    SHIPPED_MODEL as SHIPPED_MODEL,
    manifest_path,
    read_manifest,
    shipped_model as shipped_model,
)
from edge_agent.perception.detector.onnx import OnnxDetector as OnnxDetector
from edge_agent.perception.detector.postprocess import DEFAULT_THRESHOLD, read_model
from edge_agent.perception.detector.tensorrt.spec import ENGINE_SUFFIXES, EngineSpec, PostprocessOptions
from edge_agent.ports import Detector, DetectorInfo
from edge_agent.runtime import resources
from edge_agent.signs import LABELS

if TYPE_CHECKING:
    from edge_agent.perception.detector.tensorrt.engine_file import EngineInfo


class NoDetector:
    """Implements ports.Detector for `detector.backend: none`: detects nothing.

    Shows what a train does that cannot see, and measures everything but the network.
    """

    info = DetectorInfo("none", model="", sha256="", input_width=0, input_height=0, labels=LABELS)

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Return no detections."""
        del image
        return ()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


WITHOUT_MODEL: dict[str, Callable[[], Detector]] = {
    "none": NoDetector,
}
"""The backends that read no model file, by the names that `detector.backend` gives them."""


def open_fastest(settings: DetectorSettings, engines: Path | None = None) -> Detector:
    """Open the fastest detector available: a TensorRT engine built earlier, else ONNX Runtime.

    Call this, `infer` and `close` in the same thread. `engines` is the folder of built engines. Raises ConfigError when
    the model is missing, damaged, changed or of an unknown form, FatalError where TensorRT is required and does not
    work.
    """
    if settings.backend in WITHOUT_MODEL:
        return WITHOUT_MODEL[settings.backend]()
    if settings.backend == "onnxruntime":
        return _on_cpu(settings)
    try:
        return _on_gpu(settings, engines)
    except FatalError:
        if settings.backend == "tensorrt":
            raise
        return _on_cpu(settings)


def open_detector(settings: DetectorSettings) -> Detector:
    """Open the detector that a train starts with: ONNX Runtime, or the engine where no ONNX file lies beside it.

    The network has run once by then, so the first frame takes no longer than the next. Raises as `open_fastest`.
    """
    if settings.backend in WITHOUT_MODEL:
        return WITHOUT_MODEL[settings.backend]()
    if not starts_on_cpu(settings):
        try:
            return _on_gpu(settings, None)
        except FatalError as error:
            name = settings.model.name if settings.model else SHIPPED_MODEL
            raise ConfigError(
                error.message, remedy=f"put the ONNX file beside {name}, so that the train can drive on the CPU"
            ) from error
    return _on_cpu(settings)


def starts_on_cpu(settings: DetectorSettings) -> bool:
    """Return whether `open_detector` needs no GPU; only then may another thread use the detector it opens."""
    if settings.backend in WITHOUT_MODEL or settings.backend == "onnxruntime":
        return True
    return engine_spec(settings, engines=Path()).onnx() is not None


def model_labels(settings: DetectorSettings) -> tuple[str, ...]:
    """Return the labels of the model that will run, without a GPU; raises ConfigError when it is not usable."""
    if settings.model is not None and not starts_on_cpu(settings):
        return _engine_info(settings.model).labels
    detector = open_detector(settings)
    detector.close()
    return detector.info.labels


def model_threshold(settings: DetectorSettings) -> float:
    """Return the minimum score with which that model would run, without a GPU; raises as `model_labels`."""
    if settings.threshold is not None:
        return settings.threshold
    if settings.model is not None and not starts_on_cpu(settings):
        return _engine_info(settings.model).threshold or DEFAULT_THRESHOLD
    detector = _on_cpu(settings)
    detector.close()
    return detector.threshold


def _engine_info(model: Path) -> "EngineInfo":
    from edge_agent.perception.detector.tensorrt.engine_file import read_engine_info  # noqa: PLC0415 - engines only

    return read_engine_info(model)


def suggested_threshold(settings: DetectorSettings) -> float | None:
    """Return the threshold in the manifest of a model of the user's own; None for the shipped one, or without one."""
    if settings.model is None:
        return None
    model = settings.model.with_suffix(".onnx")
    if not (model.is_file() and manifest_path(model).is_file()):
        return None
    manifest = read_manifest(model, hashlib.sha256(read_model(model)).hexdigest())
    return None if manifest is None else manifest.threshold


def engine_spec(settings: DetectorSettings, engines: Path) -> EngineSpec:
    """Return which engine the settings name; `engines` is the folder of engines built here."""
    model = settings.model or resources.engines_dir() / SHIPPED_MODEL
    return EngineSpec(model, settings.precision, engines, needs_manifest=settings.model is None)


def postprocess_options(settings: DetectorSettings) -> PostprocessOptions:
    """Return how to decode an engine's outputs."""
    return PostprocessOptions(settings.threshold, settings.iou, settings.max_detections)


def _on_gpu(settings: DetectorSettings, engines: Path | None) -> Detector:
    from edge_agent.perception.detector.tensorrt import cache, selection, trial  # noqa: PLC0415 - it starts sooner without

    spec = engine_spec(settings, engines or cache.cache_dir(os.environ))
    trial.try_gpu(spec)
    return selection.open_engine(spec, postprocess_options(settings))


def cpu_model(settings: DetectorSettings, engines: Path) -> Path:
    """Return the model that drives on the CPU; `engines` is the folder of the shipped ones."""
    model = settings.model or shipped_model(engines, CPU_PRECISION)
    return model.with_suffix(".onnx") if model.suffix in ENGINE_SUFFIXES else model


def _on_cpu(settings: DetectorSettings) -> OnnxDetector:
    model = cpu_model(settings, resources.engines_dir())
    return OnnxDetector(
        model,
        threshold=settings.threshold,
        iou=settings.iou,
        threads=settings.threads or min(2, os.cpu_count() or 1),
        max_detections=settings.max_detections,
        needs_manifest=settings.model is None,
    )
