"""Run a detector over pictures and videos on disk, and write annotated copies. Everything here blocks."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av import VideoStream
from av.container import OutputContainer
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, FatalError, UsageError
from edge_agent.events import Detection
from edge_agent.perception.camera.images import SUFFIXES, list_images, read_image
from edge_agent.perception.camera.video import VideoReader
from edge_agent.perception.vision.draw import draw
from edge_agent.ports import Detector
from edge_agent.runtime.files import atomic_path

VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
        *(".3gp", ".3g2", ".flv", ".mjpeg", ".mjpg", ".wmv", ".ogv", ".gif"),
    }
)
"""Suffixes of videos in a folder, in lower case; a file that is named directly may have any."""

# The time stamps' unit in copies: a multiple of the usual frame rates, 29.97 too; MPEG-4 has 16 bits for it.
_TICKS_PER_S = 30_000

# A constant quantiser of 3, in units of FF_QP2LAMBDA: next to no loss.
_QUALITY = {"flags": "+qscale", "global_quality": str(3 * 118)}


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Detections in one picture; boxes in its own pixels.

    In a video `frame` is the picture's number and `time_s` its time since the first one.
    """

    path: Path
    frame: int | None
    time_s: float
    image: NDArray[np.uint8] = field(repr=False)
    detections: tuple[Detection, ...]
    inference_ms: float

    def as_json(self) -> dict[str, Any]:
        """Return the values that `edge-agent detect --json` prints, rounded to significant digits."""
        height, width = self.image.shape[:2]
        frame = {} if self.frame is None else {"frame": self.frame}
        return {
            "path": str(self.path),
            **frame,
            "width": width,
            "height": height,
            "detections": [
                {
                    "label": found.label,
                    "score": round(found.score, 4),
                    "box": [round(v, 2) for v in (found.box.x1, found.box.y1, found.box.x2, found.box.y2)],
                }
                for found in self.detections
            ],
            "inference_ms": round(self.inference_ms, 3),
        }


def is_picture(path: Path) -> bool:
    """Return whether a file is a still picture by its suffix; any other file is taken for a video."""
    return path.suffix.lower() in SUFFIXES


def list_files(path: Path) -> list[Path]:
    """List pictures and videos: `path` itself, or those in that folder in natural order.

    Raises ConfigError when it does not exist, UsageError when there are none in it.
    """
    remedy = "name pictures, videos or folders of them"
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder", remedy=remedy)
    if path.is_fifo():
        raise ConfigError(f"{path}: cannot be read (it is a pipe, not a file)", remedy=remedy)
    files = list_images(path, SUFFIXES | VIDEO_SUFFIXES)
    if not files:
        raise UsageError(f"{path}: contains no pictures and no videos", remedy=remedy)
    return files


def detect_in(detector: Detector, path: Path, warn: Callable[[str], None] = lambda _: None) -> Iterator[FrameResult]:
    """Yield the results for one file: one for a picture, one per frame for a video; `warn` gets notes about it.

    Raises ConfigError when the file cannot be read (for a truncated video after its last good frame), FatalError when
    the network fails.
    """
    if is_picture(path):
        found = read_image(path)
        if found is None:
            raise ConfigError(f"{path}: cannot be read as a picture", remedy="copy it again, or save it as JPEG")
        yield _infer(detector, path, found[0])
        return
    reader = VideoReader(path)
    reader.open()
    try:
        while (picture := reader.read()) is not None:
            yield _infer(detector, path, picture.image, picture.number, picture.time_s)
    finally:
        reader.close()
    for note in reader.notes:
        if reader.damaged:
            raise ConfigError(note, remedy="copy or record it again")
        warn(note)


def _infer(
    detector: Detector, path: Path, image: NDArray[np.uint8], frame: int | None = None, time_s: float = 0.0
) -> FrameResult:
    began_s = time.perf_counter()
    try:
        detections = detector.infer(image)
    except FatalError as error:
        where = path if frame is None else f"{path}, frame {frame}"
        raise FatalError(f"{where}: {error.message}", remedy=error.remedy) from error
    return FrameResult(path, frame, time_s, image, detections, (time.perf_counter() - began_s) * 1000)


