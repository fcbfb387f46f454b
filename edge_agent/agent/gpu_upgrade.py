"""Moves a train that drives from ONNX Runtime to the GPU, where there is one: builds the engine, tries it, swaps.

Knows the order of the steps and what to tell when one fails; the train drives on ONNX Runtime until the last one has
gone well. Knows nothing of CUDA. Everything slow happens in a child process or in the thread that will run the engine.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

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
from edge_agent.perception.detector.tensorrt.verification import (
    Agreement,
    DisagreementError,
    open_verified,
    sample_pictures,
)
from edge_agent.pipeline import DetectorSlot, DetectorWorker
from edge_agent.runtime.threads import WorkerThread

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_MEANWHILE = "the train drives on ONNX Runtime"
_KINDS: tuple[tuple[type[EdgeAgentError], FaultKind], ...] = (
    (GpuUnavailableError, GPU_UNAVAILABLE),
    (BuildProcessError, ENGINE_NOT_BUILT),
    (OutOfGpuMemoryError, GPU_MEMORY),
    (DisagreementError, ENGINE_REFUSED),
)


class GpuUpgrade:
    """One attempt, from start to swap; `run` ends when it has succeeded or failed, and raises neither way."""

    def __init__(
        self,
        worker: DetectorWorker,
        wanted: EngineSpec,
        how: PostprocessOptions,
        *,
        must: bool,
        faults: FaultReporter,
        load: Callable[[], Bindings] = load_bindings,
    ) -> None:
        self._worker = worker
        self._wanted = wanted
        self._reading = how
        self._must = must
        self._faults = faults
        self._load = load
        self._lane = WorkerThread("inference-gpu")
        self._opened: TensorRtDetector | None = None
        self._handed_over = False

    async def run(self) -> None:
        """Do it; what fails is told as a fault, and the train goes on as it is."""
        try:
            agreement = await self._open()
        except EdgeAgentError as error:
            self._report(error)
        else:
            assert self._opened is not None  # noqa: S101 - `_open` raises or opens
            self._worker.replace(DetectorSlot(self._opened, self._lane), self._failed)
            _log.info(
                "detector_moved",
                backend="tensorrt",
                model=self._opened.info.model,
                graph=self._opened.graphed,
                pictures=agreement.pictures,
                pairs=agreement.pairs,
                worst_iou=round(agreement.worst_iou, 3),
                worst_score=round(agreement.worst_score, 3),
            )
            self._handed_over = True  # the worker closes it
        finally:
            if not self._handed_over:
                self._leave()

    def join(self) -> None:
        """Wait until the thread has closed what it opened; for whoever must know. Blocks."""
        self._lane.join()

    async def _open(self) -> Agreement:
        bindings = await self._in_thread(self._load)
        engine, reference = await self._in_thread(lambda: find_engine(self._wanted, bindings))
        if engine is not None:
            try:
                return await self._prove(engine, reference, bindings)
            except (EngineError, DamagedEngineError, DisagreementError) as error:
                if self._wanted.ready_made or isinstance(error, OutOfGpuMemoryError):
                    raise
                await self._aside(engine, error)
        _log.info("engine_is_built", model=self._wanted.model.name)
        engine, _ = await build_in_process(self._order())
        try:
            return await self._prove(engine, reference, bindings)
        except (DisagreementError, EngineError) as error:
            if not isinstance(error, OutOfGpuMemoryError):
                await self._aside(engine, error)
            raise

    async def _aside(self, engine: Path, error: EdgeAgentError) -> None:
        await self._in_thread(lambda: set_aside(engine))
        _log.warning("engine_set_aside", engine=engine.name, reason=error.message)

    def _order(self) -> BuildRequest:
        wanted = self._wanted
        return BuildRequest(str(wanted.model), wanted.precision, str(wanted.folder), wanted.needs_manifest)

    async def _prove(self, engine: Path, reference: Path | None, bindings: Bindings) -> Agreement:
        def work() -> Agreement:
            onnx = reference or engine.with_suffix(".onnx")
            self._opened, agreement = open_verified(engine, onnx, bindings, self._reading, sample_pictures(onnx))
            return agreement

        return await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._lane.submit(work)

    def _leave(self) -> None:
        """Close in its thread what was opened and not handed over, also when we were cancelled on the way."""

        def close() -> None:
            if self._opened is not None:
                self._opened.close()

        self._lane.post(close)
        self._lane.close()

    def _report(self, error: EdgeAgentError) -> None:
        if isinstance(error, GpuUnavailableError) and not self._must and error.data.get("missing") == "both":
            return  # a machine without TensorRT is an ordinary machine
        kind = next((kind for meaning, kind in _KINDS if isinstance(error, meaning)), ENGINE_UNUSABLE)
        severity = Severity.DEGRADED if self._must else Severity.INFO
        _log.warning(kind.code, reason=error.message)
        self._faults.report(kind, f"{error.message}; {_MEANWHILE}", error.remedy, severity=severity)

    def _failed(self, error: EdgeAgentError) -> None:
        """Hear from the worker that the engine failed on a frame."""
        _log.error("gpu_failed", reason=error.message)
        self._faults.report(GPU_FAILED, f"{error.message}; {_MEANWHILE} again", error.remedy)


def gpu_upgrade(settings: Settings, worker: DetectorWorker, faults: FaultReporter) -> GpuUpgrade | None:
    """Return the move that the settings allow; None where the detector is to stay as it is."""
    how = settings.detector
    if how.backend not in {"auto", "tensorrt"} or worker.info.backend != "onnxruntime":
        return None
    wanted = engine_spec(how, cache_dir(os.environ, settings.state.directory))
    return GpuUpgrade(worker, wanted, postprocess_options(how), must=how.backend == "tensorrt", faults=faults)
