"""Records a run to an .mp4 with a .jsonl beside it: a line per frame with its ground truth and the detections.

Both are in the camera's own pixels, set upright, so that a replay shows the network what the camera showed it.

An observer like any other: it reads its own bounded queue and encodes in a thread. `--source FILE.mp4` replays such a
pair.
"""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Detection, Event, Frame, Prediction
from edge_agent.ports import EventSource


class Recorder:
    """Records frames into `path` (.mp4); both files appear under their names only when the recording is closed.

    Args:
        path: the video to write; an existing one is replaced once the new one is whole.
        fps: the frame rate written into the video.
    """

    name = "recorder"

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() != ".mp4":
            raise ConfigError(f"cannot record to '{path}': only .mp4 is written", remedy="choose a name ending in .mp4")
        if not path.parent.is_dir():
            raise ConfigError(
                f"cannot record to '{path}': there is no folder '{path.parent}'", remedy="create it first"
            )
        self._path, self._fps = path, fps
        self._partial = path.with_name(f".{path.stem}.partial.mp4")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._writer: cv2.VideoWriter | None = None
        self._lines: TextIO | None = None
        self._first_s: float | None = None
        self.frames = 0

    async def run(self, events: EventSource) -> None:
        """Record until cancelled, then write what is still queued and move both files into place.

        Raises FatalError if the disk fails; no partial files are left then.
        """
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._write(await events.get())
        except asyncio.CancelledError:
            for _ in range(len(events)):
                await self._write(await events.get())
            await loop.run_in_executor(self._thread, self._close)
            raise
        finally:
            await loop.run_in_executor(self._thread, self._clear)
            self._thread.shutdown(wait=False)

    async def _write(self, event: Event) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(event, Frame):
            await loop.run_in_executor(self._thread, self._write_frame, event)
        elif isinstance(event, Prediction):
            await loop.run_in_executor(self._thread, self._write_prediction, event)

    def _write_frame(self, frame: Frame) -> None:
        if self._writer is None:
            self._open(frame.picture.pixels())
        assert self._writer is not None  # noqa: S101 - for the type checker
        self._first_s = frame.taken_s if self._first_s is None else self._first_s
        self._writer.write(frame.picture.pixels())
        truth = None if frame.truth is None else [_plain(d, score=False) for d in frame.truth]
        offset_s = round(frame.taken_s - self._first_s, 4)
        line = {"frame": self.frames, "sequence": frame.sequence, "t_s": offset_s, "frame_id": frame.frame_id}
        self._write_line({**line, "detections": truth} if truth is not None else line)
        self.frames += 1

    def _write_prediction(self, prediction: Prediction) -> None:
        predicted = [_plain(d, score=True) for d in prediction.detections]
        self._write_line({"prediction_of": prediction.sequence, "predicted": predicted})

    def _write_line(self, line: dict[str, Any]) -> None:
        if self._lines is None:
            return
        try:
            self._lines.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._lines.flush()
        except OSError as error:
            raise FatalError(f"cannot write '{self._path}': {error.strerror}", remedy="free some space") from error

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(self._partial), fourcc, self._fps, (width, height))
        if not self._writer.isOpened():
            raise FatalError(
                f"cannot write the video '{self._path}'", remedy="check the folder's permissions and the free space"
            )
        self._lines = self._partial.with_suffix(".jsonl").open("w", encoding="utf-8")

    def _close(self) -> None:
        if self._writer is None or self._lines is None:
            return
        self._writer.release()
        self._lines.close()
        self._partial.replace(self._path)
        self._partial.with_suffix(".jsonl").replace(self._path.with_suffix(".jsonl"))

    def _clear(self) -> None:
        """Remove what a failed recording has left behind."""
        if self._writer is not None:
            self._writer.release()
        if self._lines is not None:
            with suppress(OSError):  # closing flushes, which failed before
                self._lines.close()
        for path in (self._partial, self._partial.with_suffix(".jsonl")):
            path.unlink(missing_ok=True)


def _plain(detection: Detection, *, score: bool) -> dict[str, Any]:
    box = detection.box
    plain: dict[str, Any] = {"label": detection.label, "box": [round(v, 2) for v in (box.x1, box.y1, box.x2, box.y2)]}
    return {**plain, "score": round(detection.score, 4)} if score else plain
