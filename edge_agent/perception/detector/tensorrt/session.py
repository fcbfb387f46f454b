"""A loaded engine: device and pinned host memory, one stream and one CUDA graph.

Everything here, `close` included, must be called in one thread, which owns the device's primary context for as long as
the session lives.
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
    """An engine does not load or run on this machine; ONNX Runtime may."""


class OutOfGpuMemoryError(EngineError):
    """The GPU has not enough memory for the engine."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    """An input or output: a shaped array in pinned host memory, and its device memory."""

    host: NDArray[Any]
    device: Any


class EngineSession:
    """A loaded engine with one input and any number of outputs, all of fixed shape.

    `input` is a pinned array that the caller fills; `run` returns pinned arrays that the next `run` overwrites. Raises
    EngineError when the engine is not for this TensorRT and GPU, OutOfGpuMemoryError when it does not fit.
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
        self._resources = ExitStack()
        self._thread = threading.get_ident()
        atexit.register(self._at_exit)
        self._resources.callback(atexit.unregister, self._at_exit)
        try:
            self._open(engine, shape)
        except bindings.driver.Error as error:
            self._resources.close()
            raise _failure(bindings, error.with_traceback(None), "the engine does not start") from error
        except BaseException:
            self._resources.close()
            raise

    @property
    def uses_cuda_graph(self) -> bool:
        """Whether a frame is a single launch of a CUDA graph."""
        return self._graph is not None

    def run(self) -> list[NDArray[Any]]:
        """Run the network on what `input` holds; raises EngineError when the GPU fails."""
        try:
            if self._graph is None:
                self._enqueue()
            elif not self._graph.launch():
                raise EngineError("the GPU rejects the graph of the network", remedy="check dmesg")
            self._stream.synchronize()
        except self._bindings.driver.Error as error:
            # The error must not keep alive, by its traceback, what only this thread may free.
            raise _failure(self._bindings, error.with_traceback(None), "the GPU failed") from error
        return [tensor.host for tensor in self._outputs]

    def close(self) -> None:
        """Release everything in reverse order; idempotent, never raises."""
        with suppress(self._bindings.driver.Error):  # a GPU that has failed refuses clean-up as well
            self._resources.close()

    def _at_exit(self) -> None:
        """Close a session that was left open, if this is its thread."""
        # A context that is left behind aborts the process.
        if threading.get_ident() == self._thread:
            self.close()

    def _open(self, content: bytes, shape: tuple[int, int, int, int]) -> None:
        driver, trt = self._bindings.driver, self._bindings.trt
        self._resources.enter_context(primary_context(self._bindings.libcuda))
        context = driver.Device(0).retain_primary_context()
        self._resources.callback(context.detach)
        context.push()
        self._resources.callback(driver.Context.pop)
        log = self._log = LogCollector(trt)
        self._own("_stream", driver.Stream(_NON_BLOCKING))
        self._own("_runtime", _create(lambda: trt.Runtime(log.logger), log))
        self._own("_engine", _create(lambda: self._runtime.deserialize_cuda_engine(content), log))
        self._own("_context", _create(self._engine.create_execution_context, log))
        self._resources.callback(self._forget_tensors)
        for index in range(self._engine.num_io_tensors):
            self._bind(self._engine.get_tensor_name(index), shape)
        self._check_tensors()
        self._warm_up()

    def _own(self, name: str, thing: Any) -> None:
        """Store `thing` as the attribute `name` until `close`."""
        # The only reference, so that `close` decides when it is destroyed.
        setattr(self, name, thing)
        self._resources.callback(delattr, self, name)

    def _bind(self, name: str, shape: tuple[int, int, int, int]) -> None:
        """Allocate one tensor's memory on host and device and pass its address to TensorRT."""
        trt, driver = self._bindings.trt, self._bindings.driver
        is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        if is_input and not self._context.set_input_shape(name, shape):
            raise EngineError(f"the engine does not accept {list(shape)} ({self._log.reason()})", remedy="rebuild it")
        dimensions = tuple(self._context.get_tensor_shape(name))
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in _DTYPES or any(side < 0 for side in dimensions):
            raise EngineError(
                f"the engine's tensor {name} is {kind} {list(dimensions)}",
                remedy="export the model with fixed shapes, without NMS, in float32",
            )
        host = driver.pagelocked_empty(dimensions, _DTYPES[kind])
        self._resources.callback(host.base.free)
        device = driver.mem_alloc(max(1, host.nbytes))
        self._resources.callback(device.free)
        if not self._context.set_tensor_address(name, int(device)):
            raise EngineError(f"TensorRT rejects the memory of {name} ({self._log.reason()})")
        (self._inputs if is_input else self._outputs).append(_Tensor(host, device))

    def _check_tensors(self) -> None:
        if len(self._inputs) != 1 or not self._outputs:
            raise EngineError(
                f"the engine has {len(self._inputs)} inputs and {len(self._outputs)} outputs",
                remedy="build it from a detection model that takes one picture",
            )
        self.input = self._inputs[0].host

    def _forget_tensors(self) -> None:
        """Drop the arrays whose memory is about to be freed."""
        self._inputs, self._outputs = [], []
        self.__dict__.pop("input", None)

    def _warm_up(self) -> None:
        """Run once without a graph, then record the graph if possible."""
        # The first run lets TensorRT allocate the rest of its memory, which cannot be recorded.
        self.input[...] = 0
        self._enqueue()
        self._stream.synchronize()
        if self._bindings.libcuda is None:
            return
        graph = CudaGraph(self._bindings.libcuda, self._stream.handle)
        try:
            recorded = graph.record(self._enqueue)
        except (EngineError, self._bindings.driver.Error):
            recorded = False  # the engine contains something that cannot be recorded: run it without a graph
        if recorded:
            self._graph = graph
            self._resources.callback(graph.close)

    def _enqueue(self) -> None:
        """Enqueue the copies and the network on the stream, without waiting."""
        driver = self._bindings.driver
        driver.memcpy_htod_async(self._inputs[0].device, self._inputs[0].host, self._stream)
        if not self._context.execute_async_v3(self._stream.handle):
            raise EngineError(f"the network failed ({self._log.reason()})", remedy="rebuild the engine")
        for tensor in self._outputs:
            driver.memcpy_dtoh_async(tensor.host, tensor.device, self._stream)


# CU_STREAM_NON_BLOCKING: does not wait for the default stream, which other libraries may use.
_NON_BLOCKING = 1


def _create(make: Callable[[], Any], log: LogCollector) -> Any:
    """Return the object that TensorRT creates; raises EngineError with the reason that only its log has."""
    log.clear()
    try:
        thing = make()
    except (TypeError, RuntimeError) as error:  # pybind11 raises these where the library returns null
        raise EngineError(f"TensorRT does not start: {log.reason()}", remedy="run `edge-agent doctor`") from error
    if thing is None:
        raise EngineError(f"the engine does not load: {log.reason()}", remedy="rebuild it on this machine")
    return thing


def _failure(bindings: Bindings, error: Exception, what: str) -> EngineError:
    """Return an error of the driver as OutOfGpuMemoryError or EngineError."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    if isinstance(error, bindings.driver.MemoryError):
        return OutOfGpuMemoryError(
            f"the GPU has not enough memory ({line})", remedy="stop other programs that use the GPU"
        )
    return EngineError(f"{what}: {line}", remedy="check `edge-agent doctor` and dmesg")
