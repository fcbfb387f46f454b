"""Runs the detector on the newest frame, in one worker thread, so that the event loop stays free.

A detector is opened, used and closed in the same thread, as CUDA contexts demand.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from edge_agent.errors import EdgeAgentError, FatalError
from edge_agent.events import Detection, Event, Frame, Picture, Prediction
from edge_agent.faults import INFERENCE_FAILED, FaultReporter
from edge_agent.perception.vision.stillness import mark_still
from edge_agent.ports import Detector, DetectorInfo
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout, Latest
from edge_agent.runtime.threads import WorkerThread

_log = structlog.get_logger(__name__)

FAILURES_IN_A_ROW = 10
"""After failing on so many frames in a row the detector counts as broken."""
CLOSE_TIMEOUT_S = 1.0
HUNG_AFTER_S = 2.0
"""A replacement that takes this long for a frame has hung; by then the lease has expired and the train stands."""


@dataclass(frozen=True, slots=True)
class DetectorSlot:
    """A detector and the one thread in which it was opened, runs and will be closed."""

    detector: Detector
    thread: WorkerThread


class DetectorWorker:
    """One detector on one thread, which may be replaced by another between two frames.

    Args:
        opener: opens the detector; called in the thread.
        modelled_s: extra time that each inference takes on the loop's clock: models a device on a virtual clock.
        hung_after_s: how long a replacement may take for a frame.
        trial: tries the detector once it is open, in the thread, and returns what is wrong with it, for `problem`.
    """

    problem = ""

    def __init__(
        self,
        opener: Callable[[], Detector],
        *,
        modelled_s: float = 0.0,
        hung_after_s: float = HUNG_AFTER_S,
        trial: Callable[[Detector], str] | None = None,
    ) -> None:
        self._trial = trial
        self._hung_after_s = hung_after_s
        self._opener = opener
        self._modelled_s = modelled_s
        self._thread = WorkerThread("inference")
        self._slot: DetectorSlot | None = None
        self._fallback: DetectorSlot | None = None
        self._failed: list[DetectorSlot] = []
        self._before: Picture | None = None
        self._on_failure: Callable[[EdgeAgentError], None] = lambda error: None

    async def __aenter__(self) -> Self:
        """Open the detector; raises what the opener raises."""
        self._slot = DetectorSlot(await self._thread.submit(self._opener), self._thread)
        if self._trial is not None:
            self.problem = await self._thread.submit(self._trial, self._slot.detector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close each detector in its thread; one that hangs is abandoned after CLOSE_TIMEOUT_S."""
        slots = [slot for slot in (self._slot, self._fallback, *self._failed) if slot is not None]
        if slots:
            closing = {asyncio.ensure_future(slot.thread.submit(slot.detector.close)) for slot in slots}
            await asyncio.wait(closing, timeout=CLOSE_TIMEOUT_S)
        for thread in {self._thread, *(slot.thread for slot in slots)}:
            thread.close()

    @property
    def info(self) -> DetectorInfo:
        """The current backend and model."""
        return self._current_slot.detector.info

    @property
    def _current_slot(self) -> DetectorSlot:
        assert self._slot is not None, "enter the worker first"  # noqa: S101 - a mistake of ours, not of the world
        return self._slot

    def replace(self, slot: DetectorSlot, on_failure: Callable[[EdgeAgentError], None]) -> None:
        """Use another detector from the next frame on; the worker closes it in the end.

        The detector before it is kept: when the new one fails or hangs once, the old one takes over for good, in the
        same frame, and `on_failure` is called with the error.
        """
        self._fallback, self._slot, self._on_failure = self._current_slot, slot, on_failure

    async def infer(self, picture: Picture) -> tuple[tuple[Detection, ...], float]:
        """Find signs in a picture, and which of them are still; return them and the inference time in ms."""
        slot = self._current_slot
        try:
            async with asyncio.timeout(None if self._fallback is None else self._hung_after_s):
                found = await self._run(slot, picture)
        except (EdgeAgentError, TimeoutError) as failure:
            if self._fallback is None:
                raise
            self._failed.append(slot)
            self._slot, self._fallback = self._fallback, None
            self._on_failure(failure if isinstance(failure, EdgeAgentError) else FatalError("the detector hangs"))
            found = await self._run(self._slot, picture)
        self._before = picture
        if self._modelled_s:
            await asyncio.sleep(self._modelled_s)
        return found

    async def _run(self, slot: DetectorSlot, picture: Picture) -> tuple[tuple[Detection, ...], float]:
        return await slot.thread.submit(_timed, slot.detector, picture, self._before)


def _timed(detector: Detector, picture: Picture, before: Picture | None) -> tuple[tuple[Detection, ...], float]:
    image = picture.pixels()
    began_s = time.perf_counter()
    detections = detector.infer(image)
    inference_ms = (time.perf_counter() - began_s) * 1000
    return mark_still(detections, None if before is None else before.pixels(), image), inference_ms


class Inference:
    """The second task of the pipeline: newest frame in, prediction out. Frames older than `max_age_s` are dropped."""

    def __init__(
        self,
        frames: Latest[Frame],
        worker: DetectorWorker,
        *,
        max_age_s: float,
        deliver: Callable[[Prediction], None],
        observers: Fanout[Event],
        stats: RunStats,
        faults: FaultReporter,
        clock: Callable[[], float],
    ) -> None:
        self._frames = frames
        self._worker = worker
        self._max_age_s = max_age_s
        self._deliver = deliver
        self._observers = observers
        self._stats = stats
        self._faults = faults
        self._clock = clock
        self._failures = 0
        self._stale = 0
        self.trouble = ""
        """Why the detector counts as broken; empty while it works."""

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            frame = await self._frames.get()
            # A time that is not a number, or in the future, counts as too old.
            if not 0 <= self._clock() - frame.taken_s <= self._max_age_s:
                self._stale += 1
            else:
                await self._infer(frame)
            self._stats.dropped = self._frames.dropped + self._stale

    async def _infer(self, frame: Frame) -> None:
        try:
            detections, inference_ms = await self._worker.infer(frame.picture)
        except EdgeAgentError as error:
            self._failed(error)
            return
        self._failures, self.trouble = 0, ""
        width, height = frame.picture.size
        prediction = Prediction(
            frame_id=frame.frame_id,
            sequence=frame.sequence,
            taken_s=frame.taken_s,
            taken_unix_s=frame.taken_unix_s,
            width=width,
            height=height,
            detections=detections,
            inference_ms=inference_ms,
            done_s=self._clock(),
            published_size=frame.picture.published_size,
        )
        self._deliver(prediction)
        self._observers.publish(prediction)
        self._stats.prediction(prediction)

    def _failed(self, error: EdgeAgentError) -> None:
        self._stats.invalid += 1
        self._failures += 1
        if self._failures == 1:
            _log.error("inference_failed", error=str(error))
            self._faults.report(INFERENCE_FAILED, error.message, error.remedy)
        if self._failures == FAILURES_IN_A_ROW:
            self.trouble = f"the detector failed on {FAILURES_IN_A_ROW} frames in a row: {error.message}"
