"""Frames from camera to prediction: paced, newest only, and honest about what is lost."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from edge_agent.errors import FatalError, RetryableError
from edge_agent.events import Box, Detection, Event, Fault, Frame, Prediction
from edge_agent.faults import FaultReporter
from edge_agent.perception.vision import Turn
from edge_agent.pipeline import Capture, CaptureParameters, DetectorWorker, Inference
from edge_agent.pipeline.inference import FAILURES_IN_A_ROW
from edge_agent.ports import Shot
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout, Latest
from edge_agent.simulation.clock import run_virtual
from tests.pipeline.fakes import DANGER, GREY, FakeDetector

PACE = CaptureParameters(fps=10.0, width=60, height=40, retry_for_s=5.0)
Sizes = dict[int, tuple[int, int]]
"""Height and width of the pictures that are not like GREY, by serial number."""


class ScriptedCamera:
    """A camera that plays a script: serial numbers of pictures, errors to raise, or the end (None)."""

    source, live = "script", True
    age_s = 0.0
    """Age that the pictures claim to have."""
    lags_s: tuple[float | None, ...] = ()
    """Lag of each picture, by its number."""
    any_size = False
    upright = False

    def __init__(
        self, *steps: int | Exception | None, truth: tuple[Detection, ...] | None = None, sizes: Sizes | None = None
    ) -> None:
        self._steps: Iterator[int | Exception | None] = itertools.chain(steps, itertools.repeat(None))
        self._truth = truth
        self._sizes = sizes or {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def grab(self) -> Shot | None:
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        image = np.full((*self._sizes[step], 3), 128, np.uint8) if step in self._sizes else GREY
        lag_s = self.lags_s[step] if self.lags_s else 0.0
        taken_s = asyncio.get_running_loop().time() - self.age_s
        return Shot(image, taken_s, step, self._truth, lag_s, self.any_size, self.upright)


class Pipeline:
    """Camera, slot, worker and stats of one run, with everything that came out of it."""

    def __init__(
        self,
        camera: ScriptedCamera,
        detector: FakeDetector,
        modelled_s: float = 0.0,
        parameters: CaptureParameters = PACE,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.stats = RunStats(started_s=clock())
        self.predictions: list[Prediction] = []
        observers: Fanout[Event] = Fanout()
        self.events = observers.subscribe("test", 10_000)
        frames: Latest[Frame] = Latest()
        self.published: list[Event] = []
        self.detector = detector
        self.worker = DetectorWorker(lambda: detector, modelled_s=modelled_s)
        reporter = FaultReporter(lambda report: observers.publish(report.at(clock())), clock)
        self.capture = Capture(
            camera, frames, parameters, observers=observers, stats=self.stats, faults=reporter, clock=clock
        )
        self.inference = Inference(
            frames,
            self.worker,
            max_age_s=0.3,
            deliver=self.predictions.append,
            observers=observers,
            stats=self.stats,
            faults=reporter,
            clock=clock,
        )

    async def run(self) -> None:
        async with self.worker:
            inferring = asyncio.create_task(self.inference.run())
            try:
                await self.capture.run()
                await asyncio.sleep(10.0)
            finally:
                inferring.cancel()


def play(
    *steps: int | Exception | None,
    answer: Callable[[int], tuple[Detection, ...]] = lambda call: (DANGER,),
    modelled_s: float = 0.0,
    truth: tuple[Detection, ...] | None = None,
    sizes: Sizes | None = None,
    live: bool = True,
    any_size: bool = False,
    age_s: float = 0.0,
    lags_s: tuple[float | None, ...] = (),
    parameters: CaptureParameters = PACE,
    upright: bool = False,
) -> Pipeline:
    """Run a script to its end and ten seconds on, on a virtual clock."""

    async def main() -> Pipeline:
        camera = ScriptedCamera(*steps, truth=truth, sizes=sizes)
        camera.upright = upright
        camera.live, camera.any_size, camera.age_s, camera.lags_s = live, any_size, age_s, lags_s
        pipeline = Pipeline(camera, FakeDetector(answer), modelled_s, parameters)
        await pipeline.run()
        pipeline.published = [await pipeline.events.get() for _ in range(len(pipeline.events))]
        return pipeline

    return run_virtual(main(), start_s=1000.0)


def faults(pipeline: Pipeline) -> list[tuple[str, bool]]:
    return [(event.code, event.active) for event in pipeline.published if isinstance(event, Fault)]


def test_each_picture_becomes_a_frame_of_the_configured_size_and_a_prediction() -> None:
    pipeline = play(*range(5))
    frames = [event for event in pipeline.published if isinstance(event, Frame)]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    assert {frame.image.shape for frame in frames} == {(40, 60, 3)}
    assert [frame.taken_s for frame in frames] == pytest.approx([1000.0, 1000.1, 1000.2, 1000.3, 1000.4])
    assert [p.frame_id for p in pipeline.predictions] == [frame.frame_id for frame in frames]
    assert len({frame.frame_id for frame in frames}) == 5
    assert (pipeline.stats.captured, pipeline.stats.processed, pipeline.stats.dropped) == (5, 5, 0)


def test_frame_carries_wall_time_of_the_picture() -> None:
    before_s = time.time()
    pipeline = play(0)
    (frame,) = (event for event in pipeline.published if isinstance(event, Frame))
    assert before_s - 1 < frame.taken_unix_s < time.time() + 1


def test_truth_is_turned_with_the_picture() -> None:
    parameters = replace(PACE, turn=Turn(90))
    pipeline = play(0, truth=(DANGER,), parameters=parameters)
    (frame,) = (event for event in pipeline.published if isinstance(event, Frame))
    assert (frame.picture.size, frame.picture.published_size) == ((80, 120), (27, 40))
    assert frame.truth == (Detection("danger", 0.9, Box(40, 10, 60, 30)),)
    assert (pipeline.predictions[0].width, pipeline.predictions[0].height) == (80, 120)


def test_picture_that_is_upright_already_is_not_turned_again() -> None:
    """A recording of the agent, or the simulator, with the settings of a camera that is mounted on its side."""
    pipeline = play(0, truth=(DANGER,), parameters=replace(PACE, turn=Turn(90)), upright=True)
    (frame,) = (event for event in pipeline.published if isinstance(event, Frame))
    assert (frame.picture.size, frame.truth, pipeline.detector.shapes) == ((120, 80), (DANGER,), [(80, 120, 3)])


@pytest.mark.parametrize(("keep_aspect", "published"), [(True, (30, 40)), (False, (60, 40))])
def test_detector_gets_the_cameras_pixels_and_observers_boxes_that_fit_their_picture(
    *, keep_aspect: bool, published: tuple[int, int]
) -> None:
    pipeline = play(0, sizes={0: (80, 60)}, parameters=replace(PACE, keep_aspect=keep_aspect))
    (frame,) = (event for event in pipeline.published if isinstance(event, Frame))
    assert pipeline.detector.shapes == [(80, 60, 3)]
    assert frame.image.shape == (published[1], published[0], 3)
    (prediction,) = pipeline.predictions
    assert (prediction.width, prediction.height, prediction.detections) == (60, 80, (DANGER,))
    seen = prediction.published()
    x, y = published[0] / 60, published[1] / 80
    assert (seen.width, seen.height) == published
    assert seen.detections == (Detection("danger", 0.9, Box(10 * x, 20 * y, 30 * x, 40 * y)),)


def test_picture_served_twice_is_no_new_frame() -> None:
    pipeline = play(0, 0, 0, 1)
    assert (pipeline.stats.captured, pipeline.stats.repeated, pipeline.stats.processed) == (2, 2, 2)


def test_detector_three_times_too_slow_gets_the_newest_frames_and_drops_are_counted() -> None:
    pipeline = play(*range(30), modelled_s=0.29)
    assert pipeline.stats.processed + pipeline.stats.dropped == pipeline.stats.captured == 30
    assert 10 <= pipeline.stats.processed <= 12
    oldest_s = max(
        p.done_s - p.taken_s for p in pipeline.predictions[:-1]
    )  # nothing newer came to replace the last one
    assert oldest_s < 0.29 + 0.1 + 1e-6, "a frame never waits longer than one period"


@pytest.mark.parametrize("age_s", [0.31, -0.01, float("nan"), float("inf")])
def test_picture_too_old_or_with_an_impossible_time_is_dropped(age_s: float) -> None:
    pipeline = play(*range(5), age_s=age_s)
    assert (pipeline.stats.captured, pipeline.stats.processed, pipeline.stats.dropped) == (5, 0, 5)


def test_late_stream_is_reported_until_it_is_in_time_again() -> None:
    pipeline = play(*range(6), lags_s=(0.0, 0.15, 0.25, 0.3, 0.15, 0.05))
    assert faults(pipeline) == [("camera_late", True), ("camera_late", False)]


def test_stream_whose_lag_cannot_be_known_is_reported_once() -> None:
    assert faults(play(*range(6), lags_s=(None,) * 6)) == [("camera_lag_unknown", True)]


def test_lost_camera_is_reported_once_and_when_it_is_back() -> None:
    gone = RetryableError("unplugged")
    pipeline = play(0, gone, gone, gone, 1)
    assert faults(pipeline) == [("camera_lost", True), ("camera_lost", False)]
    assert pipeline.stats.processed == 2


def test_camera_lost_for_too_long_ends_the_run() -> None:
    with pytest.raises(FatalError, match="did not come back in 5 s"):
        play(0, *[RetryableError("unplugged")] * 100)


def test_detector_that_fails_on_one_frame_goes_on_with_the_next() -> None:
    def answer(call: int) -> tuple[Detection, ...]:
        if call == 2:
            raise FatalError("the network's output is not a number")
        return ()

    pipeline = play(*range(4), answer=answer)
    assert (pipeline.stats.invalid, pipeline.stats.processed) == (1, 3)
    assert faults(pipeline) == [("inference_failed", True)]
    assert pipeline.inference.trouble == ""


def test_detector_that_fails_ten_times_in_a_row_counts_as_broken_until_it_works() -> None:
    def answer(call: int) -> tuple[Detection, ...]:
        if call <= FAILURES_IN_A_ROW:
            raise FatalError("NaN")
        return ()

    assert "10 frames in a row: NaN" in play(*range(FAILURES_IN_A_ROW), answer=answer).inference.trouble
    assert play(*range(FAILURES_IN_A_ROW + 1), answer=answer).inference.trouble == ""


def test_prediction_has_size_and_times() -> None:
    (prediction,) = play(0, modelled_s=0.02).predictions
    assert (prediction.width, prediction.height, prediction.published_size) == (120, 80, (60, 40))
    assert prediction.done_s - prediction.taken_s == pytest.approx(0.02)
    assert prediction.detections == (DANGER,)


def test_detector_is_closed_at_the_end() -> None:
    assert play(0).detector.closed


@pytest.mark.parametrize("live", [True, False])
def test_picture_of_another_size_is_not_used_and_reported_once(live: bool) -> None:
    pipeline = play(*range(6), sizes={2: (60, 120), 3: (60, 120), 4: (60, 120)}, live=live)
    assert (pipeline.stats.captured, pipeline.stats.invalid, pipeline.stats.processed) == (3, 3, 3)
    assert faults(pipeline) == [("camera_changed", True), ("camera_changed", False)]
    assert "120x60 now, and were 120x80" in next(e.message for e in pipeline.published if isinstance(e, Fault))


def test_pictures_of_a_folder_may_differ_in_size() -> None:
    pipeline = play(*range(4), sizes={2: (60, 120)}, any_size=True)
    assert (pipeline.stats.captured, pipeline.stats.invalid, faults(pipeline)) == (4, 0, [])


def test_paused_capture_takes_no_pictures() -> None:
    async def main() -> Pipeline:
        pipeline = Pipeline(ScriptedCamera(*range(1000)), FakeDetector(lambda call: ()))
        running = asyncio.create_task(pipeline.run())
        await asyncio.sleep(0.55)
        pipeline.capture.pause(True)
        await asyncio.sleep(5.0)
        assert pipeline.stats.captured == 6
        pipeline.capture.pause(False)
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return pipeline

    assert run_virtual(main()).stats.captured == 11
