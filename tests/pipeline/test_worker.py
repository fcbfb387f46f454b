"""The detector's thread: another detector takes over between two frames, and hands back when it fails."""

import asyncio
import threading

from edge_agent.errors import FatalError
from edge_agent.events import Detection
from edge_agent.perception.vision import CameraPicture
from edge_agent.pipeline import DetectorSlot, DetectorWorker
from edge_agent.runtime.threads import WorkerThread
from tests.pipeline.fakes import DANGER, GREY, FakeDetector


async def test_worker_hands_frames_to_the_new_detector_and_closes_both_in_the_end() -> None:
    old, new = FakeDetector(lambda call: ()), FakeDetector(lambda call: (DANGER,))
    async with DetectorWorker(lambda: old) as worker:
        assert (await worker.infer(CameraPicture(GREY)))[0] == ()
        worker.replace(DetectorSlot(new, WorkerThread("new")), lambda error: None)
        assert (await worker.infer(CameraPicture(GREY)))[0] == (DANGER,)
    assert (old.calls, old.closed, new.closed) == (1, True, True)


async def test_worker_marks_what_has_not_changed_since_the_picture_before() -> None:
    other = GREY.copy()
    other[20:40, 10:20] = 250
    pictures = [CameraPicture(image) for image in (GREY, GREY, other, other)]
    async with DetectorWorker(lambda: FakeDetector(lambda call: (DANGER,))) as worker:
        found = [(await worker.infer(picture))[0] for picture in pictures]
    assert [one.still for (one,) in found] == [False, True, False, True]


async def test_worker_goes_back_in_the_same_frame_when_the_new_detector_fails() -> None:
    def fail(call: int) -> tuple[Detection, ...]:
        raise FatalError("the GPU failed")

    old, new = FakeDetector(lambda call: (DANGER,)), FakeDetector(fail)
    failures: list[str] = []
    async with DetectorWorker(lambda: old) as worker:
        worker.replace(DetectorSlot(new, WorkerThread("new")), lambda error: failures.append(str(error)))
        assert [(await worker.infer(CameraPicture(GREY)))[0] for _ in range(2)] == [(DANGER,)] * 2
    assert (failures, new.calls, old.closed, new.closed) == (["the GPU failed"], 1, True, True)


async def test_worker_goes_back_when_the_new_detector_hangs() -> None:
    go_on = threading.Event()

    def hang(call: int) -> tuple[Detection, ...]:
        go_on.wait(30)
        return ()

    failures: list[str] = []
    async with DetectorWorker(lambda: FakeDetector(lambda call: (DANGER,)), hung_after_s=0.01) as worker:
        worker.replace(DetectorSlot(FakeDetector(hang), WorkerThread("new")), lambda error: failures.append(str(error)))
        assert (await worker.infer(CameraPicture(GREY)))[0] == (DANGER,)
        go_on.set()
    assert failures == ["the detector hangs"]


async def test_replacing_does_not_touch_the_frame_that_is_being_seen() -> None:
    going, looking = threading.Event(), threading.Event()

    def slow(call: int) -> tuple[Detection, ...]:
        looking.set()
        going.wait(30)
        return (DANGER,)

    old, new = FakeDetector(slow), FakeDetector(lambda call: ())
    async with DetectorWorker(lambda: old) as worker:
        frame = asyncio.create_task(worker.infer(CameraPicture(GREY)))
        await asyncio.to_thread(looking.wait, 30)
        worker.replace(DetectorSlot(new, WorkerThread("new")), lambda error: None)
        going.set()
        assert (await frame)[0] == (DANGER,)
        assert (await worker.infer(CameraPicture(GREY)))[0] == ()
