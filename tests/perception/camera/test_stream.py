"""Real network streams through FFmpeg: motion JPEG and MPEG-TS from a server on this machine."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from edge_agent.errors import RetryableError
from edge_agent.perception.camera import LiveCamera, LiveTimeouts, open_camera
from edge_agent.perception.camera.ffmpeg import StreamCapture
from tests.support.streams import FPS, PICTURES, rtsp_server, stream_server


@pytest.fixture
def server() -> Iterator[str]:
    with stream_server() as address:
        yield address


async def test_stream_is_read_to_its_end_and_opened_again(server: str) -> None:
    timeouts = LiveTimeouts(retry_initial_s=0.01, retry_max_s=0.01)
    camera = open_camera(f"{server}/live?token=abc", fps=5, width_hint=96, height_hint=64, timeouts=timeouts)
    assert isinstance(camera, LiveCamera)
    serials: list[int] = []
    complaints: list[str] = []
    async with asyncio.timeout(30), camera:
        while camera.reopened == 0:
            try:
                shot = await camera.grab()
            except RetryableError as error:
                complaints.append(str(error))
                await asyncio.sleep(0)
            else:
                assert shot is not None
                assert shot.image.shape == (64, 96, 3)
                assert np.ptp(shot.image) < 10
                serials.append(shot.serial)
    assert serials == sorted(serials)
    assert serials[-1] > PICTURES - 2
    assert complaints
    assert not any("secret" in text or "token" in text for text in (camera.source, *complaints))


async def test_lag_of_motion_jpeg_over_http_is_unknown(server: str) -> None:
    """FFmpeg invents time stamps for it, at 25 pictures a second."""
    async with asyncio.timeout(30), open_camera(f"{server}/steady", fps=5, width_hint=96, height_hint=64) as camera:
        shot = await camera.grab()
    assert shot is not None
    assert shot.lag_s is None


async def test_lag_of_a_video_over_a_slow_link_grows(server: str) -> None:
    """The server takes six seconds for three seconds of video: at its end it is three seconds late."""
    lags: list[float] = []
    async with asyncio.timeout(60), open_camera(f"{server}/live.ts", fps=FPS, width_hint=96, height_hint=64) as camera:
        with suppress(RetryableError):
            while not lags or lags[-1] < 0.5:
                shot = await camera.grab()
                assert shot is not None
                assert shot.lag_s is not None
                lags.append(shot.lag_s)
    assert lags[-1] >= 0.5, lags


def test_stream_reports_spoilt_pictures_and_each_picture_in_its_own_size(server: str) -> None:
    capture = StreamCapture(f"{server}/changes")
    assert capture.isOpened()
    found = []
    while capture.grab():
        found.append(capture.retrieve())
    capture.release()
    shapes = [image.shape for good, image in found if good]
    assert shapes == [(64, 96, 3)] * (PICTURES // 2 - 1) + [(96, 128, 3)] * (PICTURES // 2)
    assert [good for good, _ in found].count(False) == 1


async def test_lag_of_an_rtsp_stream_over_a_slow_link_grows() -> None:
    """JPEG again, but RTP has time stamps for it."""
    lags: list[float] = []
    with rtsp_server() as address:
        async with asyncio.timeout(60), open_camera(address, fps=FPS, width_hint=96, height_hint=64) as camera:
            with suppress(RetryableError):
                while not lags or lags[-1] < 0.5:
                    shot = await camera.grab()
                    assert shot is not None
                    assert shot.lag_s is not None
                    lags.append(shot.lag_s)
    assert lags[-1] >= 0.5, lags
