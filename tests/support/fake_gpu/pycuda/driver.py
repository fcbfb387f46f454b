"""The part of pycuda.driver that the agent calls, on plain memory, strict about contexts and about what is left over.

FAKE_GPU in the environment holds words that make it fail: `no-device`, `old-driver`, `dead-driver`, `oom`,
`driver-hangs`, `driver-crashes`.
"""

import itertools
import os
import threading
import time

import numpy as np


class Error(Exception):
    pass


class MemoryError(Error):  # noqa: A001 - pycuda's name
    pass


class LogicError(Error):
    pass


class LaunchError(Error):
    pass


def told(word):
    return word in os.environ.get("FAKE_GPU", "").split()


LIVE: dict[str, int] = {}
"""How many of each kind are held now; empty counts are removed."""
MEMORY: dict[int, bytearray] = {}
_current = threading.local()
_addresses = itertools.count(0x1000, 0x1000)


def _hold(kind, by):
    LIVE[kind] = LIVE.get(kind, 0) + by
    if not LIVE[kind]:
        del LIVE[kind]


def _stack():
    if not hasattr(_current, "stack"):
        _current.stack = []
    return _current.stack


def need_context():
    if not _stack():
        raise LogicError("invalid device context - no currently active context?")


def init():
    if told("driver-hangs"):
        time.sleep(600)
    if told("driver-crashes"):
        os.abort()
    if told("dead-driver"):
        raise LogicError("cuInit failed: unknown error")


def get_version():
    return (12, 6, 0)


def get_driver_version():
    return 11080 if told("old-driver") else 12060


class Device:
    def __init__(self, number):
        self.number = number

    @staticmethod
    def count():
        return 0 if told("no-device") else 1

    def name(self):
        return "Fake Orin"

    def compute_capability(self):
        return (8, 7)

    def total_memory(self):
        return 8 << 30

    def retain_primary_context(self):
        return Context()


class Context:
    def __init__(self):
        self._thread = threading.get_ident()
        _hold("context", 1)

    def push(self):
        assert threading.get_ident() == self._thread, "a context is pushed in the thread that retained it"
        _stack().append(self)

    @staticmethod
    def pop():
        need_context()
        _stack().pop()

    def detach(self):
        assert self not in _stack(), "popped before it is detached"
        _hold("context", -1)


class Stream:
    def __init__(self, flags=0):
        need_context()
        assert flags == 1, "a stream that does not wait for the default stream"
        self.handle = next(_addresses)
        _hold("stream", 1)

    def __del__(self):
        need_context()
        _hold("stream", -1)

    def synchronize(self):
        need_context()


class PagelockedHostAllocation:
    def __init__(self):
        _hold("host", 1)

    def free(self):
        need_context()
        _hold("host", -1)


class _Array(np.ndarray):
    """An array whose `base` is its allocation, as with pycuda."""

    _allocation = None

    @property
    def base(self):
        return self._allocation


def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
    need_context()
    array = np.zeros(shape, dtype).view(_Array)
    array._allocation = PagelockedHostAllocation()
    return array


class DeviceAllocation:
    def __init__(self, size):
        self.address = next(_addresses)
        MEMORY[self.address] = bytearray(size)
        _hold("device", 1)

    def __int__(self):
        return self.address

    def free(self):
        need_context()
        del MEMORY[self.address]
        _hold("device", -1)


def mem_get_info():
    need_context()
    return 8 << 30, 8 << 30


def mem_alloc(size):
    need_context()
    if told("oom"):
        raise MemoryError("cuMemAlloc failed: out of memory")
    return DeviceAllocation(size)


def memcpy_htod_async(target, source, stream):
    need_context()
    MEMORY[int(target)][:] = source.tobytes()


def memcpy_dtoh_async(target, source, stream):
    need_context()
    target[...] = np.frombuffer(bytes(MEMORY[int(source)]), target.dtype).reshape(target.shape)
