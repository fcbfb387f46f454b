"""Models and engines for the tests of the TensorRT detector, on the fake GPU."""

import asyncio
from pathlib import Path

import numpy as np

from edge_agent.perception.detector.tensorrt.bindings import load_bindings
from edge_agent.perception.detector.tensorrt.build_process import build_in_process
from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest, build_engine
from edge_agent.perception.detector.tensorrt.detector import PostprocessOptions, TensorRtDetector
from edge_agent.perception.vision import OutputLayout
from tests.perception.detector.models import Row, outputs_for, save

NAMES = "['a', 'b']"
ROWS: list[Row] = [(10, 12, 40, 44, 0.9, 1), (50, 20, 70, 40, 0.8, 0)]
PICTURE = np.full((64, 96, 3), 90, np.uint8)


def tiny(folder: Path, name: str = "m.onnx", layout: OutputLayout = OutputLayout.CHANNELS_LAST, **more: object) -> Path:
    """Write a model that returns ROWS."""
    return save(folder / name, outputs_for(layout, ROWS, 2), names=NAMES, **more)  # type: ignore[arg-type]


def request(model: Path, folder: Path, precision: str = "auto", **more: bool) -> BuildRequest:
    return BuildRequest(str(model), precision, str(folder), **more)


def built(model: Path, folder: Path) -> Path:
    """Build the engine of `model` in this process, cached in `folder`."""
    return build_engine(request(model, folder), lambda message: True, load_bindings())[0]


def build_in_child(model: Path, folder: Path) -> tuple[Path, bool]:
    """Build it as the agent does, in a child process."""
    return asyncio.run(build_in_process(request(model, folder)))


def opened(engine: Path) -> TensorRtDetector:
    return TensorRtDetector(engine, load_bindings(), PostprocessOptions())
