"""Read a video file at the rate at which a camera would be polled, with the ground truth recorded beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.errors import ConfigError
from edge_agent.events import Box, Detection
from edge_agent.perception.camera.opencv import to_bgr
from edge_agent.perception.camera.recorded import RecordedPicture
from edge_agent.runtime.files import check_no_pipe

_RECORDED_KEYS = frozenset({"frame", "sequence", "t_s", "frame_id", "detections"})

if TYPE_CHECKING:
    from av import VideoFrame

    from edge_agent.perception.camera.ffmpeg import FileDecoder

# Containers round time stamps to milliseconds.
_TOLERANCE_S = 0.0011

# A video in which more than this part of the pictures cannot be decoded is damaged.
_MAX_UNREADABLE = 0.1

# Of a recording's line, in characters: a thousand times the usual.
_LONGEST_LINE = 1 << 20

# For the last picture, where neither it nor the one before it says how long it is shown.
_DEFAULT_PERIOD_S = 0.1


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A picture before its conversion to BGR, and when it begins and ends, in seconds after the first one."""

    frame: "VideoFrame"
    number: int
    begins_s: float
    ends_s: float


class VideoReader:
    """Implements recorded.PictureReader on a video file.

    Args:
        path: the file.
        fps: calls of `read` per second of the video's time: call k returns the newest picture whose time stamp is at
            most k / fps after the first one's. None returns every picture once.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        self.path = path
        self.notes: list[str] = []
        self.damaged = False
        """Whether the video is truncated, or more than a few of its pictures cannot be decoded."""
        self._fps = fps
        self._reads = 0
        self._passed = 0
        self._unreadable = 0
        self._origin_s: float | None = None
        self._decoder: FileDecoder | None = None
        self._truth: dict[int, tuple[Detection, ...]] = {}
        self._upright = False
        self._current: _Decoded | None = None
        self._next: _Decoded | None = None
        self._last: RecordedPicture | None = None

    def open(self) -> None:
        """Open the file and read its first picture; raises ConfigError when that fails."""
        # 60 ms that a start without a video spares.
        from edge_agent.perception.camera.ffmpeg import FileDecoder  # noqa: PLC0415

        try:
            check_no_pipe(self.path)
        except OSError as error:
            remedy = "name a video file, or a stream by its address"
            raise ConfigError(f"{self.path}: cannot be read ({error.strerror})", remedy=remedy) from None
        self._truth = read_truth(self.path.with_suffix(".jsonl"))
        self._upright = is_recording(self.path)
        try:
            self._decoder = FileDecoder(self.path)
            self._next = self._decode()
        except OSError:
            self._next = None
        if self._next is None:
            self.close()
            size = self.path.stat().st_size
            problem = f"not a readable video, or cut short ({size} bytes)" if size else "an empty file"
            raise ConfigError(f"{self.path}: {problem}", remedy="name another video, or copy or record it again")

    def read(self) -> RecordedPicture | None:
        """Return the picture at the next point in time, or None after the last."""
        if self._fps is None:
            self._advance()
        else:
            now_s = self._reads / self._fps + _TOLERANCE_S
            self._reads += 1
            while self._next is not None and self._next.begins_s <= now_s:
                self._advance()
            if self._next is None and self._current is not None and self._current.ends_s <= now_s:
                self._current = None
        if self._current is None:
            self._end()
            return None
        return self._converted(self._current)

    def close(self) -> None:
        """Close the file."""
        self._current = self._next = None
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def _advance(self) -> None:
        self._current, self._next = self._next, self._decode() if self._next is not None else None

    def _decode(self) -> _Decoded | None:
        """Decode up to the next good picture; None at the end of the video."""
        for frame in self._decoder.frames if self._decoder is not None else ():
            number = self._passed
            self._passed += 1
            if frame is not None:
                return self._timed(frame, number, self._next)
            self._unreadable += 1
        return None

    def _timed(self, frame: "VideoFrame", number: int, before: _Decoded | None) -> _Decoded:
        stamp_s = frame.time
        if self._origin_s is None:
            self._origin_s = stamp_s or 0.0
        begins_s = 0.0 if stamp_s is None else stamp_s - self._origin_s
        # A stamp that is missing or goes back, as where two videos were joined: the picture before it has just ended.
        if before is not None and begins_s <= before.begins_s:
            begins_s = before.ends_s
            self._origin_s = (stamp_s or 0.0) - begins_s
        lasts_s = float((frame.duration or 0) * (frame.time_base or 0))
        if not lasts_s:
            lasts_s = begins_s - before.begins_s if before is not None else _DEFAULT_PERIOD_S
        return _Decoded(frame, number, begins_s, begins_s + lasts_s)

    def _converted(self, picture: _Decoded) -> RecordedPicture:
        if self._last is None or self._last.number != picture.number:
            name = f"{self.path.name}#{picture.number}"
            truth = self._truth.get(picture.number)
            image = to_bgr(picture.frame)
            self._last = RecordedPicture(image, picture.number, name, truth, picture.begins_s, self._upright)
        return self._last

    def _end(self) -> None:
        """Close the file, and add a note when it is truncated, or pictures could not be decoded."""
        if self._decoder is None:
            return
        good, count = self._passed - self._unreadable, self._passed
        if self._decoder.codec != "vp8":
            # After a spoilt key frame the decoder drops the pictures that need it without an error.
            count = max(count, self._decoder.packets)
        if self._decoder.problem:
            self.notes.append(f"{self.path}: cut short: {good} pictures could be read ({self._decoder.problem})")
            self.damaged = True
        elif self._unreadable:
            self.notes.append(f"{self.path}: {count - good} of {count} pictures could not be read")
            self.damaged = count - good > _MAX_UNREADABLE * count
        self.close()


def is_recording(path: Path) -> bool:
    """Return whether a film is of `edge-agent record`, by what lies beside it: such a film is upright already."""
    try:
        with path.with_suffix(".jsonl").open(encoding="utf-8", errors="replace") as lines:
            return _is_of_recorder(lines.readline(_LONGEST_LINE))
    except OSError:
        return False


def read_truth(path: Path) -> dict[int, tuple[Detection, ...]]:
    """Read the ground truth of a recorded video: one line `{"frame": 0, "detections": [{"label", "box"}]}` per frame.

    Boxes are [x1, y1, x2, y2] in the video's pixels. Lines without these keys are skipped. A file that is absent, or
    whose first line is of another kind, holds no truth. Raises ConfigError for a later line that cannot be parsed.
    """
    if not path.exists():
        return {}
    truth: dict[int, tuple[Detection, ...]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: the recorded truth cannot be read", remedy="remove it or record again") from error
    if not lines or not _is_of_recorder(lines[0]):
        return {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line) if line.strip() else {}
            if "frame" in entry and entry.get("detections") is not None:
                truth[int(entry["frame"])] = tuple(_detection(item) for item in entry["detections"])
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{path}:{number}: not a line of recorded truth", remedy="record again") from error
    return truth


def _is_of_recorder(line: str) -> bool:
    """Return whether a line is of a recording; other programs, and `detect --json`, write .jsonl files too."""
    try:
        entry = json.loads(line)
        keys: set[str] = set(entry.keys())
        for item in entry.get("detections") or ():
            _detection(item)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return "frame" in keys and keys <= _RECORDED_KEYS


def _detection(item: Any) -> Detection:
    x1, y1, x2, y2 = (float(value) for value in item["box"])
    return Detection(str(item["label"]), float(item.get("score", 1.0)), Box(x1, y1, x2, y2))
