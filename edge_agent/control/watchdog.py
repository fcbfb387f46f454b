"""A watchdog thread that brakes the train when the event loop stalls.

`StallDetector` is the timing core: the time is an argument. The brake that the thread calls must not need the
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
    """Decides when the event loop has stalled. Callable from any thread.

    Args:
        limit_s: age of the last beat beyond which the loop has stalled; positive.

    `stalls` counts them, each once, whoever notices it first: the thread, the next beat or a reader of `count`. After
    a pause of the whole process (SIGSTOP, a suspended machine) the loop may run before the thread does.
    """

    def __init__(self, limit_s: float) -> None:
        if not limit_s > 0:
            raise ValueError(f"limit_s {limit_s} is not positive")
        self.stalls = 0
        self._limit_s = limit_s
        self._last_beat_s: float | None = None
        self._braked_s: float | None = None
        self._counted = False
        self._lock = threading.Lock()

    def beat(self, now_s: float) -> bool:
        """Record a beat of the loop; return whether it comes too late."""
        with self._lock:
            late = self._note_stall(now_s)
            self._last_beat_s, self._braked_s, self._counted = now_s, None, False
            return late

    def count(self, now_s: float) -> int:
        """Return the number of stalls, with one that is going on."""
        with self._lock:
            self._note_stall(now_s)
            return self.stalls

    def check(self, now_s: float) -> bool:
        """Return whether to brake now."""
        with self._lock:
            if not self._note_stall(now_s):
                return False
            # A stall that goes on brakes again after each further limit: one write may have been lost.
            if self._braked_s is not None and now_s - self._braked_s < self._limit_s:
                return False
            self._braked_s = now_s
            return True

    def _note_stall(self, now_s: float) -> bool:
        stalled = self._last_beat_s is not None and now_s - self._last_beat_s > self._limit_s
        if stalled and not self._counted:
            self.stalls += 1
            self._counted = True
        return stalled


def _now_s() -> float:
    # Unlike the monotonic clock it goes on while the machine is suspended, which is a stall too.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Watchdog:
    """The watchdog's thread. Enter it to start, exit to stop; the first `beat` starts the count.

    Args:
        limit_s: age of the last beat beyond which `brake` is called; called again while the stall goes on.
        brake: called in the thread; may block for a while, may raise EdgeAgentError or OSError (counted in `failures`).
        clock: seconds; never set back.
    """

    def __init__(self, limit_s: float = 0.2, *, brake: Callable[[], None], clock: Callable[[], float] = _now_s) -> None:
        self.failures = 0
        self._detector = StallDetector(limit_s)
        self._period_s = limit_s / CHECKS_PER_LIMIT
        self._brake, self._clock = brake, clock
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

    def beat(self) -> bool:
        """Record a beat, which takes less than a microsecond; return whether the loop had stalled until now."""
        return self._detector.beat(self._clock())

    def stalls(self) -> int:
        """Return the number of stalls until now; the pipeline compares it with the last one, and the guard latches."""
        return self._detector.count(self._clock())

    def check(self) -> None:
        """Brake if the loop has stalled. Called by the thread; public for tests."""
        if not self._detector.check(self._clock()):
            return
        try:
            self._brake()
        except (EdgeAgentError, OSError):
            self.failures += 1

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.check()
