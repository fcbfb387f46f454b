"""The wall clock decides nothing: set it as you like, the same things reach the hub at the same moments."""

import time
from pathlib import Path

import pytest

import edge_agent
from edge_agent.agent import RunOptions, build, run
from edge_agent.config import Settings, load_rules
from edge_agent.report import Mission
from edge_agent.simulation.clock import run_virtual
from edge_agent.simulation.hub import SimHub
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.world import World
from tests.support.truth import TruthCamera, TruthDetector

HOUR_S = 3600.0
DURATION_S = 15.0

CONTROL_PATH = (
    "runtime/queues.py",
    *("perception", "control", "hub", "pipeline", "simulation", "agent"),
)
STAMPS = {"pipeline/capture.py", "pipeline/control.py"}
"""Where a wall time is written into an event, for people; `taken_unix_s` and `at_unix_s`."""
NAMED = {"perception/detector/tensorrt/build_worker.py", "hub/calibration.py"}
"""Where a date is written into a file."""
GIVEN = {"control/commands/parser.py", "control/commands/rules.py"}
"""Where the time at which a command was given is read or written."""


def writes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str, int]]:
    """Drive for a while on a virtual clock; return what reached the hub, and when."""
    world = World(default_layout(1), 1)
    hub = SimHub(world)
    parts = build.Devices(TruthCamera(world), hub, Mission, lambda: None)
    monkeypatch.setattr(build, "build_devices", lambda *_args, **_how: parts)
    monkeypatch.setattr(build, "open_detector", lambda _settings: TruthDetector(lambda: world))
    run_virtual(run(RunOptions(Settings(), load_rules(), virtual=True, duration_s=DURATION_S)))
    return list(hub.writes)


def test_clock_that_jumps_by_hours_changes_nothing_that_reaches_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = writes(monkeypatch)
    real, jumps = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: real() + HOUR_S * (-1) ** next(jumps))
    assert writes(monkeypatch) == plain
    assert next(jumps) > 100, "the clock was asked, for the stamps"
    assert max(power for _, kind, power in plain if kind == "drive") > 40


def test_wall_clock_is_read_only_where_events_and_files_are_stamped() -> None:
    root = Path(edge_agent.__file__).parent
    files = [
        file
        for name in CONTROL_PATH
        for file in ([root / name] if name.endswith(".py") else (root / name).rglob("*.py"))
    ]
    words = ("time.time(", "datetime.", "time.ctime", "time.localtime", "time.gmtime", "utcnow")
    readers = {str(file.relative_to(root)) for file in files if any(word in file.read_text() for word in words)}
    assert readers == STAMPS | NAMED | GIVEN
