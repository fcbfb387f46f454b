"""RemoteMotor: found beside the bus, loses no command, never blocks."""

import time
from pathlib import Path

import pytest

from edge_agent.errors import RetryableError
from edge_agent.events import CommandKind
from edge_agent.hub.emulator import BluezEmulator, MotorSetting, RemoteMotor, control_path, emulator_on_system_bus
from edge_agent.hub.lwp3 import brake, encode, start_power
from tests.support.emulator_thread import EmulatorThread

LIMIT_S = 10.0
MotorCommands = list[tuple[MotorSetting, float]]


@pytest.fixture
def control(emulated: EmulatorThread) -> Path:
    """Return the control socket of the emulator that serves the system bus."""
    return control_path(emulated.emulator.bus.socket)


def link(emulator: BluezEmulator) -> None:
    emulator.stack.advertise()
    emulator.stack.connect()


def drain_until(remote: RemoteMotor, count: int) -> MotorCommands:
    """Collect commands until there are `count`."""
    drained: MotorCommands = []
    deadline_s = time.monotonic() + LIMIT_S
    while len(drained) < count and time.monotonic() < deadline_s:
        drained += remote.drain()
        time.sleep(0.002)
    return drained


def test_emulator_is_found_by_the_address_of_its_bus(emulated: EmulatorThread, control: Path) -> None:
    assert emulator_on_system_bus() == control


@pytest.mark.parametrize(
    "address", ["", "unix:path=/run/dbus/system_bus_socket", "tcp:host=localhost,port=1", "unix:abstract=x", "nonsense"]
)
def test_bus_that_is_no_emulators_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    assert emulator_on_system_bus() is None


def test_address_with_an_id_and_a_second_choice_is_read(
    emulated: EmulatorThread, control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"tcp:host=localhost,port=1;{emulated.bus_address},guid=0123456789abcdef"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    assert emulator_on_system_bus() == control


def test_every_command_comes_with_its_time_the_present_one_first(emulated: EmulatorThread, control: Path) -> None:
    with RemoteMotor(control) as remote:
        assert [setting for setting, _ in drain_until(remote, 1)] == [MotorSetting()]
        emulated.call(link)
        emulated.call(lambda emulator: emulator.stack.write(encode(start_power(0, 60))))
        emulated.call(lambda emulator: emulator.stack.write(encode(brake(0))))
        writes = emulated.emulator.writes
        assert drain_until(remote, 2) == [
            (MotorSetting(CommandKind.DRIVE, 60), writes[0].at_s),
            (MotorSetting(CommandKind.BRAKE), writes[1].at_s),
        ]
        assert remote.drain() == []


def test_battery_that_is_fed_is_what_the_hub_measures(emulated: EmulatorThread, control: Path) -> None:
    with RemoteMotor(control) as remote:
        for _ in range(500):  # more than the socket holds, and nobody reads the answers in between
            remote.feed(7100, 250, 55.0)
        deadline_s = time.monotonic() + LIMIT_S
        while emulated.call(lambda emulator: emulator.hub.battery.fed_voltage_mv) != 7100:
            assert time.monotonic() < deadline_s
        battery = emulated.call(lambda emulator: emulator.hub.battery)
        assert (battery.percent, battery.fed_current_ma) == (55.0, 250)


def test_emulator_that_ends_has_let_its_motor_coast() -> None:
    with EmulatorThread() as thread:
        remote = RemoteMotor(control_path(thread.emulator.bus.socket))
        remote.__enter__()
        drain_until(remote, 1)
    assert [setting for setting, _ in drain_until(remote, 1)] == [MotorSetting()]
    remote.feed(7100, 250, 55.0)
    remote.__exit__(None, None, None)


def test_no_emulator_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="edge-agent hub emulate"):
        RemoteMotor(tmp_path / "bus.hub").__enter__()
