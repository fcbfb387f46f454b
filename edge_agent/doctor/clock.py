"""Check of the wall clock: whether something keeps it right.

Knows Linux's adjtimex(2). The train drives on the monotonic clock whatever this says: only events and logs carry the
wall clock's time.
"""

import ctypes
import time
from collections.abc import Callable

from edge_agent.doctor.check import CheckResult, ok, warn

_TIMEX_BYTES = 512  # struct timex takes 208 bytes on 64-bit Linux; its first word, `modes` 0, only reads
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_BUILT_UNIX_S = 1_767_225_600  # 2026-01-01: this code did not exist before
_REMEDY = "start chrony, ntpd or systemd-timesyncd"


def kernel_clock_state() -> int | None:
    """Return what adjtimex(2) answers (0..5); None where the system does not tell."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state if state >= 0 else None


async def check_clock(
    read_state: Callable[[], int | None] = kernel_clock_state, unix_s: Callable[[], float] = time.time
) -> CheckResult:
    """Look whether the wall clock is synchronised and plausible."""
    now_s = unix_s()
    if now_s < _BUILT_UNIX_S:
        return warn(f"the clock stands in {time.gmtime(now_s).tm_year}", f"set it: {_REMEDY}")
    state = read_state()
    if state is None:
        return warn("the system does not tell whether the clock is synchronised", f"make sure that it is: {_REMEDY}")
    if state == _TIME_ERROR:
        return warn("the clock is not synchronised: events carry a time that drifts", _REMEDY)
    return ok("synchronised")
