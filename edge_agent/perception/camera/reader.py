"""One opening of a live source: a thread that drains it at its own rate and keeps only the newest picture.

Knows captures, and how to tell a new picture from an old one served again. Knows nothing of asyncio or of retries:
when the source fails the thread ends and says why.
"""

import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.perception.camera.opencv import VideoCapture, as_bgr

_OLDEST_STAMP_S = 60.0
"""A driver's stamp further back than this is on another clock than ours."""

_RECENT_PICTURES = 32
"""A driver that hangs may hand over its buffers again and again; V4L2 has so many at most (VIDEO_MAX_FRAME)."""

_MARKED_ROWS = 8
"""Each such row makes up a picture's mark: a sensor's noise is in all of them."""

_BAD_IN_A_ROW = 10
"""So many reads without a usable picture end the reader; a single one happens on healthy links."""


@dataclass(frozen=True, slots=True, eq=False)
class LivePicture:
    """A picture of a live source; `taken_s` on the monotonic clock."""

    image: NDArray[np.uint8] = field(repr=False)
    taken_s: float
    serial: int


class LiveReader:
    """A daemon thread that opens a source and reads it until `stop`, or until it fails.

    A read may block for seconds and cannot be interrupted: `stop` never waits for it, and a thread that is stuck ends
    when its read does. `newest` is replaced as a whole, so it may be read from any thread at any time.

    Args:
        opener: opens the source; called in the thread.
        clock: the monotonic clock, seconds.
        serials: numbers for new pictures, shared by all readers of one camera.
        announce: called in the thread after each new picture and at the end.
        stamped: the driver stamps pictures on the monotonic clock (V4L2), which tells more than their arrival.
    """

    def __init__(
        self,
        opener: Callable[[], VideoCapture],
        clock: Callable[[], float],
        serials: Iterator[int],
        announce: Callable[[], None],
        *,
        stamped: bool = False,
    ) -> None:
        self.newest: LivePicture | None = None
        self.started_s = clock()
        self.ended = False
        self.reason = ""
        self.repeats = 0
        self._opener = opener
        self._clock = clock
        self._serials = serials
        self._recent: deque[int] = deque(maxlen=_RECENT_PICTURES)
        self._announce = announce
        self._stamped = stamped
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="camera", daemon=True)
        self._thread.start()

    @property
    def stuck(self) -> bool:
        """True while the thread still runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the thread to end after the read that it is in; returns at once."""
        self._stop.set()

    def _work(self) -> None:
        try:
            self._drain()
        except (cv2.error, OSError, RuntimeError) as error:
            self.reason = f"reading it failed ({type(error).__name__})"
        finally:
            self.ended = True
            self._announce()

    def _drain(self) -> None:
        capture = self._opener()
        try:
            if not capture.isOpened():
                self.reason = "it cannot be opened"
                return
            bad = 0
            while not self._stop.is_set() and bad < _BAD_IN_A_ROW:
                good, image = capture.read()
                if not good:
                    self.reason = "it gives no more pictures"
                    return
                bad = 0 if self._take(capture, as_bgr(image)) else bad + 1
            self.reason = "it gives no usable pictures" if bad else ""
        finally:
            capture.release()

    def _take(self, capture: VideoCapture, image: NDArray[np.uint8] | None) -> bool:
        """Keep a picture; False when it is none. One that was there before is counted, and keeps its age."""
        arrived_s = self._clock()
        if image is None:
            return False
        stamp_s = self._stamp(capture, arrived_s)
        if self._was_there(image, stamp_s):
            self.repeats += 1
            return True
        taken_s = arrived_s if stamp_s is None else stamp_s
        self.newest = LivePicture(image, taken_s, next(self._serials))
        self._announce()
        return True

    def _was_there(self, image: NDArray[np.uint8], stamp_s: float | None) -> bool:
        """Tell whether a picture is the last one again, or one of the last buffers: then nobody has looked since."""
        last = self.newest
        if last is not None and ((stamp_s is not None and stamp_s <= last.taken_s) or same_picture(last.image, image)):
            return True
        mark = zlib.crc32(image[::_MARKED_ROWS].tobytes())
        if mark in self._recent:
            return True
        self._recent.append(mark)
        return False

    def _stamp(self, capture: VideoCapture, arrived_s: float) -> float | None:
        """Return the driver's stamp where it can be one on our clock."""
        if not self._stamped:
            return None
        stamp_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return stamp_s if 0 < stamp_s <= arrived_s <= stamp_s + _OLDEST_STAMP_S else None


def same_picture(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Tell whether two pictures are alike in every pixel; a coarse look settles nearly all cases.

    A sensor's noise makes two real pictures differ even where nothing moves.
    """
    if one.shape != other.shape or not np.array_equal(one[::16, ::16], other[::16, ::16]):
        return False
    return np.array_equal(one, other)
