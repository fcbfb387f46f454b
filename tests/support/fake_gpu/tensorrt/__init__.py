"""The part of TensorRT that the agent calls, carried out by ONNX Runtime: an engine is a small header and the ONNX.

As strict as the real one where it matters: an engine of another version or GPU is answered with None, the reason goes
to the logger only, networks must be strongly typed. FAKE_GPU in the environment holds words that make it fail:
`build-fails`, `build-crashes`, `build-hangs`, `disagrees`, `nan`, `run-fails`, `unsupported`, `half-runtime`.
"""

import json
import os
import time
from enum import Enum, IntEnum

import numpy as np
import onnxruntime as ort
from pycuda import driver

__version__ = os.environ.get("FAKE_TRT_VERSION", "10.3.0.26")
_MAGIC = b"FAKEPLAN"


class _Severity(Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    Severity = _Severity


class IProgressMonitor:
    pass


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = 0


class TensorIOMode(Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(Enum):
    FLOAT = np.float32
    HALF = np.float16
    INT32 = np.int32
    INT64 = np.int64
    UINT8 = np.uint8


_KINDS = {
    "tensor(float)": DataType.FLOAT,
    "tensor(float16)": DataType.HALF,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
    "tensor(uint8)": DataType.UINT8,
}


class _Source:
    def __init__(self, name, shape):
        self.name, self.shape = name, tuple(side if isinstance(side, int) else -1 for side in shape)


class _Network:
    onnx = b""

    def get_input(self, index):
        return self._input

    def read(self, onnx):
        source = _session(onnx).get_inputs()[0]
        self.onnx, self._input = onnx, _Source(source.name, source.shape)


class _ParserError:
    def desc(self):
        return "Plugin not found, are the plugin name, version, and namespace correct?"

    def node_operator(self):
        return "GridSample"


class OnnxParser:
    num_errors = 0

    def __init__(self, network, logger):
        self._network = network

    def parse(self, onnx):
        if driver.told("unsupported"):
            self.num_errors = 1
            return False
        self._network.read(onnx)
        return True

    def get_error(self, index):
        return _ParserError()


class _Bytes(bytes):
    @property
    def nbytes(self):
        return len(self)


class _TimingCache:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return _Bytes(self.content or b"timings")


class _Config:
    progress_monitor = None
    profile = None

    def set_memory_pool_limit(self, pool, size):
        assert pool is MemoryPoolType.WORKSPACE

    def create_timing_cache(self, content):
        return _TimingCache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        self._cache = cache
        return cache.content in {b"", b"timings"}

    def get_timing_cache(self):
        return self._cache

    def add_optimization_profile(self, profile):
        self.profile = profile
        return 0


class _Profile:
    def set_shape(self, name, least, best, most):
        self.shape = best


class Builder:
    def __init__(self, logger):
        self._logger = logger
        if driver.told("half-runtime"):
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return _Network()

    def create_builder_config(self):
        return _Config()

    def create_optimization_profile(self):
        return _Profile()

    def build_serialized_network(self, network, config):
        monitor = config.progress_monitor
        monitor.phase_start("Building Engine", None, 2)
        for step in range(2):
            if driver.told("build-crashes"):
                os.abort()
            if driver.told("build-hangs"):
                time.sleep(60)
            if driver.told("build-fails"):
                self._logger.log(_Severity.ERROR, "Could not find any implementation for node\n{ForeignNode[Conv_0]}.")
                return None
            if not monitor.step_complete("Building Engine", step):
                return None
        monitor.phase_finish("Building Engine")
        assert network.get_input(0).shape[0] == 1 or config.profile is not None
        head = {"version": __version__, "sm": driver.Device(0).compute_capability()}
        return _Bytes(_MAGIC + json.dumps(head).encode() + b"\n" + network.onnx)


class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def deserialize_cuda_engine(self, content):
        driver.need_context()
        head, _, onnx = content.removeprefix(_MAGIC).partition(b"\n")
        if not content.startswith(_MAGIC):
            self._logger.log(_Severity.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1: magic tag does not match")
            return None
        if json.loads(head) != {"version": __version__, "sm": list(driver.Device(0).compute_capability())}:
            self._logger.log(_Severity.WARNING, "no error yet")
            self._logger.log(_Severity.ERROR, "The engine plan file is not compatible with this version of TensorRT")
            return None
        return ICudaEngine(onnx)


def _session(onnx):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


class ICudaEngine:
    def __init__(self, onnx):
        self.session = _session(onnx)
        self._tensors = {
            **{one.name: (TensorIOMode.INPUT, one) for one in self.session.get_inputs()},
            **{one.name: (TensorIOMode.OUTPUT, one) for one in self.session.get_outputs()},
        }
        self.num_io_tensors = len(self._tensors)
        driver._hold("engine", 1)

    def __del__(self):
        driver.need_context()
        driver._hold("engine", -1)

    def get_tensor_name(self, index):
        return list(self._tensors)[index]

    def get_tensor_mode(self, name):
        return self._tensors[name][0]

    def get_tensor_dtype(self, name):
        return _KINDS[self._tensors[name][1].type]

    def shape(self, name):
        return tuple(side if isinstance(side, int) else -1 for side in self._tensors[name][1].shape)

    def create_execution_context(self):
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine):
        self._engine, self._shapes, self._addresses, self._runs = engine, {}, {}, 0
        driver._hold("execution context", 1)

    def __del__(self):
        driver.need_context()
        driver._hold("execution context", -1)

    def set_input_shape(self, name, shape):
        wanted = self._engine.shape(name)
        self._shapes[name] = tuple(shape)
        return all(have in {-1, want} for have, want in zip(wanted, shape, strict=True))

    def get_tensor_shape(self, name):
        return self._shapes.get(name) or self._engine.shape(name)

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle):
        driver.need_context()
        self._runs += 1
        if driver.told("run-fails") and self._runs > 2:
            raise driver.LaunchError("cuStreamSynchronize failed: an illegal memory access was encountered")
        session = self._engine.session
        (source,) = session.get_inputs()
        kind = self._engine.get_tensor_dtype(source.name).value
        memory = bytes(driver.MEMORY[self._addresses[source.name]])
        blob = np.frombuffer(memory, kind).reshape(self._shapes[source.name])
        for name, value in zip(
            [o.name for o in session.get_outputs()], session.run(None, {source.name: blob}), strict=True
        ):
            answer = value * np.float32(0.9) if driver.told("disagrees") else value
            if driver.told("nan"):
                answer = np.full_like(value, np.nan)
            driver.MEMORY[self._addresses[name]][:] = np.ascontiguousarray(answer).tobytes()
        return True
