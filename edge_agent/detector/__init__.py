"""Detectors behind the Detector port, and the one function that picks one by the settings.

Knows which backends exist. Knows nothing of cameras, threads or what the signs mean to the train.
"""

import os
from pathlib import Path
from typing import Protocol

from edge_agent import resources
from edge_agent.detector.none import NoDetector
from edge_agent.detector.onnx import OnnxDetector
from edge_agent.errors import ConfigError
from edge_agent.ports import Detector

SHIPPED_MODEL = "signs.onnx"
"""The detector that travels with the agent, in engines/."""


class DetectorSettings(Protocol):
    """What the factory reads of the settings' section `detector`."""

    @property
    def backend(self) -> str:
        """`auto`, `onnxruntime`, `tensorrt` or `none`."""

    @property
    def model(self) -> Path | None:
        """The ONNX file; None for the detector that ships."""

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


def open_detector(settings: DetectorSettings) -> Detector:
    """Open the detector that `settings` name; call this, `infer` and `close` in the same thread.

    Raises ConfigError when the model is missing, broken, changed or of an unknown form, or the backend is not there.
    """
    if settings.backend == "none":
        return NoDetector()
    if settings.backend not in {"auto", "onnxruntime"}:
        raise ConfigError(
            f"the detector backend '{settings.backend}' is not built in yet", remedy="set detector.backend to auto"
        )
    shipped = settings.model is None
    return OnnxDetector(
        settings.model or resources.engines_dir() / SHIPPED_MODEL,
        threshold=settings.threshold,
        iou=settings.iou,
        threads=settings.threads or min(2, os.cpu_count() or 1),
        max_detections=settings.max_detections,
        needs_manifest=shipped,
    )


__all__ = ["SHIPPED_MODEL", "DetectorSettings", "NoDetector", "OnnxDetector", "open_detector"]
