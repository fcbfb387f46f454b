"""Everything that can be wrong with Bluetooth, from the command line: one line with a remedy, and no motion."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import structlog

from edge_agent import cli
from edge_agent.hub.emulator import IMMEDIATE, BluezEmulator, EmulatedHub, HubProfile, PrivateBus
from edge_agent.hub.lwp3 import OutputCommand, SystemType, decode
from tests.support.emulator_thread import EmulatorThread


@dataclass(frozen=True)
class Case:
    """A fault: how to cause it, and what every message about it must contain."""

    name: str
    says: str
    prepare: Callable[[BluezEmulator], Any] = lambda emulator: None
    emulator: Callable[[], BluezEmulator] = lambda: BluezEmulator(timing=IMMEDIATE)
    scan_says: str = ""
    """What `hub scan` prints if that differs: it lists a hub that cannot be driven."""


def _technic() -> BluezEmulator:
    return BluezEmulator(EmulatedHub(HubProfile(name="Crane", system_type=SystemType.TECHNIC)), timing=IMMEDIATE)


def _forbidden() -> BluezEmulator:
    return BluezEmulator(bus=PrivateBus(permitted=False))


CASES = (
    Case("no D-Bus", "start dbus.service", BluezEmulator.kill_bus),
    Case("no permission", "group `bluetooth`", emulator=_forbidden),
    Case("no bluetoothd", "systemctl enable --now bluetooth", BluezEmulator.kill_bluetoothd),
    Case("no adapter", "There is no Bluetooth adapter; plug in", BluezEmulator.remove_adapter),
    Case("Bluetooth off", "rfkill unblock bluetooth", BluezEmulator.power_adapter),
    Case("no hub in range", "press its green button", BluezEmulator.vanish),
    Case("held by another machine", "close apps that are connected to it", BluezEmulator.hold),
    Case(
        "held by another program",
        "Another program is using the hub",
        lambda emulator: emulator.hold("here"),
        scan_says="held by another program",
    ),
    Case("another kind of hub", "which is a Technic Hub", emulator=_technic, scan_says="Technic Hub"),
    Case("no motor", "plug the train motor into port A", BluezEmulator.unplug, scan_says="Train hub"),
)


class Shell:
    """Runs the program in this process and captures its output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.out = self.err = ""

    def __call__(self, words: str) -> int:
        self._monkeypatch.setattr("sys.argv", ["edge-agent", *words.split()])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        self.out, self.err = self._capsys.readouterr()
        return int(str(code or 0))


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    # A train arms itself only where it can be noted that it died.
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path_factory.mktemp("runtime")))
    monkeypatch.setattr("edge_agent.hub.ble.SEARCH_S", 0.2)
    monkeypatch.setattr("edge_agent.hub.session.MOTOR_LIMIT_S", 0.2)
    quiet = {"CONSOLE__ENABLED": "false", "CONSOLE__METRICS": "false", "LOG__FORMAT": "json"}
    patient = {"GUARD__LOOP_STALL_MS": "2000", "GUARD__LEASE_MS": "2000", "GUARD__LATCH_MS": "20000"}
    for name, value in {**quiet, **patient, "GUARD__ARM": "always"}.items():
        monkeypatch.setenv(f"EDGE_AGENT_{name}", value)
    yield Shell(monkeypatch, capsys)
    structlog.reset_defaults()


@pytest.fixture(params=CASES, ids=lambda case: case.name.replace(" ", "_"))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def bluez(case: Case, kernel_adapters: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorThread]:
    """Serve a hub with the fault of the case."""
    with EmulatorThread(case.emulator()) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        thread.call(case.prepare)
        yield thread


def run(shell: Shell, folder: Path) -> int:
    """Drive for two seconds on frames without signs."""
    for n in range(20):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((40, 60, 3), 5 * n, np.uint8))
    return shell(f"run --source {folder} --hub ble --detector none --json")


def powers(bluez: EmulatorThread) -> list[int]:
    """Return the powers that reached the motor, without brakes."""
    messages = [decode(write.raw) for write in bluez.emulator.writes]
    return [one.power for one in messages if isinstance(one, OutputCommand) and one.power not in (None, 127, 0)]


@pytest.mark.parametrize("command", ["hub info --timeout 1", "hub drive 40 --timeout 1"])
def test_hub_command_ends_with_one_line_and_nothing_moves(
    shell: Shell, bluez: EmulatorThread, case: Case, command: str
) -> None:
    assert shell(command) == 1
    (line,) = shell.err.splitlines()
    assert line.startswith("edge-agent: ")
    assert case.says in line
    assert "; " in line, "what is wrong; what to do"
    assert powers(bluez) == []


def test_hub_that_another_program_holds_is_left_to_it(shell: Shell, emulated: EmulatorThread) -> None:
    emulated.call(lambda emulator: emulator.hold("here"))
    before = emulated.call(BluezEmulator.status)
    assert (before["connected"], before["links"]) == (True, 1)
    assert shell("hub drive 40 --timeout 1") == 1
    assert emulated.call(BluezEmulator.status) == before, "its link has not been pulled from under it"
    assert emulated.emulator.writes == []


def test_brake_works_on_a_hub_another_program_uses(shell: Shell, emulated: EmulatorThread) -> None:
    emulated.call(lambda emulator: emulator.hold("here"))
    assert shell("hub brake") == 0
    assert shell.out.strip().endswith("disconnected")
    assert not emulated.call(BluezEmulator.status)["connected"]


def test_scan_ends_with_one_line_or_lists_the_hub(shell: Shell, bluez: EmulatorThread, case: Case) -> None:
    code = shell("hub scan --seconds 0.3")
    if case.scan_says:
        assert (code, shell.err) == (0, "")
        assert case.scan_says in shell.out
    else:
        assert code == 1
        (line,) = shell.err.splitlines()
        assert case.says in line


def test_run_says_it_once_and_the_train_stays_even_if_it_is_to_arm_by_itself(
    shell: Shell, bluez: EmulatorThread, case: Case, tmp_path: Path
) -> None:
    assert run(shell, tmp_path) == 0
    log = [json.loads(line) for line in shell.err.splitlines()]
    (line,) = [line for line in log if line["level"] in ("warning", "error")]
    assert line["event"] == "no_hub"
    assert case.says in line["reason"]
    assert [fault for fault in log if fault.get("state") in ("armed_stopped", "running")] == []
    assert powers(bluez) == []
    assert json.loads(shell.out)["frames"]["processed"] > 10, "and sees all the while"


def test_run_with_nothing_wrong_drives(shell: Shell, emulated: EmulatorThread, tmp_path: Path) -> None:
    assert run(shell, tmp_path) == 0
    assert max(powers(emulated)) > 40