class AnnotatedOutput:
    """Writes annotated copies into one folder: .jpg for .jpg, .mp4 for videos, .png for the rest.

    A file appears under its name only when it is complete. Equal names get a number.

    Args:
        folder: where the copies go; created when missing.
        sources: the files that will be read; none of them is ever overwritten.

    Raises UsageError when the folder cannot be created, or a copy would replace a source.
    """

    def __init__(self, folder: Path, sources: list[Path]) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be created ({error.strerror})", remedy="name another folder") from error
        self._names = _unique_names(sources)
        taken = {source.resolve() for source in sources}
        for name in self._names.values():
            if (folder / name).resolve() in taken:
                raise UsageError(f"{folder / name}: is a source and would be overwritten", remedy="name another folder")

    def keep_picture(self, result: FrameResult) -> None:
        """Write the annotated copy of a still picture."""
        target = self._folder / self._names[result.path]
        good, content = cv2.imencode(target.suffix, draw(result.image, result.detections))
        if not good:
            raise FatalError(f"{target}: the picture cannot be encoded")
        with atomic_path(target) as partial:
            partial.write_bytes(content.tobytes())

    def video(self, path: Path) -> AbstractContextManager["VideoCopy"]:
        """Open the annotated copy of the video at `path`.

        The file appears when the context ends without an error, or with a ConfigError after the first frame.
        """
        return _video_copy(self._folder / self._names[path])


class VideoCopy:
    """An annotated MPEG-4 video that is being written; each frame keeps its time stamp."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._stamp = -1

    @property
    def empty(self) -> bool:
        """Whether no frame was written."""
        return self._stamp < 0

    def add(self, result: FrameResult) -> None:
        """Write one annotated frame, in the first one's size; raises FatalError when the video cannot be written."""
        image = draw(result.image, result.detections)
        with self._failures():
            if self._container is None or self._stream is None:
                self._container = av.open(str(self._path), "w", format="mp4")
                self._stream = self._container.add_stream("mpeg4")
                self._stream.height, self._stream.width = image.shape[:2]
                self._stream.pix_fmt = "yuv420p"
                self._stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
                self._stream.codec_context.options = _QUALITY
            size = (self._stream.width, self._stream.height)
            frame = av.VideoFrame.from_ndarray(np.asarray(cv2.resize(image, size), np.uint8), format="bgr24")
            # Rounded stamps may be equal, and the format wants them to grow.
            self._stamp = frame.pts = max(self._stamp + 1, round(result.time_s * _TICKS_PER_S))
            frame.time_base = Fraction(1, _TICKS_PER_S)
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file; raises FatalError when that fails."""
        if self._container is not None and self._stream is not None:
            with self._failures():
                self._container.mux(self._stream.encode())
                self._container.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # all of FFmpeg's errors in writing are one of these
            raise FatalError(f"{self._path}: the video cannot be written", remedy="name another --save-dir") from error


@contextmanager
def _video_copy(target: Path) -> Iterator[VideoCopy]:
    """Write a copy; a damaged video's ends with its last good frame, and the error is raised then."""
    damage: ConfigError | None = None
    with atomic_path(target) as partial:
        copy = VideoCopy(partial)
        try:
            yield copy
        except ConfigError as error:
            if copy.empty:
                raise
            damage = error
        finally:
            copy.close()
    if damage is not None:
        raise damage


def _unique_names(sources: list[Path]) -> dict[Path, str]:
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for source in sources:
        kind = source.suffix.lower()
        suffix = (".jpg" if kind in {".jpg", ".jpeg", ".jpe"} else ".png") if kind in SUFFIXES else ".mp4"
        name, number = f"{source.stem}{suffix}", 2
        while name.casefold() in taken:
            name, number = f"{source.stem}-{number}{suffix}", number + 1
        taken.add(name.casefold())
        names[source] = name
    return names
