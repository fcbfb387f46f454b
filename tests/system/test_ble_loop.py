"""The closed loop through bytes: agent -> bleak -> D-Bus -> LWP3 -> emulated hub -> world -> camera -> agent."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge_agent.agent import RunOptions, build, run, simulated_train
from edge_agent.config import load_rules
from edge_agent.events import CommandKind
from edge_agent.hub.emulator import BluezEmulator, MotorSetting
from edge_agent.hub.lwp3 import OutputCommand, decode
from edge_agent.hub.recording import Direction, read_log
from edge_agent.simulation.world import World
from tests.chaos.rig import settings
from tests.hub.conftest import close_bleak
from tests.support.emulator_thread import EmulatorThread
from tests.support.truth import TruthDetector

SLACK = 4.0
"""The agent's limits of time are so many times as long: the machine may be busy, and this is no test of pace."""

CRUISE_PERCENT = 36
"""Slow: a machine that stands still for half a second must not drive past a sign meanwhile."""

TRACK = """
track:
  - straight: 8
  - curve: -2
  - straight: 12
signs:
  - {name: stop, at_mm: 800, left_mm: 70}
  - {name: danger/exclamation, at_mm: 2000, left_mm: -70}
look: {seed: 4}
"""
PATIENCE_S = 90.0


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorThread]:
    with EmulatorThread(BluezEmulator()) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        yield thread


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> list[World]:
    """Let the detector see the truth of the world that the agent makes, and the test the world."""
    made: list[World] = []

    def make(*args: Any) -> World:
        made.append(World(*args))
        return made[-1]

    monkeypatch.setattr(simulated_train, "World", make)
    monkeypatch.setattr(build, "open_detector", lambda _how: TruthDetector(lambda: made[-1] if made else None))
    return made


def drive(tmp_path: Path) -> dict[str, Any]:
    """Run the agent, armed as it comes, on the track above."""
    track, log = tmp_path / "track.yaml", tmp_path / "hub.jsonl"
    track.write_text(TRACK)
    how = settings(SLACK)
    how = how.model_copy(
        update={
            "sim": how.sim.model_copy(update={"layout": track}),
            "guard": how.guard.model_copy(update={"arm": "auto"}),
            "policy": how.policy.model_copy(update={"cruise_power_percent": CRUISE_PERCENT}),
        }
    )

    async def main() -> dict[str, Any]:
        try:
            return await run(RunOptions(how, load_rules(), hub_log=log))
        finally:
            await close_bleak()

    return asyncio.run(main())


def test_train_behind_the_emulated_hub_obeys_and_stops_before_the_cliff(
    emulated: EmulatorThread, worlds: list[World], tmp_path: Path
) -> None:
    motor: list[MotorSetting] = []
    emulated.call(lambda emulator: emulator.hub.watch(lambda to, _at_s: motor.append(to)))
    report = drive(tmp_path)
    (world,) = worlds
    assert report["mission"]["outcome"] == "stopped"
    assert (report["mission"]["overruns"], world.derailed) == (0, False)
    assert 0 < report["mission"]["margin_mm"] == pytest.approx(world.margin_mm, abs=0.1)
    assert [action["sign"] for action in report["actions"]] == ["stop", "danger"]
    assert motor[0].kind is CommandKind.BRAKE, "the first write brakes"
    assert _turns(motor) == ["brake", "drive", "brake", "drive", "brake"]

    battery = emulated.call(lambda emulator: emulator.hub.battery)
    assert battery.fed_voltage_mv == pytest.approx(1000 * world.voltage_v, abs=50)
    assert battery.percent == pytest.approx(world.battery_percent, abs=0.5)

    sent = [decode(record.data) for record in read_log(tmp_path / "hub.jsonl") if record.direction is Direction.SENT]
    assert any(isinstance(message, OutputCommand) and (message.power or 0) > 30 for message in sent)


def test_hub_that_is_no_emulated_one_is_not_armed_by_itself(
    emulated: EmulatorThread, worlds: list[World], tmp_path: Path
) -> None:
    Path(f"{emulated.bus_address.removeprefix('unix:path=')}.hub").unlink()
    how = settings(SLACK)
    how = how.model_copy(update={"guard": how.guard.model_copy(update={"arm": "auto"})})

    async def main() -> None:
        try:
            await run(RunOptions(how, load_rules(), duration_s=3.0))
        finally:
            await close_bleak()

    with capture_logs() as logs:
        asyncio.run(main())
    assert emulated.call(lambda emulator: emulator.hub.motor) == MotorSetting(CommandKind.BRAKE)
    assert worlds[0].stopped
    told = [line["event"] for line in logs]
    assert "simulated_train_stands" in told
    assert [line["state"] for line in logs if line["event"] == "guard"] == ["disarmed"]


def _turns(motor: list[MotorSetting]) -> list[str]:
    """Tell what the motor did, repetitions left out."""
    kinds = [to.kind.value for to in motor]
    return [kind for n, kind in enumerate(kinds) if n == 0 or kind != kinds[n - 1]]


@contextmanager
def emulator_process(folder: Path) -> Iterator[str]:
    """Run `edge-agent hub emulate`, and give the line that it prints for the agent's environment."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "hub", "emulate", "--bus", str(folder / "bus")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().partition("=")[2]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


def test_two_commands_as_a_person_types_them_move_the_train(tmp_path: Path) -> None:
    """`hub emulate` and `run --source sim --hub ble`. Nobody looks where it goes: it must come to the track's end."""
    (tmp_path / "track.yaml").write_text("track: [{straight: 6}]\nsigns: []\n")
    with emulator_process(tmp_path) as address:
        environment = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": address,
            "XDG_STATE_HOME": str(tmp_path),
            "EDGE_AGENT_CONSOLE__ENABLED": "false",
            "EDGE_AGENT_CONSOLE__METRICS": "false",
            "EDGE_AGENT_GUARD__LEASE_MS": "2000",
            "EDGE_AGENT_GUARD__LATCH_MS": "20000",
            "EDGE_AGENT_GUARD__LOOP_STALL_MS": "2000",
            "EDGE_AGENT_CAPTURE__MAX_AGE_MS": "2000",
            "EDGE_AGENT_HUB__WRITE_TIMEOUT_MS": "600",
            "EDGE_AGENT_SIM__LAYOUT": str(tmp_path / "track.yaml"),
        }
        command = [sys.executable, "-m", "edge_agent", "run", "--source", "sim", "--hub", "ble", "--detector", "none"]
        done = subprocess.run(
            [*command, "--json"], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["mission"]["outcome"] == "derailed", done.stderr
