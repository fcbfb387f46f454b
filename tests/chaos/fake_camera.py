"""A fake video device for the chaos suite: 30 frames a second through OpenCV's interface, and every way to fail.

It replaces cv2.VideoCapture only, so that the product's own camera code has to detect the failure.
"""

import threading
import time
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERIOD_S = 1 / 30
HANG_S = 60.0
_OLD = 8


class Mode(Enum):
    """How the camera behaves."""

    FINE = auto()
    BLOCKED = auto()
    FROZEN = auto()
    OLD_BUFFER = auto()
    UNPLUGGED = auto()
    WRONG_SIZE = auto()


class FakeCamera:
    """The device. `mode` may be set at any time and applies to every later read."""

    def __init__(self) -> None:
        self.mode = Mode.FINE
        self.released = threading.Event()
        self._count = 0
        self._ring: list[NDArray[np.uint8]] = []
        self._noise = np.random.default_rng(7)

    def repair(self) -> None:
        """Work again; a blocked read fails."""
        self.mode = Mode.FINE
        released, self.released = self.released, threading.Event()
        released.set()

    def open(self) -> "FakeCapture":
        """Open the device, as cv2.VideoCapture does."""
        return FakeCapture(self)

    def picture(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Return a frame, as the mode says."""
        match self.mode:
            case Mode.BLOCKED:
                self.released.wait(HANG_S)
                return False, None
            case Mode.UNPLUGGED:
                return False, None
            case Mode.FROZEN if self._ring:
                return True, self._ring[-1].copy()
            case Mode.OLD_BUFFER if self._ring:
                self._ring.append(self._ring.pop(0))
                return True, self._ring[-1].copy()
            case Mode.WRONG_SIZE:
                return True, self._fresh(320, 240)
        fresh = self._fresh(640, 480)
        self._ring = [*self._ring, fresh][-_OLD:]
        return True, fresh

    def _fresh(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return a dark frame with sensor noise."""
        image = np.full((height, width, 3), 40, np.uint8)
        image[::16, ::16] = self._noise.integers(20, 60, image[::16, ::16].shape, np.uint8)
        return image


class FakeCapture:
    """One opening of the device: the part of cv2.VideoCapture that the agent uses."""

    def __init__(self, device: FakeCamera) -> None:
        self._device = device
        self._due_s = time.monotonic()
        self._picture: NDArray[np.uint8] | None = None

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._device.mode is not Mode.UNPLUGGED

    def grab(self) -> bool:
        self._due_s = max(self._due_s + PERIOD_S, time.monotonic())
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        good, self._picture = self._device.picture()
        return good

    def retrieve(self) -> tuple[bool, Any]:
        return True, self._picture

    def get(self, _property: int, /) -> float:
        return 0.0

    def release(self) -> None:
        pass
