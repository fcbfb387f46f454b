"""The NVIDIA driver's own library, through ctypes: what pycuda has no names for, and what must not hold Python up.

Knows the C functions of libcuda and that a call through ctypes lets other threads of Python run, while an import of a
large library and pycuda's own start do not: on a Jetson those can take longer than the train's lease. Knows nothing of
engines.
"""

import contextlib
import ctypes
import importlib.metadata
from collections.abc import Iterator
from typing import Any

_TENSORRT_LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")
_RTLD_NOW = 2  # dlfcn.h on Linux
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile is no concern of this capture


def load_libcuda() -> Any | None:
    """Load the driver's library; None where there is none."""
    if not preload("libcuda.so.1"):
        return None
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


def preload(name: str) -> bool:
    """Load a shared library without holding the interpreter lock; tell whether it is loaded now."""
    opener = ctypes.CDLL(None).dlopen  # ctypes.CDLL(name) would hold the lock while the library is read
    opener.restype, opener.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    return bool(opener(name.encode(), _RTLD_NOW))


def preload_tensorrt() -> None:
    """Load TensorRT's libraries ahead of `import tensorrt`, which then finds them loaded; passes over absent ones."""
    try:
        major = importlib.metadata.version("tensorrt").partition(".")[0]
    except importlib.metadata.PackageNotFoundError:
        return
    for name in _TENSORRT_LIBRARIES:
        preload(f"{name}.so.{major}")


@contextlib.contextmanager
def primary_context(library: Any | None, device: int = 0) -> Iterator[None]:
    """Hold the device's primary context, which the first holder creates; makes it current nowhere.

    pycuda retains the same context afterwards, which is then quick. Does nothing without a library, and what fails here
    fails again in pycuda, which says why.
    """
    if library is None or library.cuInit(0) != 0:
        yield
        return
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    held = library.cuDeviceGet(ctypes.byref(handle), device) == 0
    held = held and library.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle) == 0
    try:
        yield
    finally:
        if held:
            _pop_context(library, context)
            library.cuDevicePrimaryCtxRelease_v2(handle)


def _pop_context(library: Any, context: ctypes.c_void_p) -> None:
    """Take the context off this thread's stack where pycuda left it: its `detach` pushes a primary one once more."""
    current = ctypes.c_void_p()
    library.cuCtxGetCurrent(ctypes.byref(current))
    if current.value is not None and current.value == context.value:
        library.cuCtxPopCurrent_v2(ctypes.byref(current))


class CudaGraph:
    """A recorded sequence of copies and kernels on one stream, started by one call a frame.

    pycuda (2026.1) has no graphs. `library` is libcuda; the stream is given by its handle, in a thread whose current
    context is the stream's. Close it before the context goes.
    """

    def __init__(self, library: Any, stream: int) -> None:
        self._library = library
        self._stream = ctypes.c_void_p(stream)
        self._ready = ctypes.c_void_p()

    def record(self, work: Any) -> bool:
        """Call `work`, which must only queue on the stream, and keep what it queued; tell whether that went well."""
        library, graph = self._library, ctypes.c_void_p()
        if library.cuStreamBeginCapture_v2(self._stream, _THREAD_LOCAL) != 0:
            return False
        try:
            work()
        finally:
            ended = library.cuStreamEndCapture(self._stream, ctypes.byref(graph))
        if ended != 0 or not graph:
            return False
        made = library.cuGraphInstantiateWithFlags(ctypes.byref(self._ready), graph, ctypes.c_ulonglong(0))
        library.cuGraphDestroy(graph)
        return bool(made == 0)

    def launch(self) -> bool:
        """Queue everything that was recorded; tell whether the driver took it."""
        return bool(self._library.cuGraphLaunch(self._ready, self._stream) == 0)

    def close(self) -> None:
        """Let go of what was recorded."""
        if self._ready:
            self._library.cuGraphExecDestroy(self._ready)
            self._ready = ctypes.c_void_p()
