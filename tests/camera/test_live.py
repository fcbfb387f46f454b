"""Devices and streams behind the Camera port: every way in which they fail, and how they come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import cv2
import numpy as np
import pytest

from edge_agent.camera import LiveCamera, Patience
from edge_agent.camera.reader import same_picture
from edge_agent.errors import FatalError, RetryableError
from edge_agent.sim.clock import run_virtual
from tests.camera.pictures import FakeCapture, grey

LONG = 0.05
"""Frames a second that let `grab` wait as long as a test may take: it returns as soon as there is news."""
SHORT = 1000.0
"""Frames a second at which `grab` hardly waits, for when there is nothing to wait for."""
PATIENCE = Patience(open_s=10, stall_s=2, retry_initial_s=0.5, retry_max_s=4, goodbye_s=10)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Bench:
    """A live camera on captures that the test made; each opening takes the next one."""

    def __init__(self, *captures: FakeCapture, fps: float = LONG, patience: Patience = PATIENCE, **more: bool) -> None:
        self.captures = captures
        self.opened = 0
        self.clock = Clock()
        self.camera = LiveCamera(
            "cam",
            self._open,
            fps=fps,
            remedy=lambda: "plug it in",
            patience=patience,
            clock=self.clock,
            **more,
        )

    def _open(self) -> FakeCapture:
        self.opened += 1
        return self.captures[self.opened - 1]

    def be(self, fps: float) -> None:
        """Change how long `grab` waits."""
        self.camera._wait_s = 0.9 / fps

    def unblock(self) -> None:
        for capture in self.captures:
            capture.give(None)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[LiveCamera]:
    try:
        async with bench.camera as camera:
            yield camera
            bench.unblock()
    finally:
        bench.unblock()


async def serial(camera: LiveCamera) -> int:
    shot = await camera.grab()
    assert shot is not None
    return shot.serial


async def test_grab_gives_the_newest_picture_and_its_arrival() -> None:
    bench = Bench(FakeCapture(grey(1)))
    async with running(bench) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.taken_s, shot.image.mean()) == (1, 1000.0, 1.0)
        assert camera.live


async def test_grab_without_news_returns_the_last_picture_again() -> None:
    bench = Bench(FakeCapture(grey(1)), fps=SHORT)
    async with running(bench) as camera:
        assert [await serial(camera) for _ in range(3)] == [1, 1, 1]


async def test_grab_waits_for_the_picture_that_is_about_to_come() -> None:
    capture = FakeCapture(grey(1))
    async with running(Bench(capture)) as camera:
        assert await serial(camera) == 1
        waiting = asyncio.create_task(camera.grab())
        await asyncio.sleep(0)
        capture.give(grey(2))
        shot = await waiting
        assert shot is not None
        assert (shot.serial, shot.image.mean()) == (2, 2.0)


async def test_slow_caller_misses_pictures_and_gets_the_newest() -> None:
    capture = FakeCapture(grey(1), grey(2), grey(3))
    async with running(Bench(capture)) as camera:
        seen = 0
        while seen < 3:
            seen = await serial(camera)
        assert seen == 3


async def test_frozen_picture_keeps_serial_and_age_and_is_counted() -> None:
    bench = Bench(capture := FakeCapture(grey(1)))
    async with running(bench) as camera:
        assert await serial(camera) == 1
        bench.clock.now_s += 0.5
        capture.give(grey(1))
        capture.give(grey(1))
        bench.be(SHORT)
        shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.taken_s) == (1, 1000.0)
        bench.be(LONG)
        capture.give(grey(2))
        assert await serial(camera) == 2
        assert camera.repeats == 2


async def test_old_buffers_handed_over_in_turn_are_no_new_pictures() -> None:
    bench = Bench(capture := FakeCapture(*map(grey, range(32))))
    async with running(bench) as camera:
        while await serial(camera) < 32:
            pass
        bench.clock.now_s += 0.5
        for _ in range(3):
            for n in range(32):
                capture.give(grey(n))
        bench.be(SHORT)
        while camera.repeats < 96:
            shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.taken_s) == (32, 1000.0)


async def test_driver_stamp_that_goes_back_is_an_old_buffer() -> None:
    capture = FakeCapture()
    capture.give(grey(1), stamp_ms=999_900.0)
    async with running(Bench(capture, stamped=True)) as camera:
        await camera.grab()
        capture.give(grey(2), stamp_ms=999_800.0)
        capture.give(grey(3), stamp_ms=999_950.0)
        shot = await camera.grab()
        assert shot is not None
        assert shot.image.mean() == 3.0


async def test_driver_stamp_tells_the_true_age_and_an_old_buffer() -> None:
    capture = FakeCapture()
    capture.give(grey(1), stamp_ms=999_900.0)
    async with running(Bench(capture, stamped=True)) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert shot.taken_s == pytest.approx(999.9)
        capture.give(grey(2), stamp_ms=999_900.0)  # the buffer was not filled anew
        capture.give(grey(3), stamp_ms=999_950.0)
        shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.image.mean(), shot.taken_s) == (2, 3.0, pytest.approx(999.95))


@pytest.mark.parametrize("stamp_ms", [0.0, 1.7e12, 5_000.0])
async def test_driver_stamp_of_another_clock_is_not_believed(stamp_ms: float) -> None:
    capture = FakeCapture()
    capture.give(grey(1), stamp_ms)
    async with running(Bench(capture, stamped=True)) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert shot.taken_s == 1000.0


async def test_unplugged_camera_is_reported_and_comes_back() -> None:
    bench = Bench(FakeCapture(grey(1)), FakeCapture(opened=False), FakeCapture(grey(2)))
    async with running(bench) as camera:
        await camera.grab()
        bench.captures[0].give(None)
        with pytest.raises(RetryableError, match="no more pictures; plug it in"):
            await camera.grab()
        with pytest.raises(RetryableError):
            await camera.grab()
        assert bench.opened == 1, "opened again before the pause was over"
        bench.clock.now_s += 0.5
        with pytest.raises(RetryableError, match="cannot be opened"):
            await camera.grab()
        bench.clock.now_s += 0.9
        with pytest.raises(RetryableError):
            await camera.grab()
        assert bench.opened == 2, "the pause did not double"
        bench.clock.now_s += 0.1
        assert await serial(camera) == 2
        assert camera.reopened == 1
        assert bench.captures[0].released.is_set()


async def test_pause_grows_to_its_limit_and_starts_anew_after_a_picture() -> None:
    bench = Bench(FakeCapture(grey(1)), *(FakeCapture(opened=False) for _ in range(4)), FakeCapture(grey(2)))
    async with running(bench) as camera:
        await camera.grab()
        bench.captures[0].give(None)
        for pause_s in (0.5, 1.0, 2.0, 4.0, 4.0):
            with pytest.raises(RetryableError):
                await camera.grab()
            bench.clock.now_s += pause_s
        assert await serial(camera) == 2
        bench.captures[-1].give(None)
        with pytest.raises(RetryableError):
            await camera.grab()
        assert bench.camera._retry_at_s == bench.clock.now_s + 0.5


async def test_read_that_blocks_is_given_up_and_the_source_opened_anew() -> None:
    bench = Bench(FakeCapture(grey(1)), FakeCapture(grey(2)), fps=SHORT)
    async with running(bench) as camera:
        await camera.grab()
        bench.clock.now_s += 1.9
        assert await serial(camera) == 1
        bench.clock.now_s += 0.2
        with pytest.raises(RetryableError, match=r"no new picture for 2\.1 s"):
            await camera.grab()
        bench.clock.now_s += 0.5
        bench.be(LONG)
        assert await serial(camera) == 2


async def test_late_picture_of_a_reader_given_up_is_not_served() -> None:
    bench = Bench(FakeCapture(grey(1)), FakeCapture(grey(2)), fps=SHORT)
    async with running(bench) as camera:
        await camera.grab()
        bench.clock.now_s += 3
        with pytest.raises(RetryableError):
            await camera.grab()
        bench.captures[0].give(grey(99))
        assert await asyncio.to_thread(bench.captures[0].released.wait, 10), "its thread went on"
        bench.clock.now_s += 0.5
        bench.be(LONG)
        shot = await camera.grab()
        assert shot is not None
        assert shot.image.mean() == 2


async def test_device_that_hangs_again_and_again_does_not_gather_threads() -> None:
    bench = Bench(FakeCapture(grey(1)), *(FakeCapture() for _ in range(9)), fps=SHORT)
    async with running(bench) as camera:
        await camera.grab()
        for _ in range(20):
            if bench.opened:
                assert await asyncio.to_thread(bench.captures[bench.opened - 1].blocked.wait, 10)
            bench.clock.now_s += 11
            with pytest.raises(RetryableError):
                await camera.grab()
        assert bench.opened == 3


async def test_pictures_that_are_none_end_the_reader() -> None:
    async with running(Bench(capture := FakeCapture(grey(1)))) as camera:
        assert await serial(camera) == 1
        for _ in range(10):
            capture.give(np.zeros((0, 0, 3), np.uint8))
        with pytest.raises(RetryableError, match="no usable pictures"):
            await camera.grab()


async def test_grey_camera_gives_bgr() -> None:
    async with running(Bench(FakeCapture(np.full((64, 96), 7, np.uint8)))) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert shot.image.shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("capture", "told"),
    [(FakeCapture(opened=False), "cannot be opened"), (FakeCapture(None), "no more pictures")],
    ids=["closed", "silent"],
)
async def test_source_that_gives_nothing_at_the_start_is_retryable(capture: FakeCapture, told: str) -> None:
    with pytest.raises(RetryableError, match=f"camera cam: it .*{told}|{told}"):
        async with running(Bench(capture)):
            pass


async def test_source_that_does_not_answer_at_the_start_is_given_up_in_time() -> None:
    bench = Bench(FakeCapture(), patience=Patience(open_s=0.01))
    with pytest.raises(RetryableError, match="no picture came in time"):
        async with running(bench):
            pass


async def test_source_that_failed_at_the_start_may_be_entered_again() -> None:
    bench = Bench(FakeCapture(opened=False), FakeCapture(grey(1)))
    with pytest.raises(RetryableError):
        await bench.camera.__aenter__()
    async with running(bench) as camera:
        assert await serial(camera) == 1


async def test_leaving_during_a_blocked_read_is_bounded_and_releases_later() -> None:
    capture = FakeCapture(grey(1))
    bench = Bench(capture, patience=Patience(goodbye_s=0.01))
    async with bench.camera as camera:
        await camera.grab()
        assert await asyncio.to_thread(capture.blocked.wait, 10)
    assert not capture.released.is_set()
    capture.give(None)
    assert await asyncio.to_thread(capture.released.wait, 10)


async def test_error_inside_opencv_is_told_as_a_lost_camera() -> None:
    class Broken(FakeCapture):
        def read(self) -> tuple[bool, object]:
            raise cv2.error("bad")

    with pytest.raises(RetryableError, match="reading it failed"):
        async with running(Bench(Broken())):
            pass


def test_live_source_on_a_simulated_clock_is_refused() -> None:
    bench = Bench(FakeCapture(grey(1)))

    async def main() -> None:
        async with running(bench):
            pass

    with pytest.raises(FatalError, match="simulated clock"):
        run_virtual(main())
    assert bench.opened == 0


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda image: image, True),
        (lambda image: image + 1, False),
        (lambda image: image[:32], False),
    ],
)
def test_same_picture_means_every_pixel(change: Callable[[np.ndarray], np.ndarray], same: bool) -> None:
    assert same_picture(grey(5), change(grey(5))) is same


def test_same_picture_sees_one_pixel_between_its_samples() -> None:
    other = grey(5)
    other[3, 3, 1] = 6
    assert not same_picture(grey(5), other)
