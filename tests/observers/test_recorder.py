"""A recording is whole or not there."""

import asyncio
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Box, Detection, Event, Frame, Prediction
from edge_agent.observers.recorder import Recorder
from edge_agent.perception.vision import CameraPicture
from edge_agent.runtime.queues import Fanout

STOP = Detection("stop", 0.91234567, Box(1, 2, 30, 40))


def frame(n: int) -> Frame:
    return Frame(
        f"f{n}", n, CameraPicture(np.full((40, 60, 3), 10 * n, np.uint8)), 5.0 + n / 10, 0.0, (STOP,) if n else None
    )


async def record(path: Path, *events: Event) -> Recorder:
    fanout: Fanout[Event] = Fanout()
    recorder, queue = Recorder(path, 10.0), fanout.subscribe("recorder", 100)
    running = asyncio.create_task(recorder.run(queue))
    await asyncio.sleep(0)
    for event in events:
        fanout.publish(event)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return recorder


async def test_what_waits_when_the_run_ends_is_recorded_too(tmp_path: Path) -> None:
    prediction = Prediction("f1", 1, 5.1, 0.0, 60, 40, (STOP,), 3.0, 5.2)
    recorder = await record(tmp_path / "run.mp4", frame(0), frame(1), prediction, frame(2))
    assert recorder.frames == 3
    assert cv2.VideoCapture(str(tmp_path / "run.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 3
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [line.get("frame") for line in lines] == [0, 1, None, 2]
    assert "detections" not in lines[0], "a source that knows no truth records none"
    assert lines[1]["detections"] == [{"label": "stop", "box": [1, 2, 30, 40]}]
    assert lines[1]["t_s"] == 0.1
    assert lines[2] == {"prediction_of": 1, "predicted": [{"label": "stop", "box": [1, 2, 30, 40], "score": 0.9123}]}


async def test_run_without_a_frame_leaves_no_file(tmp_path: Path) -> None:
    await record(tmp_path / "run.mp4")
    assert list(tmp_path.iterdir()) == []


async def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".run.partial.jsonl").symlink_to("/dev/full")
    fanout: Fanout[Event] = Fanout()
    recorder, queue = Recorder(tmp_path / "run.mp4", 10.0), fanout.subscribe("recorder", 100)
    fanout.publish(frame(1))
    with pytest.raises(FatalError, match="No space left on device"):
        await recorder.run(queue)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run.avi", "nowhere/run.mp4"])
def test_path_that_cannot_be_recorded_to_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        Recorder(tmp_path / name, 10.0)
