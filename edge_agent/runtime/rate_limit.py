"""A token bucket for a backlog, so that catching up leaves bandwidth for everything else on the uplink."""

from collections.abc import Callable


class RateLimiter:
    """Allows `per_s` values of a backlog a second, in addition to those newly appended.

    Args:
        per_s: values of the backlog a second.
        clock: monotonic seconds.
    """

    BURST_S = 0.25
    """The most unused allowance that is kept, in seconds of the rate."""

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._clock = clock
        self._at_s = clock()
        self._allowed = per_s * self.BURST_S

    def allowed(self, appended: int) -> int:
        """Return how many values may be sent now; `appended` were added since the last call."""
        now_s = self._clock()
        burst = max(self._per_s * self.BURST_S, 1.0)
        self._allowed = min(burst, self._allowed + (now_s - self._at_s) * self._per_s) + appended
        self._at_s = now_s
        return int(self._allowed)

    def take(self, count: int) -> None:
        """Subtract `count` values that were sent."""
        self._allowed -= count

    def wait_s(self, count: int) -> float:
        """Return how long to wait until `count` values are allowed, in seconds."""
        return max(0.0, (count - self._allowed) / self._per_s)
