"""Detection over files on disk, with annotated copies."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, FatalError, UsageError
from edge_agent.events import Box, Detection
from edge_agent.perception.batch import AnnotatedOutput, FrameResult, detect_in, list_files
from edge_agent.perception.camera import VideoReader
from edge_agent.ports import DetectorInfo
from tests.perception.camera.pictures import grey, write_video


class Corner:
    """A detector that finds a stop sign in the top-left corner of each picture, and fails on a white one."""

    info = DetectorInfo("fake", "fake", "", 0, 0, ("stop",))

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        if image.mean() > 250:
            raise FatalError("white")
        return (Detection("stop", 0.91239, Box(0, 0, 20.12345, 10)),)

    def close(self) -> None:
        return


def save(path: Path, image: NDArray[np.uint8]) -> Path:
    cv2.imwrite(str(path), image)
    return path


def test_list_files_folder_holds_pictures_and_videos_in_order(tmp_path: Path) -> None:
    save(tmp_path / "10.png", grey(1))
    save(tmp_path / "9.png", grey(1))
    write_video(tmp_path / "a.MP4", 1)
    (tmp_path / "truth.jsonl").write_text("{}")
    assert [file.name for file in list_files(tmp_path)] == ["9.png", "10.png", "a.MP4"]
    assert list_files(tmp_path / "truth.jsonl") == [tmp_path / "truth.jsonl"]


@pytest.mark.parametrize("name", ["a.HEIC", "b.heif", "c.3gp", "d.flv", "e.mjpeg", "f.wmv", "g.avif"])
def test_list_files_leaves_no_picture_or_film_out_silently(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (file,) = list_files(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(name)):
        list(detect_in(Corner(), file))


@pytest.mark.parametrize(("suffix", "code"), [(".3gp", "mp4v"), (".mjpeg", "MJPG"), (".flv", "FLV1"), (".wmv", "WMV2")])
def test_detect_in_films_of_other_containers_are_read(tmp_path: Path, suffix: str, code: str) -> None:
    path = write_video(tmp_path / f"v{suffix}", 5, kind=code)
    assert len(list(detect_in(Corner(), path))) == 5


@pytest.mark.parametrize(("name", "error"), [("", UsageError), ("nothing", ConfigError)])
def test_list_files_without_any_is_an_error(tmp_path: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        list_files(tmp_path / name)


def test_detect_in_picture_gives_one_result(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", grey(1, 50, 40))
    (result_of,) = detect_in(Corner(), path, pytest.fail)
    plain = result_of.as_json()
    assert plain.pop("inference_ms") >= 0
    assert plain == {
        "path": str(path),
        "width": 50,
        "height": 40,
        "detections": [{"label": "stop", "score": 0.9124, "box": [0, 0, 20.12, 10]}],
    }


def test_detect_in_video_gives_each_frame_with_its_number(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 5, fps=30)
    findings = list(detect_in(Corner(), path, pytest.fail))
    assert [result_of.as_json()["frame"] for result_of in findings] == [0, 1, 2, 3, 4]
    assert [result_of.time_s for result_of in findings] == pytest.approx([n / 30 for n in range(5)], abs=0.001)


def test_detect_in_bad_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(ConfigError, match="picture"):
        list(detect_in(Corner(), tmp_path / "a.jpg", pytest.fail))


def test_detect_in_video_cut_short_gives_what_is_there_and_then_raises(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 30, kind="MJPG")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    findings: list[FrameResult] = []
    with pytest.raises(ConfigError, match="cut short"):
        findings.extend(detect_in(Corner(), path, pytest.fail))
    assert [result_of.frame for result_of in findings] == list(range(len(findings)))
    assert len(findings) > 2


def test_detect_in_network_that_fails_names_the_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", grey(255))
    with pytest.raises(FatalError, match=r"a\.png: white"):
        list(detect_in(Corner(), path, pytest.fail))


def result_of(path: Path, image: NDArray[np.uint8], frame: int | None = None) -> FrameResult:
    return FrameResult(path, frame, (frame or 0) / 30, image, Corner().infer(image), 1.0)


def test_annotated_output_copies_are_annotated_under_their_own_names(tmp_path: Path) -> None:
    sources = [save(tmp_path / name, grey(90)) for name in ("a.JPG", "b.bmp", "c.png")]
    album = AnnotatedOutput(tmp_path / "out" / "deep", sources)
    for source in sources:
        album.keep_picture(result_of(source, grey(90)))
    kept = sorted((tmp_path / "out" / "deep").iterdir())
    assert [path.name for path in kept] == ["a.jpg", "b.png", "c.png"]
    assert all((cv2.imread(str(path)) != 90).any() for path in kept)


def test_annotated_output_equal_names_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    sources = [save(tmp_path / name, grey(90)) for name in ("a.png", "a.bmp", "x/A.png")]
    album = AnnotatedOutput(tmp_path / "out", sources)
    for source in sources:
        album.keep_picture(result_of(source, grey(90)))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["A-3.png", "a-2.png", "a.png"]


def test_annotated_output_never_overwrites_a_source(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", grey(90))
    with pytest.raises(UsageError, match="would be overwritten"):
        AnnotatedOutput(tmp_path, [source])
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="would be overwritten"):
        AnnotatedOutput(tmp_path / "link", [source])


def test_annotated_output_folder_that_cannot_be_created_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be created"):
        AnnotatedOutput(tmp_path / "file" / "out", [])


def test_annotated_output_video_has_every_frame_and_the_rate(tmp_path: Path) -> None:
    album = AnnotatedOutput(tmp_path / "out", [tmp_path / "v.avi"])
    with album.video(tmp_path / "v.avi") as video:
        for number in range(4):
            video.add(result_of(tmp_path / "v.avi", grey(90, 97, 63), number))
        assert not (tmp_path / "out" / "v.mp4").exists()
    reader = VideoReader(tmp_path / "out" / "v.mp4")
    reader.open()
    copied = list(iter(reader.read, None))
    assert [picture.time_s for picture in copied] == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30])
    assert {picture.image.shape for picture in copied} == {(63, 97, 3)}
    assert not reader.notes
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["v.mp4"]


def test_annotated_output_video_keeps_the_time_and_the_size_of_its_first_frame(tmp_path: Path) -> None:
    album = AnnotatedOutput(tmp_path / "out", [tmp_path / "v.avi"])
    times = [0.0, 0.5, 0.5, 2.0]
    with album.video(tmp_path / "v.avi") as video:
        for number, time_s in enumerate(times):
            image = grey(90, 97 + 20 * number, 63)
            video.add(FrameResult(tmp_path / "v.avi", number, time_s, image, (), 1.0))
    reader = VideoReader(tmp_path / "out" / "v.mp4")
    reader.open()
    copied = list(iter(reader.read, None))
    assert [picture.time_s for picture in copied] == pytest.approx(times, abs=0.001)
    assert {picture.image.shape for picture in copied} == {(63, 97, 3)}


def test_annotated_output_of_a_damaged_video_has_what_could_be_read(tmp_path: Path) -> None:
    album = AnnotatedOutput(tmp_path / "out", [tmp_path / "v.mp4"])

    def copy(frames: int) -> None:
        with album.video(tmp_path / "v.mp4") as video:
            for number in range(frames):
                video.add(result_of(tmp_path / "v.mp4", grey(90), number))
            raise ConfigError("cut short")

    with pytest.raises(ConfigError, match="cut short"):
        copy(0)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(ConfigError, match="cut short"):
        copy(3)
    reader = VideoReader(tmp_path / "out" / "v.mp4")
    reader.open()
    assert len(list(iter(reader.read, None))) == 3


def test_detect_in_video_with_a_spoilt_picture_warns(tmp_path: Path) -> None:
    case = Path(__file__).parents[1] / "fixtures" / "cases" / "video" / "one-spoilt-picture.avi"
    notes: list[str] = []
    assert len(list(detect_in(Corner(), case, notes.append))) == 59
    assert notes == [f"{case}: 1 of 60 pictures could not be read"]


def test_annotated_output_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    album = AnnotatedOutput(tmp_path / "out", [tmp_path / "v.mp4"])

    def half() -> Iterator[FrameResult]:
        yield result_of(tmp_path / "v.mp4", grey(90), 0)
        raise FatalError("half")

    def copy() -> None:
        with album.video(tmp_path / "v.mp4") as video:
            for one in half():
                video.add(one)

    with pytest.raises(FatalError, match="half"):
        copy()
    assert list((tmp_path / "out").iterdir()) == []
