"""The event loop that a train runs on: asyncio's own, with punctual timers.

asyncio waits in epoll, whose timeout counts whole milliseconds, rounded up: a timer may be a millisecond late whenever
something else has woken the loop since it was set. A timerfd (timerfd_create(2)) ends the wait to within microseconds,
without spinning. Both need Linux; elsewhere asyncio's own loop is used.
"""

import asyncio
import ctypes
import os
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LONG_S = 3600.0
_Times = ctypes.c_long * 4
"""struct itimerspec: seconds and nanoseconds of the interval, which stays zero, and of the time until it expires."""

Ready = list[tuple[selectors.SelectorKey, int]]


class TimerFd:
    """A one-shot kernel timer whose file descriptor, `handle`, becomes readable when it expires.

    Raises OSError where the system has no timerfd.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._create, self._set = libc.timerfd_create, libc.timerfd_settime
        except AttributeError as error:
            raise OSError("this system has no timerfd") from error
        self.handle = int(self._create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
        if self.handle < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")

    def set(self, seconds: float) -> None:
        """Expire once, in `seconds` from now; replaces an earlier time."""
        nanoseconds = max(1, int(seconds * 1e9))  # zero would disarm it
        until = _Times(0, 0, nanoseconds // 1_000_000_000, nanoseconds % 1_000_000_000)
        if self._set(self.handle, 0, ctypes.byref(until), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def acknowledge(self) -> None:
        """Read the expiration, so that the descriptor is no longer readable."""
        try:
            os.read(self.handle, 8)
        except BlockingIOError:  # it was set again meanwhile
            return

    def close(self) -> None:
        """Close the file descriptor."""
        os.close(self.handle)


class PunctualSelector(selectors.DefaultSelector):
    """A selector whose timeouts are exact to microseconds; raises OSError as TimerFd does."""

    def __init__(self) -> None:
        self._timer = TimerFd()
        super().__init__()
        self.register(self._timer.handle, selectors.EVENT_READ)

    def select(self, timeout: float | None = None) -> Ready:
        """Wait until a file object is ready, or for `timeout` seconds."""
        if timeout is not None and 0 < timeout < _LONG_S:
            self._timer.set(timeout)
            timeout = None
        ready = super().select(timeout)
        for index, (key, _) in enumerate(ready):
            if key.fd == self._timer.handle:
                self._timer.acknowledge()
                del ready[index]
                break
        return ready

    def close(self) -> None:
        """Close the selector and its timer."""
        super().close()
        self._timer.close()


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop with punctual timers, or asyncio's own where the system has no timerfd."""
    try:
        return asyncio.SelectorEventLoop(PunctualSelector())
    except OSError:
        return asyncio.new_event_loop()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` as `asyncio.run` does, on a loop with punctual timers."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)
