"""Liveness and readiness of the agent."""

from dataclasses import replace

import pytest

from edge_agent.console.health import FRESH_S, SILENCE_S, HealthMonitor
from edge_agent.events import Event, GuardState, HubStatus
from tests.support import events as make


def driving(*, at_s: float = 100.0) -> list[Event]:
    frame = make.frame(at_s=at_s)
    return [frame, make.prediction(frame), make.state(GuardState.RUNNING, at_s=at_s)]


def health(*events: Event, at_s: float = 100.0) -> HealthMonitor:
    monitor = HealthMonitor(started_s=0.0)
    for event in events:
        monitor.fold(event, at_s)
    return monitor


def test_train_that_drives_is_alive_and_ready() -> None:
    monitor = health(*driving())
    assert monitor.live(100.1).ok
    assert monitor.ready(100.1).troubles == ()


def test_agent_that_starts_is_alive_and_not_ready() -> None:
    monitor = HealthMonitor(started_s=100.0)
    assert monitor.live(101.0).ok
    assert monitor.ready(101.0).troubles == (
        "no frame yet",
        "no prediction yet",
        "the guard has not reported its state yet",
    )


def test_control_without_new_states_is_not_alive() -> None:
    monitor = health(*driving())
    assert monitor.live(100.0 + SILENCE_S).ok
    assert monitor.live(100.0 + SILENCE_S + 0.1).troubles == ("control has published no state for 5 s",)


def test_camera_without_new_frames_is_reported() -> None:
    monitor = health(*driving())
    monitor.fold(make.state(at_s=103), 103.0)
    assert monitor.ready(100.0 + FRESH_S + 1).troubles == (
        "the last frame is 3.0 s old",
        "the last prediction is 3.0 s old",
    )


def test_detector_without_new_predictions_is_reported() -> None:
    monitor = health(*driving())
    monitor.fold(make.frame(2, at_s=103), 103.0)
    monitor.fold(make.state(at_s=103), 103.0)
    assert monitor.ready(103.0).troubles == ("the last prediction is 3.0 s old",)


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
    monitor = health(*driving())
    monitor.fold(make.state(guard), 100.0)
    assert monitor.ready(100.0).ok is ready


def test_latched_fault_is_reported_in_the_guards_words() -> None:
    monitor = health(*driving())
    monitor.fold(replace(make.state(GuardState.FAULT_LATCHED), reason="emergency stop"), 100.0)
    assert monitor.ready(100.0).troubles == ("fault latched: emergency stop",)


def test_disconnected_hub_is_reported() -> None:
    monitor = health(*driving())
    monitor.fold(replace(make.state(GuardState.LINK_LOST), hub=HubStatus(connected=False)), 100.0)
    assert monitor.ready(100.0).troubles == ("the hub is not connected",)
