"""The closed loop: the simulator renders, the detector that ships reads the pixels, the motor moves the camera."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent import RunOptions, run
from edge_agent.config import load, load_rules
from edge_agent.simulation.clock import run_virtual

FIXTURES = Path(__file__).parents[1] / "fixtures"
TRACK = FIXTURES / "tracks" / "mission.yaml"


def drive(**overrides: object) -> dict[str, Any]:
    """Drive the short mission on a virtual clock."""
    asked = {"sim.layout": str(TRACK), "hub.kind": "mock", **overrides}
    settings = load(None, asked, {}).settings
    return run_virtual(run(RunOptions(settings, load_rules(), virtual=True)))


def test_train_slows_for_30_waits_at_stop_and_stops_before_the_cliff() -> None:
    report = drive()
    assert [action["sign"] for action in report["actions"]] == ["speed_limit_30", "stop", "danger"]
    assert report["mission"]["outcome"] == "stopped"
    assert report["mission"]["overruns"] == 0
    assert report["mission"]["margin_mm"] > 100


def test_train_without_a_detector_falls_off_and_the_report_says_so() -> None:
    report = drive(**{"detector.backend": "none"})
    assert report["actions"] == []
    assert report["mission"]["outcome"] == "derailed"
    assert report["mission"]["overruns"] == 1


@pytest.mark.parametrize(("layout", "sign"), [("stop-after-curve", "stop"), ("limit-after-curve", "speed_limit_30")])
def test_sign_that_stands_behind_a_curve_acts_once(layout: str, sign: str) -> None:
    """It comes into view small and moves by more than its own width a frame; the rails then end on purpose."""
    report = drive(**{"sim.layout": str(FIXTURES / "cases" / "layouts" / f"{layout}.yaml")})
    assert [action["sign"] for action in report["actions"]] == [sign]
    assert report["mission"]["overruns"] == 0
