"""Files and folders behind the Camera port."""

import asyncio
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.errors import ConfigError
from edge_agent.perception.camera import RecordedCamera, VideoReader, open_camera
from edge_agent.perception.camera.recorded import RecordedPicture
from edge_agent.ports import Camera, Shot
from edge_agent.simulation.clock import run_virtual
from tests.perception.camera.pictures import grey, write_video


async def shots(camera: Camera) -> list[Shot]:
    found = []
    async with camera:
        while (shot := await camera.grab()) is not None:
            found.append(shot)
        assert await camera.grab() is None
    return found


def open_file(path: Path, fps: float = 10) -> Camera:
    return open_camera(str(path), fps=fps, width_hint=600, height_hint=400)


async def test_video_serials_grow_by_one_and_repeat_with_the_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 6, fps=30)
    assert [shot.serial for shot in await shots(open_file(path))] == [1, 2]
    assert [shot.serial for shot in await shots(open_file(path, fps=60))] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


async def test_video_every_picture_when_not_in_real_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 6, fps=30)
    camera = open_camera(str(path), fps=10, width_hint=600, height_hint=400, realtime=False)
    assert len(await shots(camera)) == 6


async def test_folder_of_sizes_gives_each_picture_as_it_is(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), grey(1, 50, 40))
    cv2.imwrite(str(tmp_path / "2.png"), grey(2, 70, 30))
    camera = open_file(tmp_path)
    assert [shot.image.shape for shot in await shots(camera)] == [(40, 50, 3), (30, 70, 3)]
    assert camera.live is False
    assert camera.source == str(tmp_path)


def test_taken_is_the_time_of_the_call_on_a_simulated_clock(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 3)

    async def main() -> list[float]:
        taken = []
        async with open_file(path) as camera:
            for _ in range(3):
                await asyncio.sleep(0.1)
                shot = await camera.grab()
                assert shot is not None
                taken.append(shot.taken_s)
        return taken

    assert run_virtual(main(), start_s=5) == pytest.approx([5.1, 5.2, 5.3])


async def test_notes_of_the_source_are_the_cameras(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), grey(1))
    (tmp_path / "2.png").write_bytes(b"x")
    camera = open_camera(str(tmp_path), fps=10, width_hint=600, height_hint=400)
    assert isinstance(camera, RecordedCamera)
    await shots(camera)
    assert camera.notes == (f"{tmp_path}: 1 of 2 pictures could not be read (2.png)",)


async def test_source_without_pictures_is_refused_on_entering(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="contains no pictures"):
        await shots(open_file(tmp_path))


class SlowReader:
    """Returns one picture when the test releases it."""

    notes: list[str]

    def __init__(self) -> None:
        self.notes = []
        self.go = threading.Event()
        self.closed = threading.Event()

    def open(self) -> None:
        return

    def read(self) -> RecordedPicture | None:
        self.go.wait()
        return RecordedPicture(np.zeros((4, 4, 3), np.uint8), 0, "one")

    def close(self) -> None:
        self.closed.set()


async def test_caller_that_gives_up_waiting_gets_the_picture_next_time() -> None:
    reader = SlowReader()
    async with RecordedCamera("slow", reader) as camera:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(camera.grab(), 0.001)
        reader.go.set()
        shot = await camera.grab()
        assert shot is not None
        assert shot.serial == 1


async def test_leaving_while_a_picture_is_being_read_does_not_wait() -> None:
    reader = SlowReader()
    async with RecordedCamera("slow", reader):
        pass
    assert not reader.closed.is_set()
    reader.go.set()
    assert await asyncio.to_thread(reader.closed.wait, 10)


def test_same_video_gives_the_same_pictures_twice(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 9, fps=25)

    def means() -> list[float]:
        reader = VideoReader(path, 10)
        reader.open()
        found = []
        while (picture := reader.read()) is not None:
            found.append(float(picture.image.mean()))
        return found

    assert means() == means()
