"""Video files, whole and broken, with and without recorded truth."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError
from edge_agent.events import Box, Detection
from edge_agent.perception.camera import VideoReader
from edge_agent.perception.camera.video import read_truth
from tests.perception.camera.pictures import write_video


def numbers(reader: VideoReader) -> list[int]:
    reader.open()
    found = []
    while (picture := reader.read()) is not None:
        assert abs(picture.image.mean() - 4 * picture.number) < 6, "the picture is not the one that its number says"
        found.append(picture.number)
    assert reader.read() is None
    reader.close()
    return found


@pytest.mark.parametrize(
    ("video_fps", "fps", "expected"),
    [
        (10, None, list(range(12))),
        (10, 10, list(range(12))),
        (30, 10, [0, 3, 6, 9]),
        (29.97, 10, [0, 3, 6, 9]),
        (25, 10, [0, 2, 5, 7, 10]),
        (5, 10, [n // 2 for n in range(24)]),
    ],
)
def test_video_is_read_at_the_rate_that_is_asked(
    tmp_path: Path, video_fps: float, fps: float | None, expected: list[int]
) -> None:
    reader = VideoReader(write_video(tmp_path / "v.mp4", 12, video_fps), fps)
    assert numbers(reader) == expected
    assert reader.notes == []
    assert reader.fps == pytest.approx(video_fps, rel=0.001)


def test_video_of_one_frame_is_read(tmp_path: Path) -> None:
    assert numbers(VideoReader(write_video(tmp_path / "v.mp4", 1), 10)) == [0]


def test_video_truth_is_beside_its_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 3)
    sign = {"label": "stop", "box": [1, 2, 3, 4]}
    lines = [{"frame": 0, "detections": [sign]}, {"prediction_of": 0}, {"frame": 1, "detections": []}, {"frame": 2}]
    path.with_suffix(".jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    reader = VideoReader(path, 10)
    reader.open()
    truths = [reader.read().truth for _ in range(3)]  # type: ignore[union-attr]
    assert truths == [(Detection("stop", 1.0, Box(1, 2, 3, 4)),), (), None]


def test_video_without_truth_has_none(tmp_path: Path) -> None:
    reader = VideoReader(write_video(tmp_path / "v.mp4", 1), 10)
    reader.open()
    picture = reader.read()
    assert picture is not None
    assert picture.truth is None


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"frame": "x", "detections": []}',
        '{"frame": 1, "detections": [{"label": "stop"}]}',
        "7",
        '{"frame": 1, "detections": 5}',
    ],
)
def test_truth_with_a_bad_line_names_it(tmp_path: Path, line: str) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(f'{{"frame": 0, "detections": []}}\n{line}\n')
    with pytest.raises(ConfigError, match=r"v\.jsonl:2: "):
        read_truth(path)


def test_truth_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"v\.jsonl"):
        read_truth(tmp_path / "v.jsonl")


@pytest.mark.parametrize("content", [b"", b"plain text\n" * 100, b"\x00" * 5000], ids=["empty", "text", "zeros"])
def test_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="an empty file" if not content else "not a readable video") as caught:
        VideoReader(path).open()
    assert "\n" not in str(caught.value)


def test_bad_video_and_missing_camera_leave_nothing_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("no video")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from edge_agent.perception.camera import VideoReader\n"
        "from edge_agent.perception.camera.opencv import open_device, open_stream\n"
        "from edge_agent.errors import ConfigError\n"
        "try:\n    VideoReader(Path(sys.argv[1])).open()\nexcept ConfigError:\n    print('refused')\n"
        "print(open_device('/dev/video98', 600, 400).isOpened(), open_stream('rtsp://127.0.0.1:1/x').isOpened())\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "v.mp4")]  # FFmpeg's log level is set once per process
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\nFalse False\n", "")


def test_video_whose_index_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match="cut short"):
        VideoReader(path).open()


def test_video_cut_in_the_middle_plays_what_is_there_and_reports_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 40, kind="MJPG")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    reader = VideoReader(path, 10)
    found = numbers(reader)
    assert 5 < len(found) < 38
    assert reader.notes == [f"{path}: cut short: {len(found)} of 40 pictures could be read"]
