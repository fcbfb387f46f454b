"""One engine, loaded and ready: device and pinned memory, one stream, one graph; numbers in, numbers out.

Knows CUDA's order of things. Knows nothing of pictures or detections. Everything here, `close` included, is to be
called in one and the same thread, which owns the device's primary context for as long as the session lives.
"""

import atexit
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import FatalError
from edge_agent.perception.detector.tensorrt.bindings import Bindings
from edge_agent.perception.detector.tensorrt.builder import LogCollector
from edge_agent.perception.detector.tensorrt.libcuda import CudaGraph, primary_context

_DTYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


class EngineError(FatalError):
    """An engine does not load here or does not run; ONNX Runtime may."""


class OutOfGpuMemoryError(EngineError):
    """The GPU has not enough memory for it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    """One input or output: pinned host memory, shaped, and the device memory that belongs to it."""

    host: NDArray[Any]
    device: Any


class EngineSession:
    """A loaded engine with one input and any number of outputs, all of fixed shape.

    `input` is a pinned array that the caller fills; `run` answers with pinned arrays that the next `run` overwrites.
    Raises EngineError when the engine is not one for this TensorRT and GPU, OutOfGpuMemoryError when it does not fit.
    `graphed` tells whether a frame is one launch of a CUDA graph.
    """

    input: NDArray[Any]
    _stream: Any
    _runtime: Any
    _engine: Any
    _context: Any

    def __init__(self, bindings: Bindings, engine: bytes, shape: tuple[int, int, int, int]) -> None:
        self._bindings = bindings
        self._inputs: list[_Tensor] = []
        self._outputs: list[_Tensor] = []
        self._graph: CudaGraph | None = None
        self._held = ExitStack()
        self._thread = threading.get_ident()
        atexit.register(self._at_exit)
        self._held.callback(atexit.unregister, self._at_exit)
        try:
            self._open(engine, shape)
        except bindings.driver.Error as error:
            self._held.close()
            raise _failure(bindings, error.with_traceback(None), "the engine does not start") from error
        except BaseException:
            self._held.close()
            raise

    @property
    def graphed(self) -> bool:
        """Tell whether a frame is one launch."""
        return self._graph is not None

    def run(self) -> list[NDArray[Any]]:
        """Run the network on what `input` holds; raises EngineError when the GPU fails."""
        try:
            if self._graph is None:
                self._queue()
            elif not self._graph.launch():
                raise EngineError("the GPU does not take the graph of the network", remedy="look at dmesg")
            self._stream.synchronize()
        except self._bindings.driver.Error as error:
            # Whoever keeps the error must not keep, by its traceback, what only this thread may free.
            raise _failure(self._bindings, error.with_traceback(None), "the GPU failed") from error
        return [tensor.host for tensor in self._outputs]

    def close(self) -> None:
        """Release everything in the reverse order of its making; a second call does nothing. Never raises."""
        with suppress(self._bindings.driver.Error):  # a GPU that failed refuses its clean-up too
            self._held.close()

    def _at_exit(self) -> None:
        """Close what nobody closed: a context left behind aborts the process. Works in the thread that opened it."""
        if threading.get_ident() == self._thread:
            self.close()

    def _open(self, content: bytes, shape: tuple[int, int, int, int]) -> None:
        driver, trt = self._bindings.driver, self._bindings.trt
        self._held.enter_context(primary_context(self._bindings.libcuda))
        context = driver.Device(0).retain_primary_context()
        self._held.callback(context.detach)
        context.push()
        self._held.callback(driver.Context.pop)
        journal = self._journal = LogCollector(trt)
        self._own("_stream", driver.Stream(_NON_BLOCKING))
        self._own("_runtime", _made(lambda: trt.Runtime(journal.logger), journal))
        self._own("_engine", _made(lambda: self._runtime.deserialize_cuda_engine(content), journal))
        self._own("_context", _made(self._engine.create_execution_context, journal))
        self._held.callback(self._forget_tensors)
        for index in range(self._engine.num_io_tensors):
            self._bind(self._engine.get_tensor_name(index), shape)
        self._check_tensors()
        self._warm_up()

    def _own(self, name: str, thing: Any) -> None:
        """Keep `thing` as the attribute `name`: the only reference, so that `close` decides when it goes."""
        setattr(self, name, thing)
        self._held.callback(delattr, self, name)

    def _bind(self, name: str, shape: tuple[int, int, int, int]) -> None:
        """Give one tensor its memory on both sides and tell TensorRT where it is."""
        trt, driver = self._bindings.trt, self._bindings.driver
        is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        if is_input and not self._context.set_input_shape(name, shape):
            raise EngineError(
                f"the engine does not take {list(shape)} ({self._journal.reason()})", remedy="build it anew"
            )
        wanted = tuple(self._context.get_tensor_shape(name))
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in _DTYPES or any(side < 0 for side in wanted):
            raise EngineError(
                f"the engine's tensor {name} is {kind} {list(wanted)}",
                remedy="export the model with fixed shapes, NMS outside, in float32",
            )
        host = driver.pagelocked_empty(wanted, _DTYPES[kind])
        self._held.callback(host.base.free)
        device = driver.mem_alloc(max(1, host.nbytes))
        self._held.callback(device.free)
        if not self._context.set_tensor_address(name, int(device)):
            raise EngineError(f"TensorRT does not take the memory of {name} ({self._journal.reason()})")
        (self._inputs if is_input else self._outputs).append(_Tensor(host, device))

    def _check_tensors(self) -> None:
        if len(self._inputs) != 1 or not self._outputs:
            raise EngineError(
                f"the engine has {len(self._inputs)} inputs and {len(self._outputs)} outputs",
                remedy="build it from a detection model that takes one picture",
            )
        self.input = self._inputs[0].host

    def _forget_tensors(self) -> None:
        """Let go of arrays whose memory is about to be freed."""
        self._inputs, self._outputs = [], []
        self.__dict__.pop("input", None)

    def _warm_up(self) -> None:
        """Run once plainly, which lets TensorRT allocate what it still needs; then record the graph, where one can."""
        self.input[...] = 0
        self._queue()
        self._stream.synchronize()
        if self._bindings.libcuda is None:
            return
        graph = CudaGraph(self._bindings.libcuda, self._stream.handle)
        try:
            recorded = graph.record(self._queue)
        except (
            EngineError,
            self._bindings.driver.Error,
        ):  # something in the engine may not be recorded: run it plainly
            recorded = False
        if recorded:
            self._graph = graph
            self._held.callback(graph.close)

    def _queue(self) -> None:
        """Queue copies and network on the stream, waiting for nothing."""
        driver = self._bindings.driver
        driver.memcpy_htod_async(self._inputs[0].device, self._inputs[0].host, self._stream)
        if not self._context.execute_async_v3(self._stream.handle):
            raise EngineError(f"the network failed ({self._journal.reason()})", remedy="build the engine anew")
        for tensor in self._outputs:
            driver.memcpy_dtoh_async(tensor.host, tensor.device, self._stream)


_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: never waits for the default stream, which other libraries may use."""


def _made(make: Callable[[], Any], journal: LogCollector) -> Any:
    """Return what TensorRT makes, or raise EngineError with the reason that only its logger heard."""
    journal.clear()
    try:
        thing = make()
    except (TypeError, RuntimeError) as error:  # pybind11 raises these where the library answers with nothing
        raise EngineError(
            f"TensorRT does not start: {journal.reason()}", remedy="look at `edge-agent doctor`"
        ) from error
    if thing is None:
        raise EngineError(f"the engine does not load: {journal.reason()}", remedy="build it anew on this machine")
    return thing


def _failure(bindings: Bindings, error: Exception, what: str) -> EngineError:
    """Tell memory that ran out from other failures of the driver."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    if isinstance(error, bindings.driver.MemoryError):
        return OutOfGpuMemoryError(f"the GPU has not enough memory ({line})", remedy="end what else uses the GPU")
    return EngineError(f"{what}: {line}", remedy="look at `edge-agent doctor` and dmesg")
