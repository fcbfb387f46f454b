"""A camera for the chaos suite: what OpenCV would hand over, at 30 pictures a second, and every way in which it breaks.

Stands below the agent's own reader, so that the code which must notice is the code under test.
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


class Film:
    """The device. Set `mode` at any time: it holds for whatever is read from then on."""

    def __init__(self) -> None:
        self.mode = Mode.FINE
        self.released = threading.Event()
        self._count = 0
        self._ring: list[NDArray[np.uint8]] = []
        self._noise = np.random.default_rng(7)

    def mend(self) -> None:
        """Work again; a read that blocks fails."""
        self.mode = Mode.FINE
        released, self.released = self.released, threading.Event()
        released.set()

    def open(self) -> "Reel":
        """Open the device, as cv2.VideoCapture does."""
        return Reel(self)

    def picture(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Deliver what the mode says."""
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
        """Make a dark picture with a sensor's noise in it."""
        image = np.full((height, width, 3), 40, np.uint8)
        image[::16, ::16] = self._noise.integers(20, 60, image[::16, ::16].shape, np.uint8)
        return image


class Reel:
    """One opening of the device: the part of cv2.VideoCapture that the agent uses."""

    def __init__(self, film: Film) -> None:
        self._film = film
        self._due_s = time.monotonic()

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._film.mode is not Mode.UNPLUGGED

    def read(self) -> tuple[bool, Any]:
        self._due_s = max(self._due_s + PERIOD_S, time.monotonic())
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        return self._film.picture()

    def grab(self) -> bool:
        return self.read()[0]

    def get(self, _property: int, /) -> float:
        return 0.0

    def release(self) -> None:
        pass
