"""The CUDA driver library through ctypes: functions that pycuda lacks, and loading without the interpreter lock.

A call through ctypes lets other Python threads run, while importing a large library and pycuda's own start-up do not:
on a Jetson those can take longer than the train's lease.
"""

import contextlib
import ctypes
import importlib.metadata
from collections.abc import Iterator
from typing import Any


def load_libcuda() -> Any | None:
    """Load libcuda; None without an NVIDIA driver."""
    if not preload("libcuda.so.1"):
        return None
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


def preload(name: str) -> bool:
    """Load a shared library without holding the interpreter lock; return whether it is loaded."""
    opener = ctypes.CDLL(None).dlopen  # ctypes.CDLL(name) would hold the lock while loading
    opener.restype, opener.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    return bool(opener(name.encode(), 2))  # RTLD_NOW of dlfcn.h


def preload_tensorrt() -> None:
    """Load TensorRT's libraries, if installed, so that `import tensorrt` finds them loaded."""
    try:
        major = importlib.metadata.version("tensorrt").partition(".")[0]
    except importlib.metadata.PackageNotFoundError:
        return
    for name in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser"):
        preload(f"{name}.so.{major}")


@contextlib.contextmanager
def primary_context(library: Any | None, device: int = 0) -> Iterator[None]:
    """Retain the device's primary context without making it current; does nothing without a library.

    pycuda then retains the same context quickly. Errors are ignored here: they occur again in pycuda, which reports
    them.
    """
    if library is None or library.cuInit(0) != 0:
        yield
        return
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    retained = library.cuDeviceGet(ctypes.byref(handle), device) == 0
    retained = retained and library.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle) == 0
    try:
        yield
    finally:
        if retained:
            _pop_context(library, context)
            library.cuDevicePrimaryCtxRelease_v2(handle)


def _pop_context(library: Any, context: ctypes.c_void_p) -> None:
    """Pop the context from this thread's stack if it is still there."""
    # pycuda's `detach` pushes a primary context once more.
    current = ctypes.c_void_p()
    library.cuCtxGetCurrent(ctypes.byref(current))
    if current.value is not None and current.value == context.value:
        library.cuCtxPopCurrent_v2(ctypes.byref(current))


class CudaGraph:
    """A recorded sequence of copies and kernels on one stream, launched by one call per frame.

    `library` is libcuda, `stream` a stream's handle. Use it in a thread whose current context is the stream's, and
    close it before the context is released.
    """

    # pycuda (2026.1) has no graphs.

    def __init__(self, library: Any, stream: int) -> None:
        self._library = library
        self._stream = ctypes.c_void_p(stream)
        self._executable = ctypes.c_void_p()

    def record(self, work: Any) -> bool:
        """Record what `work` enqueues on the stream, which must be all it does; return whether that succeeded."""
        library, graph = self._library, ctypes.c_void_p()
        # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: calls of other threads do not affect the capture.
        if library.cuStreamBeginCapture_v2(self._stream, 1) != 0:
            return False
        try:
            work()
        finally:
            ended = library.cuStreamEndCapture(self._stream, ctypes.byref(graph))
        if ended != 0 or not graph:
            return False
        made = library.cuGraphInstantiateWithFlags(ctypes.byref(self._executable), graph, ctypes.c_ulonglong(0))
        library.cuGraphDestroy(graph)
        return bool(made == 0)

    def launch(self) -> bool:
        """Enqueue the recorded sequence; return whether the driver accepted it."""
        return bool(self._library.cuGraphLaunch(self._executable, self._stream) == 0)

    def close(self) -> None:
        """Release the recording."""
        if self._executable:
            self._library.cuGraphExecDestroy(self._executable)
            self._executable = ctypes.c_void_p()
