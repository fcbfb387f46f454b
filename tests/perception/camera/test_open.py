"""Which camera a source means, and the error when there is none."""

from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from edge_agent.errors import ConfigError
from edge_agent.perception.camera import (
    LiveCamera,
    RecordedCamera,
    VideoDevice,
    device_remedy,
    list_devices,
    open_camera,
    redact,
)
from edge_agent.perception.camera.ffmpeg import StreamCapture
from edge_agent.perception.camera.opencv import as_bgr, open_device
from edge_agent.runtime.permissions import AccessProblem
from tests.perception.camera.pictures import grey, write_video


def opened(source: str) -> LiveCamera | RecordedCamera:
    return open_camera(source, fps=10, width_hint=600, height_hint=400)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("0", "/dev/video0"),
        ("12", "/dev/video12"),
        ("/dev/video7", "/dev/video7"),
        ("/dev/v4l/by-id/cam", "/dev/v4l/by-id/cam"),
        ("rtsp://user:secret@10.0.0.7:554/live?token=abc", "rtsp://10.0.0.7:554/live"),
        ("HTTP://cam/video.mjpg", "http://cam/video.mjpg"),
    ],
)
def test_open_camera_live_source_is_named_without_secrets(source: str, shown: str) -> None:
    camera = opened(source)
    assert isinstance(camera, LiveCamera)
    assert camera.source == shown


def test_open_camera_file_or_folder_is_recorded(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 1)
    for path in (tmp_path, tmp_path / "v.mp4"):
        assert isinstance(opened(str(path)), RecordedCamera)


@pytest.mark.parametrize("source", ["/nothing/here.mp4", "", "-1", "gopher://cam/", "rtsp://[bad/"])
def test_open_camera_source_that_is_none_is_refused_with_a_remedy(source: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(source)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_redact_takes_user_and_query_out_everywhere() -> None:
    assert redact("rtsp://a:b@c@host:1/x?y=z") == "rtsp://host:1/x"


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    dev, sys = tmp_path / "dev", tmp_path / "sys"
    dev.mkdir()
    for number in (10, 0, 2):
        (dev / f"video{number}").touch()
    (sys / "video0").mkdir(parents=True)
    (sys / "video0" / "name").write_text("USB Camera\n")
    return dev, sys


def test_list_devices_are_in_order_with_their_names(machine: tuple[Path, Path]) -> None:
    dev, sys = machine
    assert list_devices(dev, sys) == (
        VideoDevice(dev / "video0", "USB Camera"),
        VideoDevice(dev / "video2", ""),
        VideoDevice(dev / "video10", ""),
    )


def test_remedy_for_a_missing_device_lists_the_others(machine: tuple[Path, Path]) -> None:
    dev, sys = machine
    message = device_remedy(dev / "video5", dev, sys)
    assert f"there is no {dev / 'video5'}" in message
    assert f"{dev / 'video0'} (USB Camera)" in message


def test_remedy_without_any_device_says_to_plug_one_in(tmp_path: Path) -> None:
    assert "no camera is connected" in device_remedy(tmp_path / "video0", tmp_path, tmp_path)


def test_remedy_for_a_device_in_use_says_to_close_the_other_program(machine: tuple[Path, Path]) -> None:
    dev, sys = machine
    assert "close other programs" in device_remedy(dev / "video0", dev, sys)


def test_remedy_for_a_device_without_rights_names_the_group(
    machine: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dev, sys = machine
    refused = AccessProblem(
        "user is not in the group video", "join it"
    )  # the tests may run as root, who may use every device
    monkeypatch.setattr("edge_agent.perception.camera.device_problem", lambda _: refused)
    assert device_remedy(dev / "video0", dev, sys) == "user is not in the group video; join it"


@pytest.mark.parametrize("image", [None, "text", grey(1).astype(float), grey(1)[..., :2], grey(1)[:0]])
def test_as_bgr_what_is_no_picture_is_none(image: object) -> None:
    assert as_bgr(image) is None


class Recorded:
    """Replaces cv2.VideoCapture and records its arguments."""

    def __init__(self, *words: object) -> None:
        self.words = words
        self.asked: dict[int, float] = {}

    def set(self, prop: int, value: float) -> bool:
        self.asked[prop] = value
        return True


def test_open_device_asks_v4l2_for_the_size_and_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Recorded)
    capture = open_device("/dev/video3", 600, 400)
    assert isinstance(capture, Recorded)
    assert capture.words == ("/dev/video3", cv2.CAP_V4L2)
    assert capture.asked[cv2.CAP_PROP_FRAME_WIDTH] == 600
    assert capture.asked[cv2.CAP_PROP_FRAME_HEIGHT] == 400
    assert capture.asked[cv2.CAP_PROP_BUFFERSIZE] == 1


def test_stream_bounds_every_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def refuse(url: str, **words: object) -> None:
        asked.update(words, url=url)
        raise OSError

    monkeypatch.setattr(av, "open", refuse)
    assert not StreamCapture("rtsp://cam/").isOpened()
    open_s, read_s = asked["timeout"]
    assert asked["url"] == "rtsp://cam/"
    assert 0 < read_s <= 2
    assert 0 < open_s <= 10
