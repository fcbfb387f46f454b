"""When the agent is told to live and to be ready."""

from dataclasses import replace

import pytest

from edge_agent.console.health import FRESH_S, SILENCE_S, HealthMonitor
from edge_agent.events import Event, GuardState, HubStatus
from tests.support import events as make


def driving(*, at_s: float = 100.0) -> list[Event]:
    frame = make.frame(at_s=at_s)
    return [frame, make.prediction(frame), make.state(GuardState.RUNNING, at_s=at_s)]


def health(*events: Event, at_s: float = 100.0) -> HealthMonitor:
    health = HealthMonitor(started_s=0.0)
    for event in events:
        health.fold(event, at_s)
    return health


def test_train_that_drives_is_alive_and_ready() -> None:
    told = health(*driving())
    assert told.live(100.1).ok
    assert told.ready(100.1).troubles == ()


def test_agent_that_starts_is_alive_and_not_ready() -> None:
    told = HealthMonitor(started_s=100.0)
    assert told.live(101.0).ok
    assert told.ready(101.0).troubles == (
        "no frame yet",
        "no prediction yet",
        "the guard has not reported its state yet",
    )


def test_control_that_falls_silent_is_not_alive() -> None:
    told = health(*driving())
    assert told.live(100.0 + SILENCE_S).ok
    assert told.live(100.0 + SILENCE_S + 0.1).troubles == ("control has published no state for 5 s",)


def test_camera_that_falls_silent_is_told() -> None:
    told = health(*driving())
    told.fold(make.state(at_s=103), 103.0)
    assert told.ready(100.0 + FRESH_S + 1).troubles == (
        "the last frame is 3.0 s old",
        "the last prediction is 3.0 s old",
    )


def test_detector_that_falls_silent_is_told() -> None:
    told = health(*driving())
    told.fold(make.frame(2, at_s=103), 103.0)
    told.fold(make.state(at_s=103), 103.0)
    assert told.ready(103.0).troubles == ("the last prediction is 3.0 s old",)


@pytest.mark.parametrize(
    ("guard", "ready"),
    [
        (GuardState.INIT, False),
        (GuardState.DISARMED, True),
        (GuardState.ARMED_STOPPED, True),
        (GuardState.RUNNING, True),
        (GuardState.STOPPING, True),
        (GuardState.FAULT_LATCHED, False),
    ],
)
def test_readiness_follows_the_guard(guard: GuardState, ready: bool) -> None:
    told = health(*driving())
    told.fold(make.state(guard), 100.0)
    assert told.ready(100.0).ok is ready


def test_latched_fault_is_told_in_the_guards_words() -> None:
    told = health(*driving())
    told.fold(replace(make.state(GuardState.FAULT_LATCHED), reason="emergency stop"), 100.0)
    assert told.ready(100.0).troubles == ("fault latched: emergency stop",)


def test_hub_that_is_away_is_told() -> None:
    told = health(*driving())
    told.fold(replace(make.state(GuardState.LINK_LOST), hub=HubStatus(connected=False)), 100.0)
    assert told.ready(100.0).troubles == ("the hub is not connected",)
