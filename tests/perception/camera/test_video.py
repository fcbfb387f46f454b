"""Video files, whole and broken, with and without recorded truth."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_agent.errors import ConfigError
from edge_agent.events import Box, Detection
from edge_agent.perception.camera import VideoReader
from edge_agent.perception.camera.recorded import RecordedPicture
from edge_agent.perception.camera.video import read_truth
from tests.perception.camera.pictures import grey, write_stamped, write_video

CASES = Path(__file__).parents[2] / "fixtures" / "cases" / "video"


def pictures(path: Path, fps: float | None = None) -> list[RecordedPicture]:
    reader = VideoReader(path, fps)
    reader.open()
    return list(iter(reader.read, None))


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
    path = write_video(tmp_path / "v.mp4", 12, video_fps)
    reader = VideoReader(path, fps)
    assert numbers(reader) == expected
    assert reader.notes == []
    assert [picture.time_s for picture in pictures(path)] == pytest.approx(
        [n / video_fps for n in range(12)], rel=0.001
    )


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


def test_recording_of_the_agent_is_upright_and_no_other_film_is(tmp_path: Path) -> None:
    recorded, other = write_video(tmp_path / "recorded.mp4", 2), write_video(tmp_path / "other.mp4", 2)
    line = {"frame": 0, "sequence": 0, "t_s": 0.0, "frame_id": "f"}
    recorded.with_suffix(".jsonl").write_text(json.dumps(line) + "\n")
    other.with_suffix(".jsonl").write_text(json.dumps({**line, "text": "a subtitle"}) + "\n")
    assert [picture.upright for picture in pictures(recorded)] == [True, True]
    assert [picture.upright for picture in pictures(other)] == [False, False]


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


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"notes\n",
        b"[1, 2]\n",
        b"[" * 100_000,
        b'{"frame": 0, "text": "a subtitle"}\n',
        b'{"path": "v.mp4", "frame": 0, "width": 64, "height": 48, "detections": []}\n',  # of detect --json
        b'{"frame": 0, "detections": [{"class": 3}]}\n',
        b'{"t_s": 0.1, "sent": "0b"}\n{"frame": "x", "detections": 5}\n',
    ],
)
def test_truth_is_not_what_another_program_has_written(tmp_path: Path, content: bytes) -> None:
    path = write_video(tmp_path / "v.mp4", 2)
    path.with_suffix(".jsonl").write_bytes(content)
    assert read_truth(path.with_suffix(".jsonl")) == {}
    assert numbers(VideoReader(path, None)) == [0, 1]


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
        "from edge_agent.perception.camera.ffmpeg import StreamCapture\n"
        "from edge_agent.perception.camera.opencv import open_device\n"
        "from edge_agent.errors import ConfigError\n"
        "try:\n    VideoReader(Path(sys.argv[1])).open()\nexcept ConfigError:\n    print('refused')\n"
        "print(open_device('/dev/video98', 600, 400).isOpened(), StreamCapture('rtsp://127.0.0.1:1/x').isOpened())\n"
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
    assert reader.notes == [f"{path}: cut short: {len(found)} pictures could be read (its last bytes are missing)"]
    assert reader.damaged


@pytest.mark.parametrize(
    ("name", "count", "lasts_s", "unreadable"),
    [
        ("trimmed.mp4", 75, 2.5, 0),
        ("audio-longer.mkv", 90, 3.0, 0),
        ("h264-copied.avi", 90, 3.0, 0),
        ("variable-rate.mp4", 80, 5.83, 0),
        ("browser-recording.webm", 72, 2.8, 0),
        ("one-spoilt-picture.avi", 59, 4.0, 1),
    ],
)
def test_whole_video_is_read_whole_at_its_own_pace(name: str, count: int, lasts_s: float, unreadable: int) -> None:
    reader = VideoReader(CASES / name)
    reader.open()
    found = list(iter(reader.read, None))
    assert len(found) == count
    assert found[-1].number == count + unreadable - 1
    assert found[-1].time_s == pytest.approx(lasts_s, abs=0.07)
    assert not reader.damaged
    assert len(reader.notes) == (unreadable > 0)
    times = [picture.time_s for picture in found]
    for call, picture in enumerate(polled := pictures(CASES / name, 10)):
        assert picture.time_s == max(time_s for time_s in times if time_s <= call / 10 + 0.0011)
    assert len(polled) == pytest.approx(10 * lasts_s, abs=1)


def test_one_spoilt_picture_is_noted() -> None:
    reader = VideoReader(CASES / "one-spoilt-picture.avi", 10)
    reader.open()
    assert all(picture.number != 19 for picture in iter(reader.read, None))
    assert reader.notes == [f"{reader.path}: 1 of 60 pictures could not be read"]


def test_trimmed_video_begins_where_its_edit_list_says(tmp_path: Path) -> None:
    """The hidden pictures, shown with the edit list ignored, come before the first one."""
    with av.open(str(CASES / "trimmed.mp4"), options={"ignore_editlist": "1"}) as container:
        original = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(original) == 90
    assert np.array_equal(pictures(CASES / "trimmed.mp4")[0].image, original[15])


def test_truly_cut_video_is_damaged() -> None:
    reader = VideoReader(CASES / "truly-cut.mp4")
    reader.open()
    assert 50 < len(list(iter(reader.read, None))) < 56
    assert reader.damaged
    assert "cut short" in reader.notes[0]


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.avi", "v.webm", "v.ts", "v.mov"])
def test_video_of_any_container_is_whole_until_it_is_cut(tmp_path: Path, name: str) -> None:
    codec = "vp8" if name == "v.webm" else "mpeg4"
    path = write_stamped(tmp_path / name, {n / 10: grey(4 * n) for n in range(20)}, codec)
    reader = VideoReader(path, 10)
    assert numbers(reader) == list(range(20))
    assert reader.notes == []
    content = path.read_bytes()
    path.write_bytes(content + bytes(4096))  # as a copy by blocks
    reader = VideoReader(path, 10)
    assert numbers(reader) == list(range(20))
    assert reader.notes == []
    path.write_bytes(content[: len(content) // 3])
    reader = VideoReader(path, 10)
    try:
        found = numbers(reader)
    except ConfigError:
        assert path.suffix in {".mp4", ".mov"}  # the index is at the end
    else:
        # A transport stream has no length; its cut shows in its last packet only.
        assert reader.damaged or name == "v.ts"
        assert len(found) < 20


def test_video_with_many_spoilt_pictures_is_damaged(tmp_path: Path) -> None:
    path = write_stamped(tmp_path / "v.avi", {n / 10: grey(4 * n) for n in range(20)}, "mjpeg")
    content = bytearray(path.read_bytes())
    starts = [found.end() for found in re.finditer(rb"00dc(?=....\xff\xd8)", content, re.DOTALL)]
    for at in starts[5:10]:
        length = int.from_bytes(content[at : at + 4], "little")
        content[at + 4 : at + 4 + length] = bytes(length)
    path.write_bytes(content)
    reader = VideoReader(path)
    assert numbers(reader) == [*range(5), *range(10, 20)]
    assert reader.notes == [f"{path}: 5 of 20 pictures could not be read"]
    assert reader.damaged


def test_pictures_that_need_a_spoilt_key_frame_are_counted(tmp_path: Path) -> None:
    content = bytearray((CASES / "h264-copied.avi").read_bytes())
    with av.open(str(CASES / "h264-copied.avi")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert packets[0].is_keyframe
    assert packets[0].pos is not None
    content[packets[0].pos + 8 : packets[0].pos + 8 + packets[0].size] = bytes(packets[0].size)
    (path := tmp_path / "v.avi").write_bytes(content)
    reader = VideoReader(path)
    reader.open()
    assert len(list(iter(reader.read, None))) == 60
    assert reader.notes == [f"{path}: 30 of 90 pictures could not be read"]
    assert reader.damaged


def test_matroska_with_a_hole_is_damaged(tmp_path: Path) -> None:
    """FFmpeg looks for the next cluster and reports nothing."""
    path = write_stamped(tmp_path / "v.mkv", {n / 10: grey(4 * n) for n in range(20)})
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][9]
    content = bytearray(path.read_bytes())
    content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    reader = VideoReader(path)
    assert numbers(reader) == list(range(9))
    assert reader.notes == [f"{path}: cut short: 9 pictures could be read (its container is damaged)"]
    assert reader.damaged


def test_stamps_that_go_back_follow_the_picture_before(tmp_path: Path) -> None:
    one = write_stamped(tmp_path / "one.ts", {n / 10: grey(4 * n) for n in range(5)}).read_bytes()
    (tmp_path / "both.ts").write_bytes(one + one)
    times = [picture.time_s for picture in pictures(tmp_path / "both.ts")]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(0.9, abs=0.1)


def test_pictures_keep_their_own_size(tmp_path: Path) -> None:
    small = write_stamped(tmp_path / "small.ts", {n / 10: grey(80) for n in range(5)}).read_bytes()
    large = write_stamped(tmp_path / "large.ts", {n / 10: grey(80, 128, 96) for n in range(5)}).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    assert {picture.image.shape for picture in pictures(tmp_path / "both.ts")} == {(64, 96, 3), (96, 128, 3)}


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_video_is_turned_as_its_container_says(tmp_path: Path, degrees: int) -> None:
    """The matrix in the track's header (ISO/IEC 14496-12, 8.3.2), as phones write it."""
    half = grey(20)
    half[:32, :48] = 220
    path = write_stamped(tmp_path / "v.mp4", {0.0: half, 0.1: half})
    content = bytearray(path.read_bytes())
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    capture = cv2.VideoCapture(str(path))
    assert np.abs(pictures(path)[0].image.astype(int) - capture.read()[1]).mean() < 3
    capture.release()
