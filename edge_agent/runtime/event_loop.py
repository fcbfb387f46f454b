"""The event loop that a train runs on: asyncio's own, with punctual timers; and short scheduler slices for its thread.

asyncio waits in epoll, whose timeout counts whole milliseconds, rounded up: a timer may be a millisecond late whenever
something else has woken the loop since it was set. A timerfd (timerfd_create(2)) ends the wait to within microseconds,
without spinning. Both need Linux; elsewhere asyncio's own loop is used.
"""

import asyncio
import ctypes
import os
import platform
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


SLICE_NS = 100_000
"""The shortest scheduler slice that Linux grants; its default is a few milliseconds."""

_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""System call numbers of sched_setattr(2) and sched_getattr(2), which older C libraries do not wrap."""

_THIS_THREAD = 0
_SCHED_OTHER = 0


class _SchedAttr(ctypes.Structure):
    """The kernel's `struct sched_attr`; `runtime_ns` is the slice of a SCHED_OTHER thread."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def request_short_slices() -> bool:
    """Ask for scheduler slices of SLICE_NS for the calling thread and the threads that it starts later.

    Returns whether the kernel accepted it; kernels before 6.12 accept and ignore it. A thread with a real-time policy
    keeps its own.
    """
    now = _attributes()
    if now is None or now.policy != _SCHED_OTHER:
        return False
    now.runtime_ns = SLICE_NS
    return _call(0, ctypes.byref(now), 0)


def slice_ns() -> int | None:
    """Return the slice of the calling thread in ns; None where the system does not report it."""
    now = _attributes()
    return None if now is None else int(now.runtime_ns)


def _attributes() -> _SchedAttr | None:
    now = _SchedAttr(size=ctypes.sizeof(_SchedAttr))
    return now if _call(1, ctypes.byref(now), now.size, 0) else None


def _call(which: int, *arguments: object) -> bool:
    """Make the system call `_CALLS[which]` for this thread; False where it does not exist or fails."""
    numbers = _CALLS.get(platform.machine()) if platform.system() == "Linux" else None
    return numbers is not None and ctypes.CDLL(None).syscall(numbers[which], _THIS_THREAD, *arguments) == 0
