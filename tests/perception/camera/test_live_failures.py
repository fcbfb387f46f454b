"""Devices and streams behind the Camera port: every way in which they fail, and how they recover."""

import asyncio

import cv2
import numpy as np
import pytest

from edge_agent.errors import FatalError, RetryableError
from edge_agent.perception.camera import LiveTimeouts
from edge_agent.simulation.clock import run_virtual
from tests.perception.camera.harness import LONG, SHORT, CameraHarness, running, serial
from tests.perception.camera.pictures import SPOILT, FakeCapture, grey


async def test_unplugged_camera_is_reported_and_comes_back() -> None:
    harness = CameraHarness(FakeCapture(grey(1)), FakeCapture(opened=False), FakeCapture(grey(2)))
    async with running(harness) as camera:
        await camera.grab()
        harness.captures[0].give(None)
        with pytest.raises(RetryableError, match="no more pictures; plug it in"):
            await camera.grab()
        with pytest.raises(RetryableError):
            await camera.grab()
        assert harness.opened == 1, "opened again before the pause was over"
        harness.clock.now_s += 0.5
        with pytest.raises(RetryableError, match="cannot be opened"):
            await camera.grab()
        harness.clock.now_s += 0.9
        with pytest.raises(RetryableError):
            await camera.grab()
        assert harness.opened == 2, "the pause did not double"
        harness.clock.now_s += 0.1
        assert await serial(camera) == 2
        assert camera.reopened == 1
        assert harness.captures[0].released.is_set()


async def test_pause_grows_to_its_limit_and_starts_again_after_a_picture() -> None:
    harness = CameraHarness(FakeCapture(grey(1)), *(FakeCapture(opened=False) for _ in range(4)), FakeCapture(grey(2)))
    async with running(harness) as camera:
        await camera.grab()
        harness.captures[0].give(None)
        for pause_s in (0.5, 1.0, 2.0, 4.0, 4.0):
            with pytest.raises(RetryableError):
                await camera.grab()
            harness.clock.now_s += pause_s
        assert await serial(camera) == 2
        harness.captures[-1].give(None)
        with pytest.raises(RetryableError):
            await camera.grab()
        assert harness.camera._retry_at_s == harness.clock.now_s + 0.5


async def test_read_that_blocks_is_abandoned_and_the_source_opened_again() -> None:
    harness = CameraHarness(FakeCapture(grey(1)), FakeCapture(grey(2)), fps=SHORT)
    async with running(harness) as camera:
        await camera.grab()
        harness.clock.now_s += 1.9
        assert await serial(camera) == 1
        harness.clock.now_s += 0.2
        with pytest.raises(RetryableError, match=r"no new picture for 2\.1 s"):
            await camera.grab()
        harness.clock.now_s += 0.5
        harness.be(LONG)
        assert await serial(camera) == 2


async def test_late_picture_of_an_abandoned_reader_is_not_served() -> None:
    harness = CameraHarness(FakeCapture(grey(1)), FakeCapture(grey(2)), fps=SHORT)
    async with running(harness) as camera:
        await camera.grab()
        harness.clock.now_s += 3
        with pytest.raises(RetryableError):
            await camera.grab()
        harness.captures[0].give(grey(99))
        assert await asyncio.to_thread(harness.captures[0].released.wait, 10), "its thread went on"
        harness.clock.now_s += 0.5
        harness.be(LONG)
        shot = await camera.grab()
        assert shot is not None
        assert shot.image.mean() == 2


async def test_device_that_hangs_again_and_again_does_not_accumulate_threads() -> None:
    harness = CameraHarness(FakeCapture(grey(1)), *(FakeCapture() for _ in range(9)), fps=SHORT)
    async with running(harness) as camera:
        await camera.grab()
        for _ in range(20):
            if harness.opened:
                assert await asyncio.to_thread(harness.captures[harness.opened - 1].blocked.wait, 10)
            harness.clock.now_s += 11
            with pytest.raises(RetryableError):
                await camera.grab()
        assert harness.opened == 3


async def test_pictures_that_are_none_end_the_reader() -> None:
    async with running(CameraHarness(capture := FakeCapture(grey(1)))) as camera:
        assert await serial(camera) == 1
        for _ in range(10):
            capture.give(np.zeros((0, 0, 3), np.uint8))
        with pytest.raises(RetryableError, match="no usable pictures"):
            await camera.grab()


async def test_spoilt_picture_does_not_end_the_camera() -> None:
    capture = FakeCapture(grey(1), SPOILT, SPOILT, grey(2))
    async with running(CameraHarness(capture)) as camera:
        await asyncio.to_thread(capture.blocked.wait, 10)
        shot = await camera.grab()
        assert shot is not None
        assert shot.image[0, 0, 0] == 2
        assert camera.reopened == 0


async def test_grey_camera_gives_bgr() -> None:
    async with running(CameraHarness(FakeCapture(np.full((64, 96), 7, np.uint8)))) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert shot.image.shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("capture", "message"),
    [(FakeCapture(opened=False), "cannot be opened"), (FakeCapture(None), "no more pictures")],
    ids=["closed", "silent"],
)
async def test_source_that_gives_nothing_at_the_start_is_retryable(capture: FakeCapture, message: str) -> None:
    with pytest.raises(RetryableError, match=f"camera cam: it .*{message}|{message}"):
        async with running(CameraHarness(capture)):
            pass


async def test_source_that_does_not_answer_at_the_start_is_abandoned_in_time() -> None:
    harness = CameraHarness(FakeCapture(), timeouts=LiveTimeouts(open_s=0.01))
    with pytest.raises(RetryableError, match="no picture arrived in time"):
        async with running(harness):
            pass


async def test_source_that_failed_at_the_start_may_be_entered_again() -> None:
    harness = CameraHarness(FakeCapture(opened=False), FakeCapture(grey(1)))
    with pytest.raises(RetryableError):
        await harness.camera.__aenter__()
    async with running(harness) as camera:
        assert await serial(camera) == 1


async def test_leaving_during_a_blocked_read_is_bounded_and_releases_later() -> None:
    capture = FakeCapture(grey(1))
    harness = CameraHarness(capture, timeouts=LiveTimeouts(close_s=0.01))
    async with harness.camera as camera:
        await camera.grab()
        assert await asyncio.to_thread(capture.blocked.wait, 10)
    assert not capture.released.is_set()
    capture.give(None)
    assert await asyncio.to_thread(capture.released.wait, 10)


async def test_error_inside_opencv_is_reported_as_a_lost_camera() -> None:
    class Broken(FakeCapture):
        def grab(self) -> bool:
            raise cv2.error("bad")

    with pytest.raises(RetryableError, match="reading it failed"):
        async with running(CameraHarness(Broken())):
            pass


def test_live_source_on_a_simulated_clock_is_refused() -> None:
    harness = CameraHarness(FakeCapture(grey(1)))

    async def main() -> None:
        async with running(harness):
            pass

    with pytest.raises(FatalError, match="simulated clock"):
        run_virtual(main())
    assert harness.opened == 0
