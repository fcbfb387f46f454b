"""The event loop that a train runs on: asyncio's own, with timers that are on time.

asyncio waits in epoll, whose time limit counts whole milliseconds, rounded up; so a timer comes up to a millisecond
late whenever something else has happened since it was set. A timer of the kernel's that is a file descriptor
(timerfd_create(2)) ends the wait to within some microseconds, without spinning. Knows Linux. Knows nothing of trains.
"""

import asyncio
import ctypes
import os
import platform
import selectors
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_NON_BLOCKING_AND_CLOSED_ON_EXEC = os.O_NONBLOCK | os.O_CLOEXEC
_LONG_S = 3600.0
_Times = ctypes.c_long * 4
"""Two pairs of seconds and nanoseconds: the interval, which we leave at zero, and the time until it rings."""

Ready = list[tuple[selectors.SelectorKey, int]]


class TimerFd:
    """A timer with a file descriptor, `handle`, that can be read once it has rung.

    Raises OSError where the system has none to give.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._create, self._set = libc.timerfd_create, libc.timerfd_settime
        except AttributeError as error:
            raise OSError("this system has no timerfd") from error
        self.handle = int(self._create(time.CLOCK_MONOTONIC, _NON_BLOCKING_AND_CLOSED_ON_EXEC))
        if self.handle < 0:
            raise OSError(ctypes.get_errno(), "no timer")

    def ring_in(self, seconds: float) -> None:
        """Ring once, so many seconds from now, instead of whenever it was to ring."""
        nanoseconds = max(1, int(seconds * 1e9))  # zero would switch it off
        until = _Times(0, 0, nanoseconds // 1_000_000_000, nanoseconds % 1_000_000_000)
        if self._set(self.handle, 0, ctypes.byref(until), None):
            raise OSError(ctypes.get_errno(), "the timer cannot be set")

    def hush(self) -> None:
        """Take note that it has rung."""
        try:
            os.read(self.handle, 8)
        except BlockingIOError:  # it was set anew meanwhile
            return

    def close(self) -> None:
        """Give it back."""
        os.close(self.handle)


class WaitingSelector(selectors.BaseSelector):
    """Keeps file objects as a real selector does, and waits for them in a way of its own.

    Args:
        real: what keeps them.
        wait: takes the time limit in seconds, as `select` does; returns what is ready.
        end: called after the real selector has been closed.
    """

    def __init__(
        self,
        real: selectors.BaseSelector,
        wait: Callable[[float | None], Ready],
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self._real = real
        self._wait = wait
        self._end = end

    def select(self, timeout: float | None = None) -> Ready:
        """Wait for a file object, or `timeout` seconds."""
        return self._wait(timeout)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Pass on."""
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Pass on."""
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Pass on."""
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Pass on."""
        return self._real.get_map()

    def close(self) -> None:
        """Close the real selector, and what belongs to the waiting."""
        self._real.close()
        self._end()


def punctual_selector() -> WaitingSelector:
    """Return a selector that waits as long as it is told, not up to a millisecond longer; raises OSError as Alarm."""
    alarm, real = TimerFd(), selectors.DefaultSelector()
    real.register(alarm.handle, selectors.EVENT_READ)

    def wait(timeout_s: float | None) -> Ready:
        if timeout_s is not None and 0 < timeout_s < _LONG_S:
            alarm.ring_in(timeout_s)
            timeout_s = None
        ready = real.select(timeout_s)
        for index, (key, _) in enumerate(ready):
            if key.fd == alarm.handle:
                alarm.hush()
                del ready[index]
                break
        return ready

    return WaitingSelector(real, wait, alarm.close)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop with punctual timers; asyncio's own where the system cannot."""
    try:
        return asyncio.SelectorEventLoop(punctual_selector())
    except OSError:
        return asyncio.new_event_loop()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Do what `asyncio.run` does, on such a loop."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


SLICE_NS = 100_000
"""The shortest turn that Linux grants; its own choice is a few milliseconds."""

_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""The numbers of sched_setattr(2) and sched_getattr(2), which older C libraries have no functions for."""

_THIS_THREAD = 0
_ORDINARY = 0


class _Attributes(ctypes.Structure):
    """The kernel's `struct sched_attr`; `runtime_ns` is the turn of an ordinary thread."""

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
    """Ask for turns of TURN_NS for the calling thread, and for those that it starts later.

    Return whether the kernel took it, which older ones do without heeding it. A thread with a real-time policy is left
    as it is.
    """
    now = _attributes()
    if now is None or now.policy != _ORDINARY:
        return False
    now.runtime_ns = SLICE_NS
    return _call(0, ctypes.byref(now), 0)


def slice_ns() -> int | None:
    """Return the turns of the calling thread; None where that cannot be told."""
    now = _attributes()
    return None if now is None else int(now.runtime_ns)


def _attributes() -> _Attributes | None:
    now = _Attributes(size=ctypes.sizeof(_Attributes))
    return now if _call(1, ctypes.byref(now), now.size, 0) else None


def _call(which: int, *words: object) -> bool:
    """Call the first or the second of _CALLS for this thread; False where there is none, or it fails."""
    numbers = _CALLS.get(platform.machine()) if platform.system() == "Linux" else None
    return numbers is not None and ctypes.CDLL(None).syscall(numbers[which], _THIS_THREAD, *words) == 0
