"""Read a video file at the rate at which a camera would be polled, with the ground truth recorded beside it."""

import json
import math
from pathlib import Path
from typing import Any

import cv2

from edge_agent.errors import ConfigError
from edge_agent.events import Box, Detection
from edge_agent.perception.camera.opencv import VideoCapture, as_bgr, open_file
from edge_agent.perception.camera.recorded import RecordedPicture


class VideoReader:
    """Implements recorded.PictureReader on a video file.

    Args:
        fps: calls of `read` per second of the video's time: of a video at 30 fps read at 10, every third picture is
            returned, of one at 5 fps each twice. None returns every picture once.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        self.path = path
        self.notes: list[str] = []
        self.frames = 0
        """Number of pictures by the file's header; 0 when unknown."""
        self.fps = 0.0
        """The file's own frame rate; 0 when unknown."""
        self._wanted_fps = fps
        self._ratio = 1.0
        self._reads = 0
        self._passed = 0
        self._capture: VideoCapture | None = None
        self._truth: dict[int, tuple[Detection, ...]] = {}
        self._last: RecordedPicture | None = None

    @property
    def damaged(self) -> bool:
        """Whether the video is truncated."""
        return bool(self.notes)

    def open(self) -> None:
        """Open the file and read its first picture; raises ConfigError when that fails."""
        self._truth = read_truth(self.path.with_suffix(".jsonl"))
        self._capture = open_file(self.path)
        self.frames = max(0, round(_property(self._capture, "FRAME_COUNT")))
        self.fps = _sane_rate(_property(self._capture, "FPS"))
        self._ratio = _ratio(self.fps, self._wanted_fps)
        self._advance()
        if self._last is None:
            self.close()
            size = self.path.stat().st_size
            problem = f"not a readable video, or cut short ({size} bytes)" if size else "an empty file"
            raise ConfigError(f"{self.path}: {problem}", remedy="name another video, or copy or record it again")

    def read(self) -> RecordedPicture | None:
        """Return the picture at the next point in time, or None after the last."""
        wanted = math.floor(self._reads * self._ratio + 1e-6)
        while self._last is not None and self._last.number < wanted:
            self._skip_to(wanted)
            self._advance()
        self._reads += 1
        return self._last

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _skip_to(self, wanted: int) -> None:
        """Skip the pictures before number `wanted` without converting them."""
        while self._capture is not None and self._passed < wanted and self._capture.grab():
            self._passed += 1

    def _advance(self) -> None:
        """Read one picture into `_last`; None at the end of the video."""
        good, image = self._capture.read() if self._capture is not None else (False, None)
        picture = as_bgr(image) if good else None
        if picture is None:
            self._end()
            return
        name = f"{self.path.name}#{self._passed}"
        self._last = RecordedPicture(picture, self._passed, name, self._truth.get(self._passed))
        self._passed += 1

    def _end(self) -> None:
        """Close the file, and add a note when it is truncated."""
        # Containers round the number of pictures: one or two missing ones do not count.
        if self._last is not None and self._passed < self.frames - 2:
            self.notes.append(f"{self.path}: cut short: {self._passed} of {self.frames} pictures could be read")
        self._last = None
        self.close()


def read_truth(path: Path) -> dict[int, tuple[Detection, ...]]:
    """Read the ground truth of a recorded video: one line `{"frame": 0, "detections": [{"label", "box"}]}` per frame.

    Boxes are [x1, y1, x2, y2] in the video's pixels. Lines without these keys are skipped, and an absent file returns
    an empty mapping. Raises ConfigError for a line that cannot be parsed.
    """
    if not path.exists():
        return {}
    truth = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the recorded truth cannot be read", remedy="remove it or record again") from error
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line) if line.strip() else {}
            if "frame" in entry and entry.get("detections") is not None:
                truth[int(entry["frame"])] = tuple(_detection(item) for item in entry["detections"])
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{path}:{number}: not a line of recorded truth", remedy="record again") from error
    return truth


def _detection(item: Any) -> Detection:
    x1, y1, x2, y2 = (float(value) for value in item["box"])
    return Detection(str(item["label"]), float(item.get("score", 1.0)), Box(x1, y1, x2, y2))


def _ratio(video_fps: float, wanted_fps: float | None) -> float:
    """Return how many pictures of the video lie between one read and the next."""
    if wanted_fps is None or not video_fps:
        return 1.0
    ratio = video_fps / wanted_fps
    whole = round(ratio)
    # Ratios of frame rates this close to an integer are rounded: 29.97 to 10 is 3, without drift.
    return float(whole) if whole and abs(ratio / whole - 1) <= 0.01 else ratio


def _sane_rate(fps: float) -> float:
    """Return 0 for an implausible frame rate: some containers state their time base instead."""
    return fps if 0.5 <= fps <= 1000 else 0.0


def _property(capture: VideoCapture, name: str) -> float:
    value = capture.get(getattr(cv2, f"CAP_PROP_{name}"))
    return value if math.isfinite(value) else 0.0
