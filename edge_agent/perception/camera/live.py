"""A device or a network stream behind the Camera port: the newest picture, whatever the source does.

Knows when to give up on a reader and start another. Knows nothing of OpenCV: an opener gives it captures.
"""

import asyncio
import itertools
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import FatalError, RetryableError
from edge_agent.perception.camera.opencv import VideoCapture, as_bgr
from edge_agent.ports import Shot
from edge_agent.runtime.backoff import Backoff

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


_MOST_STUCK = 3
"""Threads that may hang in a read at the same time; no more are started before one of them ends."""


@dataclass(frozen=True, slots=True)
class LiveTimeouts:
    """How long a live camera waits, in seconds.

    To open, for a new picture, between attempts (doubling from the first to the longest), and at the end for the
    reader to let go, so that the device is free again where that is quick.
    """

    open_s: float = 10.0
    stall_s: float = 2.0
    retry_initial_s: float = 0.5
    retry_max_s: float = 10.0
    goodbye_s: float = 0.5


class LiveCamera:
    """Implements ports.Camera on readers of a device or stream, one at a time.

    A reader that ends or stalls is replaced after a pause that doubles up to a limit, driven by the calls of `grab`.
    `reopened` counts the replacements that brought a picture, `repeats` the pictures that came twice.

    Args:
        source: what the user asked for, without a password.
        opener: opens the source; called in the reader's thread.
        fps: pictures a second that will be asked for; `grab` waits at most most of one period.
        remedy: says what the user can do about a source that does not work, as things are at that moment.
        patience: the waits.
        stamped: see Reader.
        clock: the loop's clock.
    """

    live = True

    def __init__(
        self,
        source: str,
        opener: Callable[[], VideoCapture],
        *,
        fps: float,
        remedy: Callable[[], str],
        patience: LiveTimeouts = LiveTimeouts(),
        stamped: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.reopened = 0
        self._opener = opener
        self._wait_s = 0.9 / fps
        self._remedy = remedy
        self._patience = patience
        self._stamped = stamped
        self._clock = clock
        self._serials = itertools.count(1)
        self._served = 0
        self._repeats = 0
        self._reader: LiveReader | None = None
        self._given_up: list[LiveReader] = []
        self._news = asyncio.Event()
        self._reason = ""
        self._lost = False
        # Not spread: nobody else waits for this camera.
        self._backoff = Backoff(patience.retry_max_s, patience.retry_initial_s, spread=lambda: 1.0)
        self._retry_at_s = 0.0

    @property
    def repeats(self) -> int:
        """How many pictures came a second time; they count as no picture at all."""
        return self._repeats + (self._reader.repeats if self._reader else 0)

    async def __aenter__(self) -> Self:
        """Open the source and wait for its first picture; raises RetryableError when none comes."""
        loop = asyncio.get_running_loop()
        if abs(loop.time() - time.monotonic()) > 1:
            raise FatalError(f"{self.source}: a live source cannot be used on a simulated clock")
        self._start()
        try:
            await self._until(self._arrived, self._patience.open_s)
        except asyncio.CancelledError:
            self._give_up("closed")
            raise
        reader = self._reader
        if reader is None or reader.newest is None:
            reason = (reader.reason if reader else "") or "no picture came in time"
            self._give_up(reason)
            raise self._trouble()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the source; a read that hangs is left to itself."""
        reader = self._reader
        if reader is None:
            return
        self._give_up("closed")
        await self._until(lambda: reader.ended, self._patience.goodbye_s)

    async def grab(self) -> Shot | None:
        """Return the newest picture, waiting most of a frame period for one that is new; never None.

        Raises RetryableError while the source is away.
        """
        self._look_after()
        if self._reader is not None:
            await self._until(self._arrived, self._wait_s)
            self._look_after()
        reader = self._reader
        picture = reader.newest if reader else None
        if picture is None:
            raise self._trouble()
        self.reopened += self._lost
        self._lost = False
        self._backoff.reset()
        self._served = picture.serial
        return Shot(picture.image, taken_s=picture.taken_s, serial=picture.serial)

    def _arrived(self) -> bool:
        """Tell whether there is news: a picture that was not served yet, or the reader's end."""
        reader = self._reader
        return reader is not None and (
            reader.ended or (reader.newest is not None and reader.newest.serial != self._served)
        )

    def _look_after(self) -> None:
        """Give up a reader that failed, and start the next one when its time has come."""
        now_s = self._clock()
        reader = self._reader
        if reader is None:
            if now_s >= self._retry_at_s:
                self._start()
            return
        since_s = now_s - (reader.newest.taken_s if reader.newest else reader.started_s)
        if reader.ended:
            self._give_up(reader.reason)
        elif since_s > (self._patience.stall_s if reader.newest else self._patience.open_s):
            self._give_up(f"no new picture for {since_s:.1f} s")

    def _start(self) -> None:
        """Start a reader, unless too many hang already."""
        self._given_up = [reader for reader in self._given_up if reader.stuck]
        if len(self._given_up) >= _MOST_STUCK:
            self._retry_at_s = self._clock() + self._patience.retry_max_s
            return
        loop = asyncio.get_running_loop()
        self._reader = LiveReader(
            self._opener, self._clock, self._serials, lambda: self._announce(loop), stamped=self._stamped
        )

    def _give_up(self, reason: str) -> None:
        if self._reader is not None:
            self._reader.stop()
            self._repeats += self._reader.repeats
            self._given_up.append(self._reader)
            self._reader = None
        self._reason = reason
        self._lost = True
        self._retry_at_s = self._clock() + self._backoff.next_s()

    def _trouble(self) -> RetryableError:
        return RetryableError(f"camera {self.source}: {self._reason}", remedy=self._remedy(), source=self.source)

    def _announce(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the loop; called in the reader's thread, perhaps long after the loop has gone."""
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._news.set)
            except RuntimeError:
                return

    async def _until(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Wait until `ready`, which only a reader's word can change, or until `limit_s` have passed."""
        try:
            async with asyncio.timeout(limit_s):
                while not ready():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return
