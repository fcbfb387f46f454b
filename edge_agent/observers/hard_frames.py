"""Collects frames that the detector found hard, to be labelled: pictures in a folder, and why each was kept.

Pictures and boxes are in the camera's own pixels, set upright, as the network gets them.

An observer like any other: it reads its own bounded queue and writes in a thread.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
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

LOW_MARGIN = 0.2
"""A score within this margin above the threshold counts as low confidence."""

PERIOD_S = 1.0
"""The least time between two pictures: neighbours of a hard frame teach little more."""

_MAX_WAITING = 32  # frames kept until their prediction comes; at most a few are under way


class HardReason(StrEnum):
    """Why a frame is hard."""

    LOW_CONFIDENCE = "low_confidence"
    FLICKER = "flicker"
    DISAGREEMENT = "disagreement"


def hard_reasons(
    detections: Iterable[Detection], tracks: Sequence[Track], min_scores: Mapping[str, float], threshold: float
) -> tuple[HardReason, ...]:
    """Return why the newest frame is hard, by its detections and the tracks that they have been folded into.

    Low confidence: a score less than `LOW_MARGIN` above that from which the sign counts: its `min_scores`, else the
    detector's threshold. Flicker: a sign seen, missed, and now seen
    again; the hard frame is the one before. Disagreement: a sign that had another label when it was last seen.
    """
    low = any(one.score < min_scores.get(one.label, threshold) + LOW_MARGIN for one in detections)
    found = {HardReason.LOW_CONFIDENCE} if low else set()
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
    """Keeps hard frames in `folder` as FRAME_ID.jpg, with a line for each in `collected.jsonl`.

    At most one picture per `PERIOD_S`, and none that would exceed the folder's budget. Raises UsageError if the folder
    is not writable.

    Args:
        folder: where the pictures go; created if missing, existing files stay and count.
        min_scores: the score, 0..1, from which each sign counts, by label.
        threshold: the detector's confidence threshold, 0..1; for labels without a rule.
        budget_bytes: maximum size of all files in the folder.
        tracking: how boxes of neighbouring frames are associated.
    """

    name = "collector"

    def __init__(
        self,
        folder: Path,
        *,
        min_scores: Mapping[str, float],
        threshold: float,
        budget_bytes: int,
        tracking: TrackerParameters | None = None,
    ) -> None:
        self._folder, self._lines = folder, folder / "collected.jsonl"
        self._min_scores = min_scores
        self._threshold, self._budget_bytes, self._tracking = threshold, budget_bytes, tracking or TrackerParameters()
        self._held_bytes = _prepare(folder, self._lines)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="collector")
        self._frames: deque[Frame] = deque(maxlen=_MAX_WAITING)
        self._tracks: tuple[Track, ...] = ()
        self._before: DetectedFrame | None = None
        self._next_s = float("-inf")
        self._full = False
        self.kept = 0

    async def run(self, events: EventSource) -> None:
        """Collect until cancelled, then process what is still queued; raises FatalError if the disk fails."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._on_event(await events.get())
        except asyncio.CancelledError:
            for _ in range(len(events)):
                await self._on_event(await events.get())
            raise
        finally:
            await loop.run_in_executor(self._thread, lambda: None)  # wait for the write in progress
            self._thread.shutdown(wait=False)

    async def _on_event(self, event: Event) -> None:
        if isinstance(event, Frame):
            self._frames.append(event)
        elif isinstance(event, Prediction):
            frame = next((one for one in self._frames if one.sequence == event.sequence), None)
            if frame is not None:
                await self._on_detection(DetectedFrame(frame, event))

    async def _on_detection(self, detected: DetectedFrame) -> None:
        """Fold a detection into the tracks, and keep its frame if it is hard and a period has passed."""
        prediction = detected.prediction
        self._tracks, _ = update_tracks(self._tracks, prediction.detections, prediction.taken_s, self._tracking)
        reasons = hard_reasons(prediction.detections, self._tracks, self._min_scores, self._threshold)
        before, self._before = self._before, detected
        if not reasons or self._full or prediction.taken_s < self._next_s:
            return
        self._next_s = prediction.taken_s + PERIOD_S
        if HardReason.FLICKER in reasons and before is not None:  # the frame that missed the sign is the hard one
            detected, reasons = before, (HardReason.FLICKER,)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._keep, detected, reasons)

    def _keep(self, detected: DetectedFrame, reasons: tuple[HardReason, ...]) -> None:
        """Write a picture and its line, or log once that the folder is full."""
        encoded, data = cv2.imencode(".jpg", detected.frame.picture.pixels(), [cv2.IMWRITE_JPEG_QUALITY, 95])
        if not encoded:
            raise FatalError("a frame could not be written as JPEG", remedy="report this, with the log")
        picture, line = self._folder / f"{detected.frame.frame_id}.jpg", _line(detected, reasons)
        if picture.exists():  # already kept for another reason, at a low frame rate
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
    """Create the folder, check that it is writable, and return the size of its files in bytes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        existed = lines.exists()
        lines.open("ab").close()
        if not existed:
            lines.unlink()
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    except OSError as error:
        raise UsageError(
            f"cannot collect frames in '{folder}': {error.strerror}", remedy="name a writable folder"
        ) from error


def _line(detected: DetectedFrame, reasons: tuple[HardReason, ...]) -> bytes:
    plain = [
        {
            "label": one.label,
            "score": round(one.score, 4),
            "box": [round(v, 2) for v in (one.box.x1, one.box.y1, one.box.x2, one.box.y2)],
        }
        for one in detected.prediction.detections
    ]
    frame_id = detected.frame.frame_id
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
