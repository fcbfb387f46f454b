"""Lag of a stream's pictures behind its fastest one, from the time stamps in the stream; pure."""

CLOCK_DRIFT = 2e-4
"""How much faster or slower than ours a camera's clock may run; a link that is slower than the pictures by less than
this is not noticed."""

JUMP_S = 1.0
"""Time stamps that advance by this much more than the pictures can have come later have begun anew."""

LAG_UNKNOWN = "the stream has no time stamps: how late its pictures are cannot be known"


class ArrivalLag:
    """Compares when pictures arrive with their time stamps, in seconds, each on a clock of its own.

    The smallest difference so far counts as no lag: how late the fastest picture came cannot be known.
    """

    def __init__(self) -> None:
        self._arrived_s = 0.0
        self._stamp_s = 0.0
        self._base_s: float | None = None
        self._lag_s = 0.0

    def update(self, arrived_s: float, stamp_s: float) -> float:
        """Return by how many seconds the picture is later than the fastest one."""
        delay_s, gap_s, step_s = arrived_s - stamp_s, arrived_s - self._arrived_s, stamp_s - self._stamp_s
        if self._base_s is None:
            self._base_s = delay_s
        elif not 0 < step_s <= gap_s + self._lag_s + JUMP_S:
            # A reset clock is no news about the link: the pictures stay as late as they were.
            self._base_s = delay_s - self._lag_s
        else:
            # Without the drift, a camera whose clock runs slow would seem later and later.
            self._base_s = min(self._base_s + CLOCK_DRIFT * gap_s, delay_s)
        self._arrived_s, self._stamp_s, self._lag_s = arrived_s, stamp_s, delay_s - self._base_s
        return self._lag_s
