"""Devices and streams behind the Camera port: which picture they return, how old it is, and which ones are repeats."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from edge_agent.errors import RetryableError
from edge_agent.perception.camera.live import same_picture
from tests.perception.camera.harness import LONG, SHORT, CameraHarness, running, serial
from tests.perception.camera.pictures import FakeCapture, grey


async def test_grab_gives_the_newest_picture_and_its_arrival() -> None:
    harness = CameraHarness(FakeCapture(grey(1)))
    async with running(harness) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.taken_s, shot.image.mean()) == (1, 1000.0, 1.0)
        assert camera.live


async def test_grab_without_news_returns_the_last_picture_again() -> None:
    harness = CameraHarness(FakeCapture(grey(1)), fps=SHORT)
    async with running(harness) as camera:
        assert [await serial(camera) for _ in range(3)] == [1, 1, 1]


async def test_grab_waits_for_the_picture_that_is_about_to_come() -> None:
    capture = FakeCapture(grey(1))
    async with running(CameraHarness(capture)) as camera:
        assert await serial(camera) == 1
        waiting = asyncio.create_task(camera.grab())
        await asyncio.sleep(0)
        capture.give(grey(2))
        shot = await waiting
        assert shot is not None
        assert (shot.serial, shot.image.mean()) == (2, 2.0)


async def test_slow_caller_misses_pictures_and_gets_the_newest() -> None:
    capture = FakeCapture(grey(1), grey(2), grey(3))
    async with running(CameraHarness(capture)) as camera:
        seen = 0
        while seen < 3:
            seen = await serial(camera)
        assert seen == 3


async def test_frozen_picture_keeps_serial_and_age_and_is_counted() -> None:
    harness = CameraHarness(capture := FakeCapture(grey(1)))
    async with running(harness) as camera:
        assert await serial(camera) == 1
        harness.clock.now_s += 0.5
        capture.give(grey(1))
        capture.give(grey(1))
        harness.be(SHORT)
        shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.taken_s) == (1, 1000.0)
        harness.be(LONG)
        capture.give(grey(2))
        assert await serial(camera) == 2
        assert camera.repeats == 2


async def test_old_buffers_handed_over_in_turn_are_no_new_pictures() -> None:
    harness = CameraHarness(capture := FakeCapture(*map(grey, range(32))))
    async with running(harness) as camera:
        while await serial(camera) < 32:
            pass
        harness.clock.now_s += 0.5
        for _ in range(3):
            for n in range(32):
                capture.give(grey(n))
        harness.be(SHORT)
        while camera.repeats < 96:
            shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.taken_s) == (32, 1000.0)


async def test_driver_stamp_that_goes_back_is_an_old_buffer() -> None:
    capture = FakeCapture()
    capture.give(grey(1), stamp_ms=999_900.0)
    async with running(CameraHarness(capture, stamped=True)) as camera:
        await camera.grab()
        capture.give(grey(2), stamp_ms=999_800.0)
        capture.give(grey(3), stamp_ms=999_950.0)
        shot = await camera.grab()
        assert shot is not None
        assert shot.image.mean() == 3.0


async def test_driver_stamp_gives_the_true_age_and_an_old_buffer() -> None:
    capture = FakeCapture()
    capture.give(grey(1), stamp_ms=999_900.0)
    async with running(CameraHarness(capture, stamped=True)) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert shot.taken_s == pytest.approx(999.9)
        capture.give(grey(2), stamp_ms=999_900.0)  # the buffer was not filled anew
        capture.give(grey(3), stamp_ms=999_950.0)
        shot = await camera.grab()
        assert shot is not None
        assert (shot.serial, shot.image.mean(), shot.taken_s) == (2, 3.0, pytest.approx(999.95))


async def test_stream_that_is_late_has_pictures_of_that_age() -> None:
    capture = FakeCapture()
    capture.give(grey(1), stamp_ms=0.0)
    harness = CameraHarness(capture, has_time_stamps=lambda _: True)
    async with running(harness) as camera:
        shots = [await camera.grab()]
        harness.clock.now_s += 0.5
        capture.give(grey(2), stamp_ms=100.0)
        shots.append(await camera.grab())
        found = [(shot.lag_s, shot.taken_s) for shot in shots if shot is not None]
        assert found == [(0.0, 1000.0), (pytest.approx(0.4, abs=1e-3), pytest.approx(1000.1, abs=1e-3))]


async def test_stream_without_time_stamps_has_an_unknown_lag_and_a_device_has_none() -> None:
    for more, lag_s in (({"has_time_stamps": lambda _: False}, None), ({}, 0.0)):
        async with running(CameraHarness(FakeCapture(grey(1)), **more)) as camera:
            shot = await camera.grab()
            assert shot is not None
            assert (shot.lag_s, shot.taken_s) == (lag_s, 1000.0)


async def test_stream_that_is_too_late_is_opened_again() -> None:
    captures = FakeCapture(), FakeCapture(grey(3))
    captures[0].give(grey(1), stamp_ms=0.0)
    harness = CameraHarness(*captures, has_time_stamps=lambda _: True)
    async with running(harness) as camera:
        await camera.grab()
        harness.clock.now_s += 1.5
        captures[0].give(grey(2), stamp_ms=100.0)
        await camera.grab()
        harness.clock.now_s += 1.5
        captures[0].give(grey(3), stamp_ms=200.0)
        with pytest.raises(RetryableError, match=r"its pictures are 2\.8 s late"):
            await camera.grab()
        harness.clock.now_s += 0.6
        shot = await camera.grab()
        assert shot is not None
        assert (shot.image.mean(), shot.lag_s, camera.reopened) == (3.0, 0.0, 1)


@pytest.mark.parametrize("stamp_ms", [0.0, 1.7e12, 5_000.0])
async def test_driver_stamp_of_another_clock_is_not_believed(stamp_ms: float) -> None:
    capture = FakeCapture()
    capture.give(grey(1), stamp_ms)
    async with running(CameraHarness(capture, stamped=True)) as camera:
        shot = await camera.grab()
        assert shot is not None
        assert shot.taken_s == 1000.0


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
