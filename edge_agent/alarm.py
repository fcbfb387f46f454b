"""Wakes a task at a moment to within some microseconds, where asyncio's own timers are up to a millisecond late.

The loop waits in epoll, whose time limit counts whole milliseconds, rounded up. A timer of the kernel's that is a file
descriptor (timerfd_create(2)) wakes it on time, without spinning. Knows Linux. Knows nothing of what is waited for.
"""

import asyncio
import ctypes
import math
import os
import time
from collections.abc import Callable

_NON_BLOCKING_AND_CLOSED_ON_EXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_SAME_CLOCK_S = 0.01
_Times = ctypes.c_long * 4
"""Two pairs of seconds and nanoseconds: the interval, which we leave at zero, and the moment."""


class Alarm:
    """One waiter's alarm clock; for one event loop whose clock is the machine's monotonic one.

    Raises OSError where the system has none to give.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._create, self._set = libc.timerfd_create, libc.timerfd_settime
        except AttributeError as error:
            raise OSError("this system has no timerfd") from error
        self._loop = asyncio.get_running_loop()
        self._handle = self._create(time.CLOCK_MONOTONIC, _NON_BLOCKING_AND_CLOSED_ON_EXEC)
        if self._handle < 0:
            raise OSError(ctypes.get_errno(), "no timer")
        self._rang = asyncio.Event()
        self._loop.add_reader(self._handle, self._ring)

    async def wait_until(self, at_s: float) -> None:
        """Wait until the monotonic clock says `at_s` seconds; a moment that has passed rings at once."""
        self._rang.clear()
        at_ns = max(1, math.ceil(at_s * 1e9))  # a moment of zero would switch the timer off
        moment = _Times(0, 0, at_ns // 1_000_000_000, at_ns % 1_000_000_000)
        if self._set(self._handle, _ABSOLUTE, ctypes.byref(moment), None):
            raise OSError(ctypes.get_errno(), "the timer cannot be set")
        await self._rang.wait()

    def close(self) -> None:
        """Give the timer back."""
        self._loop.remove_reader(self._handle)
        os.close(self._handle)

    def _ring(self) -> None:
        try:
            os.read(self._handle, 8)
        except BlockingIOError:  # it was set anew meanwhile
            return
        self._rang.set()


def open_alarm(clock: Callable[[], float]) -> Alarm | None:
    """Return an alarm for a task that goes by `clock`; None where its time is another one, or there are no alarms."""
    if abs(clock() - time.monotonic()) > _SAME_CLOCK_S:
        return None  # a simulated clock: its timers are exact
    try:
        return Alarm()
    except (OSError, NotImplementedError):  # the latter: a loop that watches no file descriptors
        return None
