"""The benchmark's output: JSON and table."""

import json

import pytest

from edge_agent.bench.result import GOALS, Ratio, as_json, machine, rows
from edge_agent.bench.stats import Interval


def test_json_holds_every_ratio_in_the_documented_form() -> None:
    made = as_json([Ratio(1, Interval(1.02, 1.01, 1.04), "60 and 60", "a note")], machine())
    made = json.loads(json.dumps(made))
    assert made["schema"] == 1
    assert made["machine"]["cores"] > 0
    (ratio,) = made["ratios"]
    assert {key: ratio[key] for key in ("goal", "ratio", "ci95", "target", "better")} == {
        "goal": 1,
        "ratio": 1.02,
        "ci95": [1.01, 1.04],
        "target": 1.03,
        "better": "lower",
    }


def test_what_was_not_measured_is_null_with_its_reason() -> None:
    ratio = Ratio(3, None, note="mosquitto is not installed").as_json()
    assert (ratio["ratio"], ratio["ci95"], ratio["note"]) == (None, None, "mosquitto is not installed")
    assert rows([Ratio(3, None)])[1][2:] == ("-", "-", "<= 0.1", "not measured")


@pytest.mark.parametrize(
    ("goal", "value", "met"), [(1, 1.03, True), (1, 1.04, False), (5, 0.97, True), (5, 0.96, False)]
)
def test_verdict_follows_the_goal_and_its_direction(goal: int, value: float, met: bool) -> None:
    assert Ratio(goal, Interval(value, value, value)).met is met


def test_there_are_twelve_goals_and_one_wants_more() -> None:
    assert sorted(GOALS) == list(range(1, 13))
    assert [number for number, goal in GOALS.items() if goal.better == "higher"] == [5]
