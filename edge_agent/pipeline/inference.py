"""Runs the detector on the newest frame, on one worker thread of its own, so that the loop stays free.

Knows threads and failures. Knows nothing of what a detection means. The detector is opened, used and closed in the same
thread, as CUDA contexts demand.
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
from edge_agent.ports import Detector, DetectorInfo
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout, Latest
from edge_agent.runtime.threads import WorkerThread

_log = structlog.get_logger(__name__)

FAILURES_IN_A_ROW = 10
"""After so many frames that could not be understood the detector counts as broken."""
CLOSE_PATIENCE_S = 1.0
HUNG_AFTER_S = 2.0
"""A detector that came later and takes this long for a frame has hung; the train stands by then: its lease is over."""


@dataclass(frozen=True, slots=True)
class DetectorSlot:
    """A detector and the one thread in which it was opened, works and will be closed."""

    detector: Detector
    lane: WorkerThread


class DetectorWorker:
    """One detector on one thread, which may be replaced by another between two frames.

    Args:
        opener: opens the detector; called in the thread.
        modelled_s: extra time that each inference takes on the loop's clock: the model of a device on a virtual clock.
        hung_after_s: how long a detector that came later may take for a frame.
    """

    def __init__(
        self, opener: Callable[[], Detector], *, modelled_s: float = 0.0, hung_after_s: float = HUNG_AFTER_S
    ) -> None:
        self._hung_after_s = hung_after_s
        self._opener = opener
        self._modelled_s = modelled_s
        self._lane = WorkerThread("inference")
        self._post: DetectorSlot | None = None
        self._spare: DetectorSlot | None = None
        self._gone: list[DetectorSlot] = []
        self._on_failure: Callable[[EdgeAgentError], None] = lambda error: None

    async def __aenter__(self) -> Self:
        """Open the detector; raises what the opener raises."""
        self._post = DetectorSlot(await self._lane.submit(self._opener), self._lane)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close each detector in its thread; one that hangs is left behind after a second."""
        posts = [post for post in (self._post, self._spare, *self._gone) if post is not None]
        if posts:
            closing = {asyncio.ensure_future(post.lane.submit(post.detector.close)) for post in posts}
            await asyncio.wait(closing, timeout=CLOSE_PATIENCE_S)
        for lane in {self._lane, *(post.lane for post in posts)}:
            lane.close()

    @property
    def info(self) -> DetectorInfo:
        """What runs."""
        return self._at_work.detector.info

    @property
    def _at_work(self) -> DetectorSlot:
        assert self._post is not None, "enter the worker first"  # noqa: S101 - a mistake of ours, not of the world
        return self._post

    def replace(self, post: DetectorSlot, on_failure: Callable[[EdgeAgentError], None]) -> None:
        """Have `post` look at the next frame; the worker closes its detector in the end.

        The detector before it is kept: it takes over for good, in the same frame, when the new one fails or hangs
        once, and `on_failure` is told why.
        """
        self._spare, self._post, self._on_failure = self._at_work, post, on_failure

    async def infer(self, picture: Picture) -> tuple[tuple[Detection, ...], float]:
        """Find signs in a picture; return them with the ms that the detector took."""
        post = self._at_work
        try:
            async with asyncio.timeout(None if self._spare is None else self._hung_after_s):
                found = await self._run(post, picture)
        except (EdgeAgentError, TimeoutError) as failure:
            if self._spare is None:
                raise
            self._gone.append(post)
            self._post, self._spare = self._spare, None
            self._on_failure(failure if isinstance(failure, EdgeAgentError) else FatalError("the detector hangs"))
            found = await self._run(self._post, picture)
        if self._modelled_s:
            await asyncio.sleep(self._modelled_s)
        return found

    async def _run(self, post: DetectorSlot, picture: Picture) -> tuple[tuple[Detection, ...], float]:
        return await post.lane.submit(_timed, post.detector, picture)


def _timed(detector: Detector, picture: Picture) -> tuple[tuple[Detection, ...], float]:
    image = picture.pixels()
    began_s = time.perf_counter()
    detections = detector.infer(image)
    return detections, (time.perf_counter() - began_s) * 1000


class Inference:
    """The second task of the pipeline: newest frame in, prediction out. Frames that grew too old are dropped."""

    def __init__(
        self,
        frames: Latest[Frame],
        worker: DetectorWorker,
        *,
        max_age_s: float,
        deliver: Callable[[Prediction], None],
        observers: Fanout[Event],
        tally: RunStats,
        faults: FaultReporter,
        clock: Callable[[], float],
    ) -> None:
        self._frames = frames
        self._worker = worker
        self._max_age_s = max_age_s
        self._deliver = deliver
        self._observers = observers
        self._tally = tally
        self._faults = faults
        self._clock = clock
        self._failures = 0
        self._stale = 0
        self.trouble = ""
        """Why the detector counts as broken; empty while it works."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            frame = await self._frames.get()
            if self._clock() - frame.taken_s > self._max_age_s:
                self._stale += 1
            else:
                await self._understand(frame)
            self._tally.dropped = self._frames.dropped + self._stale

    async def _understand(self, frame: Frame) -> None:
        try:
            detections, inference_ms = await self._worker.infer(frame.picture)
        except EdgeAgentError as error:
            self._failed(error)
            return
        self._failures, self.trouble = 0, ""
        height, width = frame.image.shape[:2]
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
        )
        self._deliver(prediction)
        self._observers.publish(prediction)
        self._tally.prediction(prediction)

    def _failed(self, error: EdgeAgentError) -> None:
        self._tally.invalid += 1
        self._failures += 1
        if self._failures == 1:
            _log.error("inference_failed", error=str(error))
            self._faults.report(INFERENCE_FAILED, error.message, error.remedy)
        if self._failures == FAILURES_IN_A_ROW:
            self.trouble = f"the detector failed on {FAILURES_IN_A_ROW} frames in a row: {error.message}"
