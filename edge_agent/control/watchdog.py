"""A watchdog thread that brakes the train when the event loop stalls.

`StallDetector` is the timing core, pure: the time is an argument. The brake that the thread calls must not need the
event loop; `hub.emergency.ThreadBrake` has a D-Bus connection of its own.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from edge_agent.errors import EdgeAgentError

CHECKS_PER_LIMIT = 5
"""Checks within one limit: a stall is noticed at most a fifth of the limit late."""


class StallDetector:
    """Decides when the event loop has stalled.

    Args:
        limit_s: age of the last beat beyond which the loop has stalled; positive.
    """

    def __init__(self, limit_s: float) -> None:
        if not limit_s > 0:
            raise ValueError(f"limit_s {limit_s} is not positive")
        self._limit_s = limit_s
        self._last_beat_s: float | None = None
        self._braked_s: float | None = None

    def beat(self, now_s: float) -> None:
        """Record a beat of the loop."""
        self._last_beat_s = now_s

    def pause(self) -> None:
        """Forget the last beat: no stall is reported before the next one."""
        self._last_beat_s = None

    def check(self, now_s: float) -> tuple[bool, bool]:
        """Return (whether to brake now, whether this is a new stall)."""
        last_beat_s, braked_s = self._last_beat_s, self._braked_s
        if last_beat_s is None or now_s - last_beat_s <= self._limit_s:
            self._braked_s = None
            return False, False
        # A stall that goes on brakes again after each further limit: one write may have been lost.
        if braked_s is not None and now_s - braked_s < self._limit_s:
            return False, False
        self._braked_s = now_s
        return True, braked_s is None


class Watchdog:
    """The watchdog's thread. Enter it to start, exit to stop; the first `beat` starts the count.

    Args:
        limit_s: age of the last beat beyond which `brake` is called; called again while the stall goes on.
        brake: called in the thread; may block for a while, may raise EdgeAgentError or OSError (counted in `failures`).
        on_trip: called in the thread after the first brake of each stall; must be short and must not raise.
        clock: monotonic seconds.

    `trips` counts stalls; the pipeline compares it with the last value, and the guard latches. Reading needs no lock.
    """

    def __init__(
        self,
        limit_s: float = 0.2,
        *,
        brake: Callable[[], None],
        on_trip: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trips = 0
        self.failures = 0
        self._detector = StallDetector(limit_s)
        self._period_s = limit_s / CHECKS_PER_LIMIT
        self._brake, self._on_trip, self._clock = brake, on_trip, clock
        self._stop = threading.Event()
        # A daemon, so that it never delays the exit of the process.
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread; waits at most one second for a brake in progress."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def beat(self) -> None:
        """Record a beat; takes a few hundred nanoseconds."""
        self._detector.beat(self._clock())

    def pause(self) -> None:
        """Stop counting until the next `beat`: during shutdown, or before work that is known to block."""
        self._detector.pause()

    def check(self) -> None:
        """Brake if the loop has stalled. Called by the thread; public for tests."""
        brake, new = self._detector.check(self._clock())
        if not brake:
            return
        try:
            self._brake()
        except (EdgeAgentError, OSError):
            self.failures += 1
        if new:
            self.trips += 1
            self._on_trip()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.check()
