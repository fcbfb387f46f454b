"""A whole agent on a machine with a (fake) GPU: it drives on ONNX Runtime, moves over, and leaves nothing behind."""

import asyncio
import os
import signal
from pathlib import Path

import cv2
import pytest
from structlog.testing import capture_logs

from edge_agent.agent import RunOptions
from edge_agent.agent.run import run
from edge_agent.config import Settings, load_rules
from edge_agent.perception.vision import OutputLayout
from edge_agent.signs import LABELS
from tests.perception.detector.engines import PICTURE, ROWS, built
from tests.perception.detector.models import outputs_for, save
from tests.support.gpu import Gpu, gpu

__all__ = ["gpu"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a model that knows all signs and sees two of them everywhere, and a picture to prove engines on."""
    (tmp_path / "samples").mkdir()
    cv2.imwrite(str(tmp_path / "samples" / "1.png"), PICTURE)
    outputs = outputs_for(OutputLayout.CHANNELS_LAST, ROWS, len(LABELS))
    return save(tmp_path / "m.onnx", outputs, names=str(list(LABELS)))


def settings(model: Path, folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "detector": {"backend": "tensorrt", "model": model},
            "state": {"directory": folder / "state"},
            "capture": {"source": "sim", "width": 96, "height": 64},
            "hub": {"kind": "mock"},
        },
        strict=False,
    )


async def ended_after(event: str, how: Settings) -> dict[str, object]:
    """Run an agent until it logs `event`, then end it as a service manager does, and return its report."""
    with capture_logs() as logs:
        running = asyncio.create_task(run(RunOptions(how, load_rules())))
        while not running.done() and not any(entry["event"] == event for entry in logs):  # noqa: ASYNC110 - a list
            await asyncio.sleep(0.05)
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        return await running


async def test_train_moves_to_the_engine_while_it_drives(tmp_path: Path, gpu: Gpu, model: Path) -> None:
    built(model, tmp_path / "state" / "engines")
    report = await ended_after("detector_moved", settings(model, tmp_path))
    assert report["ended_by"] == "SIGTERM"
    assert report["detector"]["backend"] == "tensorrt"  # type: ignore[index]
    assert gpu.left() == {}


async def test_train_drives_on_where_the_engine_is_refused(tmp_path: Path, gpu: Gpu, model: Path) -> None:
    engines = tmp_path / "state" / "engines"
    engine = built(model, engines)
    gpu.say("oom")
    report = await ended_after("gpu_memory", settings(model, tmp_path))
    assert report["detector"]["backend"] == "onnxruntime"  # type: ignore[index]
    assert [fault["code"] for fault in report["faults"] if "gpu" in fault["code"]] == ["gpu_memory"]  # type: ignore
    assert engine.exists(), "the memory was at fault, not the engine"
    assert gpu.left() == {}
