"""A detector for the chaos suite: the real ONNX backend on a tiny network, made to hang, to raise and to answer NaN."""

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
    """Make a sighting that is near enough for every rule."""
    return Detection(label, 0.9, Box(x_px, 100, x_px + height_px, 100 + height_px))


class Eyes:
    """Implements ports.Detector. `script` is what is seen: one entry a picture, the last one for good."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        model = save_fragile(
            folder / "eyes.onnx", outputs_for(OutputLayout.CHANNELS_LAST, [], len(LABELS)), names=str(list(LABELS))
        )
        self._inner = OnnxDetector(model, threshold=0.5, iou=0.5, threads=1, max_detections=10, needs_manifest=False)
        self.info = self._inner.info
        self.mode = Mode.FINE
        self.script: list[tuple[Detection, ...]] = [()]
        self.released = threading.Event()

    def mend(self) -> None:
        """Work again; what hangs goes on."""
        self.mode = Mode.FINE
        released, self.released = self.released, threading.Event()
        released.set()

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        match self.mode:
            case Mode.HANGING:
                self.released.wait(HANG_S)
            case Mode.RAISING:
                raise RuntimeError("a bug in the detector")
        # The network answers NaN to whatever is brighter than mid grey.
        self._inner.infer(np.full_like(image, 255 if self.mode is Mode.NAN else 40))
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def close(self) -> None:
        self._inner.close()
