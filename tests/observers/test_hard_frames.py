"""Hard frames are told from easy ones, and kept whole within a budget."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs

from edge_agent.errors import FatalError, UsageError
from edge_agent.events import Box, Detection, Event, Frame, Prediction
from edge_agent.observers.hard_frames import Collector, HardReason, hard_reasons
from edge_agent.perception.tracking import Track, TrackerParameters, update_tracks
from edge_agent.perception.vision import CameraPicture
from edge_agent.runtime.queues import Fanout

SURE = Detection("stop", 0.95, Box(10, 10, 30, 30))
UNSURE = Detection("stop", 0.69, Box(10, 10, 30, 30))
OTHER = Detection("no_entry", 0.95, Box(10, 10, 30, 30))
DANGER = Detection("danger", 0.85, Box(10, 10, 30, 30))
"""Well above the detector's threshold, and little above the score from which this sign counts."""
Seen = Sequence[Detection]


def reasons_of_last(*frames: Seen) -> tuple[HardReason, ...]:
    """Tell what `hard` says of the last frame, 100 ms after the one before it."""
    tracks: tuple[Track, ...] = ()
    for n, seen in enumerate(frames):
        tracks, _ = update_tracks(tracks, seen, n / 10, TrackerParameters())
    return hard_reasons(frames[-1], tracks, {"danger": 0.7}, threshold=0.5)


@pytest.mark.parametrize(
    ("frames", "reasons"),
    [
        ([[]], ()),
        ([[SURE], [SURE]], ()),
        ([[SURE], []], ()),
        ([[], [SURE]], ()),
        ([[UNSURE]], (HardReason.LOW_CONFIDENCE,)),
        ([[DANGER]], (HardReason.LOW_CONFIDENCE,)),
        ([[SURE], [], [SURE]], (HardReason.FLICKER,)),
        ([[SURE], [], [SURE], [SURE]], ()),
        ([[SURE], *[[]] * 8, [SURE]], ()),
        ([[SURE], [OTHER]], (HardReason.DISAGREEMENT,)),
        ([[SURE], [], [OTHER]], (HardReason.FLICKER, HardReason.DISAGREEMENT)),
        ([[SURE], [], [UNSURE]], (HardReason.LOW_CONFIDENCE, HardReason.FLICKER)),
    ],
)
def test_frame_is_hard_for_these_reasons(frames: Sequence[Seen], reasons: tuple[HardReason, ...]) -> None:
    assert reasons_of_last(*frames) == reasons


def noisy(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(n).integers(0, 256, (60, 80, 3), np.uint8)


def shown(*frames: Seen, period_s: float = 0.1) -> list[Event]:
    """Return the events of these sights, one each `period_s`."""
    events: list[Event] = []
    for n, seen in enumerate(frames):
        taken_s = n * period_s
        events.append(Frame(f"f{n}", n, CameraPicture(noisy(n)), taken_s, 0.0))
        events.append(Prediction(f"f{n}", n, taken_s, 0.0, 80, 60, tuple(seen), 3.0, taken_s))
    return events


def collector(folder: Path, budget_bytes: int = 10**6) -> Collector:
    return Collector(folder, min_scores={}, threshold=0.5, budget_bytes=budget_bytes)


async def collect(hard_frames: Collector, events: Sequence[Event]) -> None:
    fanout: Fanout[Event] = Fanout()
    queue = fanout.subscribe("collector", 1000)
    running = asyncio.create_task(hard_frames.run(queue))
    await asyncio.sleep(0)
    for event in events:
        fanout.publish(event)
    running.cancel()
    (ended,) = await asyncio.gather(running, return_exceptions=True)
    if not isinstance(ended, asyncio.CancelledError):
        assert isinstance(ended, BaseException)
        raise ended


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "collected.jsonl").read_text().splitlines()]


async def test_hard_frame_is_kept_with_its_line(tmp_path: Path) -> None:
    hard_frames = collector(tmp_path / "new" / "hard")
    await collect(hard_frames, shown([SURE], [UNSURE]))
    (line,) = lines(tmp_path / "new" / "hard")
    box = {"label": "stop", "score": 0.69, "box": [10, 10, 30, 30]}
    assert line == {"file": "f1.jpg", "frame_id": "f1", "reasons": ["low_confidence"], "detections": [box]}
    picture = cv2.imread(str(tmp_path / "new" / "hard" / "f1.jpg"))
    assert picture is not None
    assert picture.shape == (60, 80, 3)
    assert hard_frames.kept == 1


async def test_flicker_keeps_the_frame_in_which_the_sign_was_missed(tmp_path: Path) -> None:
    await collect(collector(tmp_path), shown([SURE], [], [SURE]))
    assert [(line["file"], line["reasons"]) for line in lines(tmp_path)] == [("f1.jpg", ["flicker"])]


async def test_one_picture_a_second_is_kept(tmp_path: Path) -> None:
    await collect(collector(tmp_path), shown(*[[UNSURE]] * 25))
    assert [line["file"] for line in lines(tmp_path)] == ["f0.jpg", "f10.jpg", "f20.jpg"]


async def test_prediction_whose_frame_was_lost_is_passed_over(tmp_path: Path) -> None:
    await collect(collector(tmp_path), shown([UNSURE])[1:])
    assert list(tmp_path.iterdir()) == []


async def test_budget_counts_what_lies_there_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "earlier.jpg").write_bytes(bytes(4_000))
    with capture_logs() as logs:
        await collect(collector(tmp_path, 30_000), shown(*[[UNSURE]] * 12, period_s=2))
    held = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert 15_000 < held <= 30_000
    assert len(lines(tmp_path)) == len(list(tmp_path.glob("f*.jpg"))) > 0
    assert [log["event"] for log in logs] == ["collector_full"]


async def test_full_disk_is_told_and_leaves_no_picture_without_a_line(tmp_path: Path) -> None:
    hard_frames = collector(tmp_path)
    (tmp_path / "collected.jsonl").symlink_to("/dev/full")
    with pytest.raises(FatalError, match=r"collected\.jsonl.*No space left"):
        await collect(hard_frames, shown([UNSURE]))
    assert [file.name for file in tmp_path.iterdir()] == ["collected.jsonl"]


def test_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot collect frames in"):
        collector(tmp_path / "file" / "hard")
