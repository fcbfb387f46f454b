"""Asks the kernel to let this thread go first when it wakes while others compute.

With two cores busy in the network, the event loop would wait for the end of somebody's turn, up to some milliseconds. A
thread that asks for shorter turns than the others gets its first one at once (Linux 6.12 and newer; elsewhere nothing
changes). It takes no share of the processor from anybody and needs no privilege. Knows Linux. Knows nothing of loops.
"""

import ctypes
import platform

TURN_NS = 100_000
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


def wake_promptly() -> bool:
    """Ask for turns of TURN_NS for the calling thread, and for those that it starts later.

    Return whether the kernel took it, which older ones do without heeding it. A thread with a real-time policy is left
    as it is.
    """
    now = _attributes()
    if now is None or now.policy != _ORDINARY:
        return False
    now.runtime_ns = TURN_NS
    return _call(0, ctypes.byref(now), 0)


def turn_ns() -> int | None:
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
