"""A detector for the chaos suite: the real ONNX backend on a tiny network that can hang, raise and return NaN."""

import threading
from enum import Enum, auto
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box, Detection
from edge_agent.perception.detector import OnnxDetector
from edge_agent.perception.vision import OutputLayout
from edge_agent.signs import LABELS
from tests.perception.detector.models import outputs_for, save_fragile

HANG_S = 60.0


class Mode(Enum):
    """How the detector behaves."""

    FINE = auto()
    HANGING = auto()
    RAISING = auto()
    NAN = auto()


def sign(label: str, height_px: float = 80.0, x_px: float = 100.0) -> Detection:
    """Return a detection that is near enough for every rule."""
    return Detection(label, 0.9, Box(x_px, 100, x_px + height_px, 100 + height_px))


class FakeDetector:
    """Implements ports.Detector. `script` holds the detections of each frame; the last entry is repeated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        model = save_fragile(
            folder / "fake.onnx", outputs_for(OutputLayout.CHANNELS_LAST, [], len(LABELS)), names=str(list(LABELS))
        )
        self._inner = OnnxDetector(model, threshold=0.5, iou=0.5, threads=1, max_detections=10, needs_manifest=False)
        self.info = self._inner.info
        self.mode = Mode.FINE
        self.script: list[tuple[Detection, ...]] = [()]
        self.released = threading.Event()

    def repair(self) -> None:
        """Work again; a hanging call continues."""
        self.mode = Mode.FINE
        released, self.released = self.released, threading.Event()
        released.set()

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        match self.mode:
            case Mode.HANGING:
                self.released.wait(HANG_S)
            case Mode.RAISING:
                raise RuntimeError("a bug in the detector")
        # The network returns NaN for images brighter than mid grey.
        self._inner.infer(np.full_like(image, 255 if self.mode is Mode.NAN else 40))
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def close(self) -> None:
        self._inner.close()
