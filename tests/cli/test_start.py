"""The modules that a start loads, and the detector that is opened meanwhile."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cli.startup import preload_detector
from edge_agent.config import Settings
from edge_agent.errors import ConfigError

FORBIDDEN = (
    "rich",
    "torch",
    "starlette",
    "uvicorn.protocols",
    "prometheus_client",
    "bleak",
    "aiomqtt",
    "aiokafka",
    "edge_agent.simulation.world",
    "edge_agent.observers.mqtt.mirror",
    "edge_agent.perception.detector.tensorrt.session",
    "edge_agent.cli.doctor",
)
"""What a start must not load."""

PROBE = f"""
import sys
from edge_agent import cli
from edge_agent.cli import run
def drive(job, watched):
    print([name for name in {FORBIDDEN!r} if name in sys.modules])
    raise SystemExit
run._run_to_end = drive
sys.argv = ["edge-agent", "run", "--dry-run", "--source", sys.argv[1], "--no-console"]
cli.main()
"""


def detector(**changes: object) -> Settings:
    return Settings.model_validate({"detector": changes}, strict=False)


def test_start_of_a_run_loads_only_what_it_needs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_log_lines_are_the_same_with_structlog_loaded_without_rich() -> None:
    code = (
        "import sys; from edge_agent.cli.startup import load_structlog; load_structlog()\n"
        "import structlog; from edge_agent.runtime import log; log.configure('info', 'console', sys.stdout)\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: structlog.get_logger().exception('failed')\n"
        "import rich.console\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert "failed" in done.stdout
    assert "ZeroDivisionError: division by zero" in done.stdout


def test_detector_is_opened_in_another_thread_and_used_in_ours() -> None:
    opener = preload_detector(Settings())
    assert opener is not None
    assert opener().infer(np.full((400, 600, 3), 128, np.uint8)) == ()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("detector-ahead")]


def test_detector_that_cannot_be_opened_raises_where_it_is_awaited(tmp_path: Path) -> None:
    opener = preload_detector(detector(model=tmp_path / "missing.onnx"))
    assert opener is not None
    with pytest.raises(ConfigError, match=r"missing\.onnx"):
        opener()


def test_engine_without_an_onnx_file_beside_it_is_left_to_the_thread_that_runs_it(tmp_path: Path) -> None:
    assert preload_detector(detector(model=tmp_path / "signs.engine")) is None
