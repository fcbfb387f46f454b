"""The pipeline from end to end on recorded videos, with the detector that ships. `make fixtures` records them anew."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent import RunOptions, run
from edge_agent.config import load, load_rules
from edge_agent.simulation.clock import run_virtual
from tests.seeds import Judge

FIXTURES = Path(__file__).parents[1] / "fixtures"

EXPECTED = {"limit-and-stop": ["speed_limit_30", "stop"], "danger": ["danger"], "nothing": []}


def replay(name: str) -> tuple[dict[str, Any], Judge]:
    """Drive a mocked hub by a recorded video, on a virtual clock."""
    settings = load(None, {"capture.source": str(FIXTURES / f"{name}.mp4"), "hub.kind": "mock"}, {}).settings
    rules = load_rules()
    judge = Judge(rules.signs)
    return run_virtual(run(RunOptions(settings, rules, sinks=(judge,), virtual=True))), judge


@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_drive_obeys_its_signs_and_no_others(name: str) -> None:
    report, judge = replay(name)
    assert [action["sign"] for action in report["actions"]] == EXPECTED[name]
    assert judge.false_decisions == 0
    assert report["frames"]["invalid"] == report["frames"]["dropped"] == 0


def test_same_video_twice_gives_the_same_decisions_at_the_same_times() -> None:
    first, second = (replay("danger")[0] for _ in range(2))
    assert first["run_id"] != second["run_id"]
    told = [[{**action, "frame_id": None} for action in report["actions"]] for report in (first, second)]
    assert told[0] == told[1]
    assert first["detections"] == second["detections"]
