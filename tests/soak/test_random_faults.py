"""A few minutes of the soak test, and tests of its checks."""

import pytest

from edge_agent.events import CommandKind, GuardState

from .judge import Record, Span
from .virtual import soak

DRIVE, BRAKE = CommandKind.DRIVE, CommandKind.BRAKE
RUNNING, STOPPING = GuardState.RUNNING, GuardState.STOPPING


@pytest.mark.parametrize("seed", [1, 2])
def test_train_never_moves_while_the_guard_says_no(seed: int) -> None:
    record, injected = soak(2.0, seed)
    assert record.violations() == []
    assert sum(injected.values()) > 15
    assert record.moving_share() > 0.2, "a train that stands proves nothing"


def judged(motor: list[tuple[float, CommandKind]], *, forbidden_s: float = 10.0, fault: Span | None = None) -> int:
    states = [(0.0, RUNNING), (forbidden_s, STOPPING)]
    return len(Record(0.05, motor=motor, states=states, faults=[fault] if fault else []).violations())


def test_brake_in_time_is_right() -> None:
    assert judged([(0, DRIVE), (10.04, DRIVE), (10.4, BRAKE)]) == 0


def test_brake_that_comes_late_or_never_is_noticed() -> None:
    assert judged([(0, DRIVE), (10.6, BRAKE)]) == 1
    assert judged([(0, DRIVE), (12.0, DRIVE)]) > 0


def test_power_after_the_guard_said_no_is_noticed() -> None:
    assert judged([(0, DRIVE), (10.01, BRAKE), (10.1, DRIVE), (10.2, BRAKE)]) == 1


def test_power_while_something_is_wrong_is_noticed_though_the_guard_permits_it() -> None:
    fault = Span(5.0, 8.0, 0.45, "frozen frame")
    assert judged([(0, DRIVE), (5.4, BRAKE), (8.1, DRIVE), (10.01, BRAKE)], fault=fault) == 0
    assert judged([(0, DRIVE), (5.5, BRAKE), (8.1, DRIVE), (10.01, BRAKE)], fault=fault) == 1
    assert judged([(0, DRIVE), (5.4, BRAKE), (7.9, DRIVE), (10.01, BRAKE)], fault=fault) == 1


def test_share_of_moving_is_of_the_whole_record() -> None:
    record = Record(0.05, motor=[(0, BRAKE), (1, DRIVE), (3, BRAKE), (4, BRAKE)])
    assert record.moving_share() == 0.5
    assert Record(0.05).moving_share() == 0.0
