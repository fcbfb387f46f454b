"""Moves a driving train from ONNX Runtime to the GPU, where there is one: build the engine, verify it, swap.

The train drives on ONNX Runtime until the last step has succeeded. Everything slow happens in a child process or in the
thread that will run the engine.
"""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from edge_agent.config import Settings
from edge_agent.errors import EdgeAgentError
from edge_agent.events import Severity
from edge_agent.faults import (
    ENGINE_NOT_BUILT,
    ENGINE_REFUSED,
    ENGINE_UNUSABLE,
    GPU_FAILED,
    GPU_MEMORY,
    GPU_UNAVAILABLE,
    FaultKind,
    FaultReporter,
)
from edge_agent.perception.detector import engine_spec, postprocess_options
from edge_agent.perception.detector.tensorrt.bindings import Bindings, GpuUnavailableError, load_bindings
from edge_agent.perception.detector.tensorrt.build_process import BuildProcessError, build_in_process
from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest
from edge_agent.perception.detector.tensorrt.cache import cache_dir, set_aside
from edge_agent.perception.detector.tensorrt.detector import PostprocessOptions, TensorRtDetector
from edge_agent.perception.detector.tensorrt.engine_file import DamagedEngineError
from edge_agent.perception.detector.tensorrt.selection import EngineSpec, find_engine
from edge_agent.perception.detector.tensorrt.session import EngineError, OutOfGpuMemoryError
from edge_agent.perception.detector.tensorrt.trial import try_gpu
from edge_agent.perception.detector.tensorrt.verification import (
    Agreement,
    DisagreementError,
    open_verified,
    sample_pictures,
)
from edge_agent.pipeline import DetectorSlot, DetectorWorker
from edge_agent.runtime.threads import WorkerThread

_log = structlog.get_logger(__name__)

_MEANWHILE = "the train drives on ONNX Runtime"
_KINDS: tuple[tuple[type[EdgeAgentError], FaultKind], ...] = (
    (GpuUnavailableError, GPU_UNAVAILABLE),
    (BuildProcessError, ENGINE_NOT_BUILT),
    (OutOfGpuMemoryError, GPU_MEMORY),
    (DisagreementError, ENGINE_REFUSED),
)


class GpuUpgrade:
    """One attempt, from loading TensorRT to the swap.

    Args:
        worker: runs the detector now, and the engine afterwards.
        spec: the engine to use.
        options: of the postprocessing.
        required: the settings ask for TensorRT: a failure is `degraded` instead of `info`, and always reported.
        faults: by the event loop's clock.
        load: loads TensorRT's and CUDA's bindings.
    """

    def __init__(
        self,
        worker: DetectorWorker,
        spec: EngineSpec,
        options: PostprocessOptions,
        *,
        required: bool,
        faults: FaultReporter,
        load: Callable[[], Bindings] = load_bindings,
    ) -> None:
        self._worker = worker
        self._spec = spec
        self._options = options
        self._required = required
        self._faults = faults
        self._load = load
        self._thread = WorkerThread("inference-gpu")
        self._opened: TensorRtDetector | None = None
        self._handed_over = False

    async def run(self) -> None:
        """Run the attempt; a failure is reported as a fault, never raised."""
        try:
            agreement = await self._open()
        except EdgeAgentError as error:
            self._report(error)
        else:
            assert self._opened is not None  # noqa: S101 - `_open` raises or opens
            self._worker.replace(DetectorSlot(self._opened, self._thread), self._on_failure)
            _log.info(
                "detector_moved",
                backend="tensorrt",
                model=self._opened.info.model,
                graph=self._opened.uses_cuda_graph,
                pictures=agreement.pictures,
                pairs=agreement.pairs,
                worst_iou=round(agreement.worst_iou, 3),
                worst_score=round(agreement.worst_score, 3),
            )
            self._handed_over = True  # the worker closes it
        finally:
            if not self._handed_over:
                self._close()

    def join(self) -> None:
        """Wait until the thread has closed the engine; for tests. Blocks."""
        self._thread.join()

    async def _open(self) -> Agreement:
        await self._thread.submit(lambda: try_gpu(self._spec))
        bindings = await self._thread.submit(self._load)
        engine, reference = await self._thread.submit(lambda: find_engine(self._spec, bindings))
        if engine is not None:
            try:
                return await self._verify(engine, reference, bindings)
            except (EngineError, DamagedEngineError, DisagreementError) as error:
                if self._spec.ready_made or isinstance(error, OutOfGpuMemoryError):
                    raise
                await self._set_aside(engine, error)
        _log.info("engine_is_built", model=self._spec.model.name)
        engine, _ = await build_in_process(self._build_request())
        try:
            return await self._verify(engine, reference, bindings)
        except (DisagreementError, EngineError) as error:
            if not isinstance(error, OutOfGpuMemoryError):
                await self._set_aside(engine, error)
            raise

    async def _set_aside(self, engine: Path, error: EdgeAgentError) -> None:
        await self._thread.submit(lambda: set_aside(engine))
        _log.warning("engine_set_aside", engine=engine.name, reason=error.message)

    def _build_request(self) -> BuildRequest:
        spec = self._spec
        return BuildRequest(str(spec.model), spec.precision, str(spec.folder), spec.needs_manifest)

    async def _verify(self, engine: Path, reference: Path | None, bindings: Bindings) -> Agreement:
        def work() -> Agreement:
            onnx = reference or engine.with_suffix(".onnx")
            self._opened, agreement = open_verified(engine, onnx, bindings, self._options, sample_pictures(onnx))
            return agreement

        return await self._thread.submit(work)

    def _close(self) -> None:
        """Close, in its thread, an engine that was not handed over, also after a cancellation."""

        def close() -> None:
            if self._opened is not None:
                self._opened.close()

        self._thread.post(close)
        self._thread.close()

    def _report(self, error: EdgeAgentError) -> None:
        if isinstance(error, GpuUnavailableError) and not self._required and error.data.get("missing") == "both":
            return  # nothing is wrong with a machine without a GPU
        kind = next((kind for meaning, kind in _KINDS if isinstance(error, meaning)), ENGINE_UNUSABLE)
        severity = Severity.DEGRADED if self._required else Severity.INFO
        _log.warning(kind.code, reason=error.message)
        self._faults.report(kind, f"{error.message}; {_MEANWHILE}", error.remedy, severity=severity)

    def _on_failure(self, error: EdgeAgentError) -> None:
        _log.error("gpu_failed", reason=error.message)
        self._faults.report(GPU_FAILED, f"{error.message}; {_MEANWHILE} again", error.remedy)


def gpu_upgrade(settings: Settings, worker: DetectorWorker, faults: FaultReporter) -> GpuUpgrade | None:
    """Return the upgrade that the settings allow; None where the detector is to stay as it is."""
    detector = settings.detector
    if detector.backend not in {"auto", "tensorrt"} or worker.info.backend != "onnxruntime":
        return None
    spec = engine_spec(detector, cache_dir(os.environ, settings.state.directory))
    return GpuUpgrade(
        worker, spec, postprocess_options(detector), required=detector.backend == "tensorrt", faults=faults
    )
