"""Keeps the frames that the detector found hard, for somebody to label: pictures in a folder, and why each is there.

An observer like any other: it reads its own bounded queue and writes on a thread. What is hard is told by `hard`, which
is pure. Knows files. Knows nothing of how frames are taken or of what becomes of the pictures.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import structlog

from edge_agent.errors import FatalError, UsageError
from edge_agent.events import Detection, Event, Frame, Prediction
from edge_agent.perception.tracking import Track, TrackerParameters, update_tracks
from edge_agent.ports import EventSource
from edge_agent.runtime.files import write_atomic

_log = structlog.get_logger(__name__)

UNSURE = 0.2
"""A score less than this above the threshold is a low one."""
PERIOD_S = 1.0
"""The least time between two pictures: neighbours of a hard frame teach little more."""
_QUALITY = 95
_WAITING = 32
"""Frames kept until their prediction comes; at most a few are under way."""


class HardReason(StrEnum):
    """Why a frame is hard."""

    LOW_CONFIDENCE = "low_confidence"
    FLICKER = "flicker"
    DISAGREEMENT = "disagreement"


def hard_reasons(detections: Iterable[Detection], tracks: Sequence[Track], threshold: float) -> tuple[HardReason, ...]:
    """Tell why the newest frame is hard, by its detections and the tracks that they have been folded into.

    Low confidence: a score less than `UNSURE` above the threshold. Flicker: a sign seen, missed, and now seen again;
    the frame before is the one to look at. Disagreement: a sign that had another label when it was last seen.
    """
    found = {HardReason.LOW_CONFIDENCE} if any(d.score < threshold + UNSURE for d in detections) else set()
    for track in tracks:
        *before, now = track.votes
        seen = [label for label in before if label is not None]
        if now is None or not seen:
            continue
        if before[-1] is None:
            found.add(HardReason.FLICKER)
        if seen[-1] != now:
            found.add(HardReason.DISAGREEMENT)
    return tuple(reason for reason in HardReason if reason in found)


@dataclass(frozen=True, slots=True)
class DetectedFrame:
    """A frame with what the detector saw in it."""

    frame: Frame
    prediction: Prediction


class Collector:
    """Keeps hard frames in `folder` as FRAME_ID.jpg, and a line for each in `collected.jsonl` there.

    At most one picture in `PERIOD_S`, and none that would bring the folder over its budget. Raises UsageError when
    the folder cannot be written to.

    Args:
        folder: where the pictures go; made when missing, what lies there stays and counts.
        threshold: the detector's least score.
        budget_bytes: the most that all files in the folder may take.
        tracking: how boxes of neighbouring frames are associated.
    """

    name = "collector"

    def __init__(
        self, folder: Path, *, threshold: float, budget_bytes: int, tracking: TrackerParameters | None = None
    ) -> None:
        self._folder, self._lines = folder, folder / "collected.jsonl"
        self._threshold, self._budget_bytes, self._tracking = threshold, budget_bytes, tracking or TrackerParameters()
        self._held_bytes = _prepare(folder, self._lines)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="collector")
        self._frames: deque[Frame] = deque(maxlen=_WAITING)
        self._tracks: tuple[Track, ...] = ()
        self._before: DetectedFrame | None = None
        self._next_s = float("-inf")
        self._full = False
        self.kept = 0

    async def run(self, events: EventSource) -> None:
        """Collect until cancelled, then look at what still waits; raises FatalError when the disk does not take it."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._take(await events.get())
        except asyncio.CancelledError:
            for _ in range(len(events)):
                await self._take(await events.get())
            raise
        finally:
            await loop.run_in_executor(self._thread, lambda: None)  # whatever is being written is written to its end
            self._thread.shutdown(wait=False)

    async def _take(self, event: Event) -> None:
        if isinstance(event, Frame):
            self._frames.append(event)
        elif isinstance(event, Prediction):
            frame = next((one for one in self._frames if one.sequence == event.sequence), None)
            if frame is not None:
                await self._look(DetectedFrame(frame, event))

    async def _look(self, sight: DetectedFrame) -> None:
        """Fold a sight into the tracks, and keep it if it is hard and its time has come."""
        seen = sight.prediction
        self._tracks, _ = update_tracks(self._tracks, seen.detections, seen.taken_s, self._tracking)
        reasons = hard_reasons(seen.detections, self._tracks, self._threshold)
        before, self._before = self._before, sight
        if not reasons or self._full or seen.taken_s < self._next_s:
            return
        self._next_s = seen.taken_s + PERIOD_S
        missed = HardReason.FLICKER in reasons and before is not None
        chosen = before if missed and before is not None else sight
        told = (HardReason.FLICKER,) if missed else reasons
        await asyncio.get_running_loop().run_in_executor(self._thread, self._keep, chosen, told)

    def _keep(self, sight: DetectedFrame, reasons: tuple[HardReason, ...]) -> None:
        """Write a picture and its line, or tell once that the folder is full."""
        encoded, data = cv2.imencode(".jpg", sight.frame.image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not encoded:
            raise FatalError("a frame could not be written as JPEG", remedy="report this, with the log")
        picture, line = self._folder / f"{sight.frame.frame_id}.jpg", _line(sight, reasons)
        if picture.exists():  # kept for a reason of its own, where frames are rare
            return
        if self._held_bytes + len(data) + len(line) > self._budget_bytes:
            self._full = True
            _log.warning("collector_full", folder=str(self._folder), budget_mb=self._budget_bytes // 1_000_000)
            return
        write_atomic(picture, data.tobytes())
        try:
            _append(self._lines, line)
        except FatalError:
            picture.unlink(missing_ok=True)
            raise
        self._held_bytes += len(data) + len(line)
        self.kept += 1


def _prepare(folder: Path, lines: Path) -> int:
    """Make the folder, see that it can be written to, and return how many bytes its files take."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        existed = lines.exists()
        lines.open("ab").close()
        if not existed:
            lines.unlink()
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    except OSError as error:
        raise UsageError(
            f"cannot collect frames in '{folder}': {error.strerror}", remedy="name a folder that you may write"
        ) from error


def _line(sight: DetectedFrame, reasons: tuple[HardReason, ...]) -> bytes:
    plain = [
        {
            "label": one.label,
            "score": round(one.score, 4),
            "box": [round(v, 2) for v in (one.box.x1, one.box.y1, one.box.x2, one.box.y2)],
        }
        for one in sight.prediction.detections
    ]
    frame_id = sight.frame.frame_id
    line = {"file": f"{frame_id}.jpg", "frame_id": frame_id, "reasons": list(reasons), "detections": plain}
    return (json.dumps(line, separators=(",", ":")) + "\n").encode()


def _append(path: Path, line: bytes) -> None:
    """Append a whole line or nothing; raises FatalError naming the file."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab") as file:
            file.write(line)
    except OSError as error:
        if path.is_file():
            with path.open("r+b") as file:
                file.truncate(size)
        raise FatalError(f"cannot write '{path}': {error.strerror}", remedy="free some space") from error
