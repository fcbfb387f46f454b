"""A whole agent on the simulated track with fresh and with weak batteries: it takes the same time for a lap."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.agent import RunOptions, build, run
from edge_agent.config import Settings, load_rules
from edge_agent.events import HubStatus
from edge_agent.report import Mission
from edge_agent.simulation.clock import run_virtual
from edge_agent.simulation.hub import SimHub
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.world import World
from tests.support.truth import TruthCamera, TruthDetector

WEAK_PERCENT, TOLERANCE = 20.0, 0.10


def lap(
    monkeypatch: pytest.MonkeyPatch, seed: int, battery_percent: float, hub: type[SimHub] = SimHub, **how: object
) -> tuple[World, dict[str, Any]]:
    """Drive one mission on a virtual clock; return the world as it was left, and the report."""
    world = World(default_layout(seed), seed, battery_percent)
    found = build.Devices(TruthCamera(world), hub(world), lambda: Mission(world.outcome.value), lambda: None)
    monkeypatch.setattr(build, "build_devices", lambda *_args, **_how: found)
    monkeypatch.setattr(build, "open_detector", lambda _settings: TruthDetector(lambda: world))
    plain = Settings()
    settings = plain.model_copy(update={"hub": plain.hub.model_copy(update=how)})
    return world, run_virtual(run(RunOptions(settings, load_rules(), virtual=True)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lap_on_a_weak_battery_takes_as_long_as_on_a_fresh_one(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    (fresh, _), (weak, report) = (lap(monkeypatch, seed, percent) for percent in (100.0, WEAK_PERCENT))
    assert fresh.outcome == weak.outcome == "stopped"
    assert fresh.lap_s is not None
    assert weak.lap_s == pytest.approx(fresh.lap_s, rel=TOLERANCE)
    assert (weak.overruns, report["mission"]["outcome"]) == (0, "stopped")
    assert {fault["severity"] for fault in report["faults"]} == {"degraded"}, "a weak battery is told, and drives on"


def test_without_compensation_a_weak_battery_is_late_or_sticks(monkeypatch: pytest.MonkeyPatch) -> None:
    (fresh, _), (weak, _) = (
        lap(monkeypatch, 1, percent, battery_compensation=False) for percent in (100.0, WEAK_PERCENT)
    )
    assert fresh.lap_s is not None
    assert weak.lap_s is None or weak.lap_s > (1 + TOLERANCE) * fresh.lap_s


def test_nearly_empty_battery_stops_the_train_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    world, report = lap(monkeypatch, 1, 4.0)
    assert (world.outcome, world.stopped) == ("ended", True)
    (trouble,) = [fault for fault in report["faults"] if fault["code"] == "hub_trouble"]
    assert "below the critical 6.00 V" in trouble["message"]


def test_voltage_that_dips_while_the_motor_starts_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dipping(SimHub):
        """Measures 1 V less for a moment, each time the motor has been told something."""

        def status(self) -> HubStatus:
            told = super().status()
            recent = self.writes and asyncio.get_running_loop().time() - self.writes[-1][0] < 0.04
            return replace(told, voltage_mv=5_500) if recent else told

    world, report = lap(monkeypatch, 1, 60.0, hub=Dipping)
    assert world.outcome == "stopped"
    assert {fault["code"] for fault in report["faults"]} == {"battery_low"}
