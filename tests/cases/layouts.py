"""Tracks on which a sign comes soon after a curve."""

from collections.abc import Callable
from pathlib import Path

from tests.cases.case import Case
from tests.system.test_mission import drive


def obeys(sign: str) -> Callable[[Path], None]:
    """Return a check that the train obeys the sign once, and does not overrun it."""

    def check(file: Path) -> None:
        report = drive(**{"sim.layout": str(file)})
        assert [action["sign"] for action in report["actions"]] == [sign], report["actions"]
        assert report["mission"]["overruns"] == 0, report["mission"]

    return check


CASES = (
    Case("layouts/stop-after-curve.yaml", "one action, stop; no overrun", obeys("stop")),
    Case("layouts/limit-after-curve.yaml", "one action, speed_limit_30", obeys("speed_limit_30")),
)
