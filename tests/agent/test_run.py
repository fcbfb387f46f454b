"""One train from its settings to its report: what moves it, what stops it, and in which order things end."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.agent import RunOptions, build, monitors as storage, run
from edge_agent.config import Settings, SignRules, load_rules
from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Box, Decision, Detection, Event, Frame, GuardState, MotorCommand, Prediction, TrainState
from edge_agent.hub.mock import MockHub
from edge_agent.ports import DetectorInfo, EventSource, Shot
from edge_agent.report import Mission
from edge_agent.signs import LABELS
from edge_agent.simulation.clock import run_virtual

GREY = np.full((400, 600, 3), 128, np.uint8)
DANGER = Detection("danger", 0.9, Box(100, 100, 140, 140))


class Camera:
    """Gives `frames` grey pictures, then ends; calls `at[n]` before picture n."""

    source, live = "test", False

    def __init__(self, frames: int, at: dict[int, Callable[[], Any]] | None = None) -> None:
        self.at = at or {}
        self._frames, self._taken = frames, 0

    async def __aenter__(self) -> "Camera":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def grab(self) -> Shot | None:
        if self._taken == self._frames:
            return None
        self.at.get(self._taken, lambda: None)()
        self._taken += 1
        return Shot(GREY, asyncio.get_running_loop().time(), self._taken)


class Detector:
    """Sees a danger sign from call `danger_from` on."""

    info = DetectorInfo("fake", "fake.onnx", "0" * 64, 600, 400, LABELS)

    def __init__(self, danger_from: int = 10**9) -> None:
        self._danger_from, self._calls = danger_from, 0

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        self._calls += 1
        return (DANGER,) if self._calls >= self._danger_from else ()

    def close(self) -> None:
        pass


class Listener:
    """An observer that keeps everything."""

    name = "listener"

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def run(self, events: EventSource) -> None:
        while True:
            self.events.append(await events.get())

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MockHub]:
    """Put a scripted camera, a fake detector and a mock hub in place of the real ones."""

    def put(camera: Camera, detector: Detector | None = None) -> MockHub:
        hub = MockHub()
        found = build.Devices(camera, hub, Mission, lambda: None)
        monkeypatch.setattr(build, "build_devices", lambda settings, **how: found)
        monkeypatch.setattr(build, "open_detector", lambda settings: detector or Detector())
        return hub

    return put


def settings(**changes: Any) -> Settings:
    return Settings().model_copy(update=changes)


def go(job: RunOptions | None = None) -> dict[str, Any]:
    return run_virtual(run(job or RunOptions(Settings(), load_rules(), virtual=True)), start_s=500.0)


def drives(hub: MockHub) -> list[int | str]:
    return [write.value for write in hub.log if write.kind == "drive"]


def test_train_leaves_when_all_is_well_and_brakes_when_the_source_ends(parts: Callable[..., MockHub]) -> None:
    hub = parts(Camera(50))
    report = go()
    assert max(drives(hub)) == round(60 * 8.4 / 9.0), "cruise power, compensated for the mock hub's 9 V"
    assert hub.log[-1].kind == "brake"
    assert report["ended_by"] == "the source has ended"
    assert report["frames"]["processed"] == 50
    assert report["faults"] == []
    assert report["latency_ms"]["capture_to_command"]["n"] > 40


def test_train_that_arms_itself_leaves_in_the_moment_in_which_it_may(parts: Callable[..., MockHub]) -> None:
    parts(Camera(20))
    listener = Listener()
    go(RunOptions(Settings(), load_rules(), sinks=(listener,), virtual=True))
    began_s: dict[GuardState, float] = {}
    for state in listener.of(TrainState):
        began_s.setdefault(state.guard, state.at_s)
    assert began_s[GuardState.RUNNING] == began_s[GuardState.DISARMED]


def test_danger_sign_stops_for_good_and_the_chain_is_linked(parts: Callable[..., MockHub]) -> None:
    hub, listener = parts(Camera(60), Detector(danger_from=30)), Listener()
    report = go(RunOptions(Settings(), load_rules(), sinks=(listener,), virtual=True))
    (action,) = report["actions"]
    assert (action["sign"], action["action"], action["power_percent"]) == ("danger", "stop", None)
    brake = next(c for c in listener.of(MotorCommand) if c.reason == "danger sign")
    decision = next(d for d in listener.of(Decision) if d.sign == "danger")
    prediction = next(p for p in listener.of(Prediction) if p.frame_id == decision.frame_id)
    assert brake.decision_id == decision.decision_id
    assert brake.frame_id == prediction.frame_id == action["frame_id"]
    assert any(frame.frame_id == decision.frame_id for frame in listener.of(Frame))
    assert brake.written_s - prediction.taken_s < 0.15
    last_drive_s = max(write.at_s for write in hub.log if write.kind == "drive")
    assert last_drive_s < brake.written_s
    assert listener.of(TrainState)[-1].guard.value in ("stopping", "armed_stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_brakes_first_and_reports_afterwards(parts: Callable[..., MockHub], number: signal.Signals) -> None:
    hub = parts(Camera(1000, {30: lambda: os.kill(os.getpid(), number)}))
    report = go()
    assert report["ended_by"] == signal.Signals(number).name
    kinds = [write.kind for write in hub.log]
    last_drive = len(kinds) - 1 - kinds[::-1].index("drive")
    assert kinds[last_drive + 1 :] == ["brake"] * (len(kinds) - last_drive - 1)
    assert 30 <= report["frames"]["captured"] <= 33


def test_exception_in_a_task_brakes_and_is_raised(parts: Callable[..., MockHub]) -> None:
    def explode() -> None:
        raise RuntimeError("a bug")

    hub = parts(Camera(1000, {30: explode}))
    with pytest.raises(RuntimeError, match="a bug"):
        go()
    assert hub.log[-1].kind == "brake"
    assert max(drives(hub)) > 0


def test_failure_of_ours_is_raised_as_itself(parts: Callable[..., MockHub]) -> None:
    def explode() -> None:
        raise FatalError("the disk is full")

    parts(Camera(1000, {30: explode}))
    with pytest.raises(FatalError, match="the disk is full"):
        go()


@pytest.mark.parametrize("failure", [FatalError("its disk is full"), RuntimeError("a bug")])
def test_observer_that_fails_is_reported_and_the_train_drives_on(
    parts: Callable[..., MockHub], failure: Exception
) -> None:
    class Broken(Listener):
        async def run(self, events: EventSource) -> None:
            await events.get()
            raise failure

    hub = parts(Camera(100))
    report = go(RunOptions(Settings(), load_rules(), sinks=(Broken(),), virtual=True))
    assert [fault["code"] for fault in report["faults"]] == ["listener_failed"]
    assert report["ended_by"] == "the source has ended"
    assert max(write.at_s for write in hub.log if write.kind == "drive") > 509.0


def test_rule_for_a_sign_the_model_does_not_know_never_moves(parts: Callable[..., MockHub]) -> None:
    hub = parts(Camera(100))
    shipped = load_rules()
    rules = SignRules({**shipped.signs, "giraffe": shipped.signs["stop"]})
    with pytest.raises(ConfigError, match="giraffe"):
        go(RunOptions(Settings(), rules, virtual=True))
    assert drives(hub) == []


def test_train_that_is_not_armed_stays(parts: Callable[..., MockHub]) -> None:
    hub = parts(Camera(100))
    never = Settings().guard.model_copy(update={"arm": "never"})
    go(RunOptions(settings(guard=never), load_rules(), virtual=True))
    assert drives(hub) == []


def test_full_disk_keeps_the_train_from_being_armed_until_there_is_room(
    parts: Callable[..., MockHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = iter([1, 1, 1])
    monkeypatch.setattr(storage, "free_mb", lambda _folder: next(rooms, 10_000))
    hub = parts(Camera(200))
    report = go()
    assert [(fault["code"], fault["severity"]) for fault in report["faults"]] == [("disk_full", "degraded")]
    first_s = next(write.at_s for write in hub.log if write.kind == "drive")
    assert first_s - 500.0 > storage.PERIOD_S


def test_disk_that_becomes_full_does_not_stop_a_train(
    parts: Callable[..., MockHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = iter([10_000, 10_000])
    monkeypatch.setattr(storage, "free_mb", lambda _folder: next(rooms, 1))
    hub = parts(Camera(200))
    report = go()
    assert [fault["code"] for fault in report["faults"]] == ["disk_full"]
    assert max(write.at_s for write in hub.log if write.kind == "drive") - 500.0 > 19.0


def test_duration_ends_the_run(parts: Callable[..., MockHub]) -> None:
    parts(Camera(10_000))
    report = go(replace(RunOptions(Settings(), load_rules(), virtual=True), duration_s=5.0))
    assert report["ended_by"] == "5 s have passed"
    assert 49 <= report["frames"]["captured"] <= 52


def test_green_button_is_an_emergency_stop(parts: Callable[..., MockHub]) -> None:
    camera = Camera(100)
    hub = parts(camera)
    camera.at[40] = hub.press_button
    report = go()
    assert [fault["code"] for fault in report["faults"]] == ["emergency_stop"]
    last_drive_s = max(write.at_s for write in hub.log if write.kind == "drive")
    assert last_drive_s < 500.0 + 4.15


def test_lost_link_is_reported_and_a_reconnect_does_not_resume(parts: Callable[..., MockHub]) -> None:
    camera = Camera(100)
    hub = parts(camera)
    camera.at[40] = hub.drop_link
    camera.at[60] = lambda: asyncio.ensure_future(hub.reconnect())
    report = go()
    assert [fault["code"] for fault in report["faults"]] == ["link_lost"]
    assert max(write.at_s for write in hub.log if write.kind == "drive") < 500.0 + 4.15
    assert hub.log[-1].kind == "brake"
