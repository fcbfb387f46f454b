"""Devices and network streams: a thread drains the source at its own rate, `grab` returns the newest picture.

A read may hang for good, so a reader that stalls is abandoned with its thread and replaced by another.
"""

import asyncio
import itertools
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import FatalError, RetryableError
from edge_agent.perception.camera.lag import ArrivalLag
from edge_agent.perception.camera.opencv import VideoCapture, as_bgr
from edge_agent.ports import Shot
from edge_agent.runtime.backoff import Backoff


@dataclass(frozen=True, slots=True, eq=False)
class LivePicture:
    """A picture of a live source, (height, width, 3) uint8 BGR; `taken_s` on the monotonic clock; `lag_s`: see Shot."""

    image: NDArray[np.uint8] = field(repr=False)
    taken_s: float
    serial: int
    lag_s: float | None = 0.0


class LiveReader:
    """A daemon thread that opens a source and reads it until `stop`, or until it fails.

    A read may block for seconds and cannot be interrupted: `stop` does not wait for it, and the thread ends when the
    read returns. `newest` is replaced as a whole and may be read from any thread. After the end, `reason` says why.

    Args:
        opener: opens the source; called in the thread.
        clock: the monotonic clock, seconds.
        serials: numbers for new pictures, shared by all readers of one camera.
        notify: called in the thread after each new picture and at the end.
        stamped: the driver timestamps pictures on the monotonic clock (V4L2), which is more exact than their arrival.
        has_time_stamps: whether an open stream has time stamps of its own; None for what is no stream.
    """

    def __init__(
        self,
        opener: Callable[[], VideoCapture],
        clock: Callable[[], float],
        serials: Iterator[int],
        notify: Callable[[], None],
        *,
        stamped: bool = False,
        has_time_stamps: Callable[[VideoCapture], bool] | None = None,
    ) -> None:
        self.newest: LivePicture | None = None
        self.started_s = clock()
        self.ended = False
        self.reason = ""
        self.repeats = 0
        self._opener = opener
        self._clock = clock
        self._serials = serials
        # A driver that hangs may deliver its buffers again and again; V4L2 has at most this many (VIDEO_MAX_FRAME).
        self._recent: deque[int] = deque(maxlen=32)
        self._notify = notify
        self._stamped = stamped
        self._has_time_stamps = has_time_stamps
        self._lag: ArrivalLag | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    @property
    def stuck(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the thread to end after its current read; does not wait."""
        self._stop.set()

    def _run(self) -> None:
        try:
            self._drain()
        except (cv2.error, OSError, RuntimeError) as error:
            self.reason = f"reading it failed ({type(error).__name__})"
        finally:
            self.ended = True
            self._notify()

    def _drain(self) -> None:
        capture = self._opener()
        try:
            if not capture.isOpened():
                self.reason = "it cannot be opened"
                return
            if self._has_time_stamps is not None and self._has_time_stamps(capture):
                self._lag = ArrivalLag()
            bad = 0
            # This many unusable pictures in a row end the reader; single ones occur on healthy links.
            while not self._stop.is_set() and bad < 10:
                if not capture.grab():
                    self.reason = "it delivers no more pictures"
                    return
                good, image = capture.retrieve()
                bad = 0 if self._accept(capture, as_bgr(image) if good else None) else bad + 1
            self.reason = "it delivers no usable pictures" if bad else ""
        finally:
            capture.release()

    def _accept(self, capture: VideoCapture, image: NDArray[np.uint8] | None) -> bool:
        """Publish a new picture; return False when it is unusable. A repeated one is only counted."""
        arrived_s = self._clock()
        if image is None:
            return False
        stamp_s = self._stamp(capture, arrived_s)
        lag_s = self._lag_of(capture, arrived_s)
        if self._is_repeat(image, stamp_s):
            self.repeats += 1
            return True
        taken_s = arrived_s - (lag_s or 0.0) if stamp_s is None else stamp_s
        self.newest = LivePicture(image, taken_s, next(self._serials), lag_s)
        self._notify()
        return True

    def _is_repeat(self, image: NDArray[np.uint8], stamp_s: float | None) -> bool:
        """Return whether a picture was delivered before: the last one, or one of the driver's recent buffers."""
        last = self.newest
        if last is not None and ((stamp_s is not None and stamp_s <= last.taken_s) or same_picture(last.image, image)):
            return True
        # Every n-th row goes into a picture's checksum: the sensor's noise is in all of them.
        checksum = zlib.crc32(image[::8].tobytes())
        if checksum in self._recent:
            return True
        self._recent.append(checksum)
        return False

    def _lag_of(self, capture: VideoCapture, arrived_s: float) -> float | None:
        """Return how late a stream's picture is, None where that cannot be known; 0 for what is no stream."""
        if self._lag is None:
            return 0.0 if self._has_time_stamps is None else None
        return self._lag.update(arrived_s, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)

    def _stamp(self, capture: VideoCapture, arrived_s: float) -> float | None:
        """Return the driver's timestamp if it is plausible on our clock."""
        if not self._stamped:
            return None
        stamp_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # A driver's timestamp further back than this is on another clock than ours.
        return stamp_s if 0 < stamp_s <= arrived_s <= stamp_s + 60.0 else None


def same_picture(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Return whether two pictures are equal in every pixel.

    A sensor's noise makes two real pictures differ even where nothing moves.
    """
    # Comparing few pixels first settles nearly all cases.
    if one.shape != other.shape or not np.array_equal(one[::16, ::16], other[::16, ::16]):
        return False
    return np.array_equal(one, other)


@dataclass(frozen=True, slots=True)
class LiveTimeouts:
    """How long a live camera waits, in seconds.

    For the source to open, for a new picture, between attempts (doubling from the initial to the maximum), and on
    closing for the reader to release the device.
    """

    open_s: float = 10.0
    stall_s: float = 2.0
    retry_initial_s: float = 0.5
    retry_max_s: float = 10.0
    close_s: float = 0.5


class LiveCamera:
    """Implements ports.Camera on readers of a device or stream, one at a time.

    A reader that ends or stalls is replaced, with backoff, by the calls of `grab`. `reopened` counts the replacements
    that delivered a picture, `repeats` the pictures that were delivered twice.

    Args:
        source: the source without a password, for messages.
        opener: opens the source; called in the reader's thread.
        fps: calls of `grab` per second; each waits for at most 0.9 periods.
        remedy: returns what the user can do at that moment about a source that does not work.
        stamped, has_time_stamps: see LiveReader.
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
        timeouts: LiveTimeouts = LiveTimeouts(),
        stamped: bool = False,
        has_time_stamps: Callable[[VideoCapture], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.reopened = 0
        self._opener = opener
        self._wait_s = 0.9 / fps
        self._remedy = remedy
        self._timeouts = timeouts
        self._stamped = stamped
        self._has_time_stamps = has_time_stamps
        self._clock = clock
        self._serials = itertools.count(1)
        self._served = 0
        self._repeats = 0
        self._reader: LiveReader | None = None
        self._abandoned: list[LiveReader] = []
        self._changed = asyncio.Event()
        self._reason = ""
        self._lost = False
        # No jitter: nobody else waits for this camera.
        self._backoff = Backoff(timeouts.retry_max_s, timeouts.retry_initial_s, spread=lambda: 1.0)
        self._retry_at_s = 0.0

    @property
    def repeats(self) -> int:
        """How many pictures were delivered a second time; they are discarded."""
        return self._repeats + (self._reader.repeats if self._reader else 0)

    async def __aenter__(self) -> Self:
        """Open the source and wait for its first picture; raises RetryableError when there is none in time."""
        loop = asyncio.get_running_loop()
        if abs(loop.time() - time.monotonic()) > 1:
            raise FatalError(f"{self.source}: a live source cannot be used on a simulated clock")
        self._start()
        try:
            await self._wait_for(self._has_news, self._timeouts.open_s)
        except asyncio.CancelledError:
            self._abandon("closed")
            raise
        reader = self._reader
        if reader is None or reader.newest is None:
            reason = (reader.reason if reader else "") or "no picture arrived in time"
            self._abandon(reason)
            raise self._error()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the source; a read that hangs is abandoned."""
        reader = self._reader
        if reader is None:
            return
        self._abandon("closed")
        await self._wait_for(lambda: reader.ended, self._timeouts.close_s)

    async def grab(self) -> Shot | None:
        """Return the newest picture, waiting up to 0.9 frame periods for a new one; never None.

        Raises RetryableError while the source is unavailable.
        """
        self._supervise()
        if self._reader is not None:
            await self._wait_for(self._has_news, self._wait_s)
            self._supervise()
        reader = self._reader
        picture = reader.newest if reader else None
        if picture is None:
            raise self._error()
        self.reopened += self._lost
        self._lost = False
        self._backoff.reset()
        self._served = picture.serial
        return Shot(picture.image, taken_s=picture.taken_s, serial=picture.serial, lag_s=picture.lag_s)

    def _has_news(self) -> bool:
        """Return whether the reader has a picture that was not returned yet, or has ended."""
        reader = self._reader
        return reader is not None and (
            reader.ended or (reader.newest is not None and reader.newest.serial != self._served)
        )

    def _supervise(self) -> None:
        """Abandon a reader that has failed, and start the next one when it is due."""
        now_s = self._clock()
        reader = self._reader
        if reader is None:
            if now_s >= self._retry_at_s:
                self._start()
            return
        lag_s = (reader.newest and reader.newest.lag_s) or 0.0
        since_s = now_s - (reader.newest.taken_s + lag_s if reader.newest else reader.started_s)
        if reader.ended:
            self._abandon(reader.reason)
        elif lag_s > self._timeouts.stall_s:
            # A slow link never catches up; a new connection begins with a new picture.
            self._abandon(f"its pictures are {lag_s:.1f} s late")
        elif since_s > (self._timeouts.stall_s if reader.newest else self._timeouts.open_s):
            self._abandon(f"no new picture for {since_s:.1f} s")

    def _start(self) -> None:
        """Start a reader, unless too many threads hang already."""
        self._abandoned = [reader for reader in self._abandoned if reader.stuck]
        # Threads that may hang in a read at the same time; no more are started until one of them ends.
        if len(self._abandoned) >= 3:
            self._retry_at_s = self._clock() + self._timeouts.retry_max_s
            return
        loop = asyncio.get_running_loop()
        self._reader = LiveReader(
            self._opener,
            self._clock,
            self._serials,
            lambda: self._notify(loop),
            stamped=self._stamped,
            has_time_stamps=self._has_time_stamps,
        )

    def _abandon(self, reason: str) -> None:
        if self._reader is not None:
            self._reader.stop()
            self._repeats += self._reader.repeats
            self._abandoned.append(self._reader)
            self._reader = None
        self._reason = reason
        self._lost = True
        self._retry_at_s = self._clock() + self._backoff.next_s()

    def _error(self) -> RetryableError:
        return RetryableError(f"camera {self.source}: {self._reason}", remedy=self._remedy(), source=self.source)

    def _notify(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the loop; called in the reader's thread, possibly after the loop was closed."""
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._changed.set)
            except RuntimeError:
                return

    async def _wait_for(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Wait until `ready`, which changes only when a reader notifies, or until `limit_s` have passed."""
        try:
            async with asyncio.timeout(limit_s):
                while not ready():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return
