"""A picture, a sign and a detector for tests of the way from camera to prediction."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box, Detection
from edge_agent.ports import DetectorInfo

GREY = np.full((80, 120, 3), 128, np.uint8)
DANGER = Detection("danger", 0.9, Box(10, 20, 30, 40))


class FakeDetector:
    """A detector that answers from a function of the call's number."""

    info = DetectorInfo("fake", "fake.onnx", "0" * 64, 60, 40, ("danger",))

    def __init__(self, answer: Callable[[int], tuple[Detection, ...]]) -> None:
        self._answer = answer
        self.calls = 0
        self.shapes: list[tuple[int, ...]] = []
        self.closed = False

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        self.calls += 1
        self.shapes.append(image.shape)
        return self._answer(self.calls)

    def close(self) -> None:
        self.closed = True
