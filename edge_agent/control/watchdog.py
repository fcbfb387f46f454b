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

LOOKS_PER_LIMIT = 5
"""How often the thread looks within one limit: a stall is noticed at most a fifth of the limit late."""


class StallDetector:
    """Decides when a loop has stalled.

    Args:
        limit_s: the loop has stalled when its last beat is older than this.
    """

    def __init__(self, limit_s: float) -> None:
        if not limit_s > 0:
            raise ValueError(f"limit_s {limit_s} is not positive")
        self._limit_s = limit_s
        self._beaten_s: float | None = None
        self._acted_s: float | None = None

    def beat(self, now_s: float) -> None:
        """Note that the loop lives."""
        self._beaten_s = now_s

    def pause(self) -> None:
        """Forget the last beat: no stall is seen before the next one."""
        self._beaten_s = None

    def look(self, now_s: float) -> tuple[bool, bool]:
        """Tell (whether to brake now, whether that is a new stall).

        A stall that goes on asks for a brake again after each further limit: one write may have been lost.
        """
        beaten_s, acted_s = self._beaten_s, self._acted_s
        if beaten_s is None or now_s - beaten_s <= self._limit_s:
            self._acted_s = None
            return False, False
        if acted_s is not None and now_s - acted_s < self._limit_s:
            return False, False
        self._acted_s = now_s
        return True, acted_s is None


class Watchdog:
    """The thread. Enter it to start, leave it to stop; the first `beat` starts the count.

    Args:
        limit_s: age of the last beat above which `brake` is called; called again while the stall goes on.
        brake: called in the thread; may block for a while, may raise EdgeAgentError or OSError (counted in `failures`).
        on_trip: called in the thread after the first brake of each stall; must be short and must not raise.
        clock: monotonic seconds.

    `trips` counts stalls; the guard compares it with what it saw last and latches. Reading it needs no lock.
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
        self._pulse = StallDetector(limit_s)
        self._period_s = limit_s / LOOKS_PER_LIMIT
        self._brake, self._on_trip, self._clock = brake, on_trip, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread; waits one second at most for a brake that is under way."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def beat(self) -> None:
        """Tell that the loop lives; a few hundred nanoseconds, callable as often as you like."""
        self._pulse.beat(self._clock())

    def pause(self) -> None:
        """Stop counting until the next `beat` (shutting down, or work that is known to block)."""
        self._pulse.pause()

    def look(self) -> None:
        """Look once, and brake if the loop has stalled. The thread does this; tests may."""
        brake, new = self._pulse.look(self._clock())
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
            self.look()
