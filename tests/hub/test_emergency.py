"""The brake without an event loop: on a link that BlueZ keeps, and its errors."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.errors import RetryableError
from edge_agent.events import CommandKind
from edge_agent.hub import emergency
from edge_agent.hub.emergency import BrakeTarget, ThreadBrake, brake_bytes, main, targets
from edge_agent.hub.emulator import BluezEmulator, PrivateBus
from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID, SERVICE_UUID, brake, encode, start_power
from tests.support.emulator_thread import EmulatorThread

from .conftest import no_free_descriptor

ADDRESS = "90:84:2B:60:33:70"


def abandon(emulator: BluezEmulator) -> None:
    """Leave the hub as a process that was killed while the train ran."""
    emulator.stack.advertise()
    emulator.stack.connect()
    emulator.stack.write(encode(start_power(0, 60)))


@pytest.fixture
def abandoned(emulated: EmulatorThread) -> EmulatorThread:
    """Leave a train running on a link that no process uses."""
    emulated.call(abandon)
    assert emulated.call(BluezEmulator.status)["motor"] == "drive"
    return emulated


def test_constants_are_those_of_the_codec() -> None:
    assert (emergency.SERVICE_UUID, emergency.CHARACTERISTIC_UUID) == (SERVICE_UUID, CHARACTERISTIC_UUID)
    assert [brake_bytes(port) for port in (0, 1)] == [encode(brake(port)) for port in (0, 1)]


def test_abandoned_train_is_braked_and_the_link_stays(
    abandoned: EmulatorThread, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    status = abandoned.call(BluezEmulator.status)
    assert (status["motor"], status["connected"]) == ("brake", True)
    assert f"({ADDRESS}): braked" in capsys.readouterr().out


def test_abandoned_train_is_braked_from_a_process_of_its_own(abandoned: EmulatorThread) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent.hub.emergency"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert abandoned.call(BluezEmulator.status)["motor"] == "brake"


@pytest.mark.parametrize("fault", [BluezEmulator.hang, BluezEmulator.busy, BluezEmulator.fail])
def test_brake_that_is_not_taken_drops_the_link(
    abandoned: EmulatorThread, capsys: pytest.CaptureFixture[str], fault: Callable[..., None]
) -> None:
    abandoned.call(partial(fault, method="WriteValue"))
    assert main([]) == 0
    assert not abandoned.call(BluezEmulator.status)["connected"]
    assert "disconnected" in capsys.readouterr().out


def test_neither_brake_nor_drop_working_fails_and_says_so(
    abandoned: EmulatorThread, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emergency, "RETRY_S", 0.2)
    for method in ("WriteValue", "Disconnect"):
        abandoned.call(partial(BluezEmulator.fail, method=method))
    assert main([]) == 1
    assert "failed" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["GetManagedObjects", "WriteValue"])
def test_stack_that_answers_late_is_asked_again(
    abandoned: EmulatorThread, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(emergency, "DISCONNECT_S", 0.1)
    for hanging in (method, "Disconnect"):
        abandoned.call(partial(BluezEmulator.hang, method=hanging))
    asked = [0]

    def pause(_seconds: float) -> None:
        asked[0] += 1
        abandoned.call(BluezEmulator.behave)

    monkeypatch.setattr(time, "sleep", pause)
    assert main([]) == 0
    assert asked == [1]
    assert abandoned.call(BluezEmulator.status)["motor"] == "brake"


def test_stack_that_never_answers_is_given_up(
    abandoned: EmulatorThread, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emergency, "RETRY_S", 0.2)
    abandoned.call(partial(BluezEmulator.hang, method="GetManagedObjects"))
    assert main([]) == 1
    assert "did not answer" in capsys.readouterr().err


def test_other_address_leaves_the_hub_alone(abandoned: EmulatorThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--address", "00:00:00:00:00:01"]) == 0
    assert abandoned.call(BluezEmulator.status)["motor"] == "drive"
    assert capsys.readouterr().out == "no hub with the address 00:00:00:00:00:01 is connected: nothing to brake\n"


def test_own_address_in_small_letters_is_braked(abandoned: EmulatorThread) -> None:
    assert main(["--address", ADDRESS.lower()]) == 0
    assert abandoned.call(BluezEmulator.status)["motor"] == "brake"


def test_no_link_has_nothing_to_brake(emulated: EmulatorThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "nothing to brake" in capsys.readouterr().out


def test_no_bus_is_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    assert main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_no_bluetoothd_is_one_line_on_stderr(emulated: EmulatorThread, capsys: pytest.CaptureFixture[str]) -> None:
    act: Callable[[BluezEmulator], Any] = BluezEmulator.kill_bluetoothd
    emulated.call(act)
    assert main([]) == 1
    assert "bluetooth.service" in capsys.readouterr().err


def test_no_permission_names_the_group(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with EmulatorThread(BluezEmulator(bus=PrivateBus(permitted=False))) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        assert main([]) == 1
    assert "group `bluetooth`" in capsys.readouterr().err


def device(**properties: tuple[str, object]) -> dict[str, dict[str, Any]]:
    base = {
        "Address": ("s", ADDRESS),
        "Alias": ("s", "Train"),
        "Connected": ("b", True),
        "UUIDs": ("as", [SERVICE_UUID]),
    }
    return {"org.bluez.Device1": {**base, **properties}}


CHARACTERISTIC = {"org.bluez.GattCharacteristic1": {"UUID": ("s", CHARACTERISTIC_UUID)}}


def test_connected_hub_is_found_with_its_characteristic() -> None:
    objects = {"/dev_1": device(), "/dev_1/service1/char1": CHARACTERISTIC, "/dev_10": device(Connected=("b", False))}
    assert targets(objects) == (BrakeTarget(ADDRESS, "Train", "/dev_1", "/dev_1/service1/char1"),)


def test_hub_whose_services_are_not_resolved_is_found_without_it() -> None:
    assert targets({"/dev_1": device()}) == (BrakeTarget(ADDRESS, "Train", "/dev_1", None),)


def test_hub_that_no_longer_advertises_its_service_is_known_by_its_characteristic() -> None:
    found = targets({"/dev_1": device(UUIDs=("as", [])), "/dev_1/service1/char1": CHARACTERISTIC})
    assert [target.device for target in found] == ["/dev_1"]


def test_headphones_are_left_alone() -> None:
    assert targets({"/dev_1": device(UUIDs=("as", ["0000110b-0000-1000-8000-00805f9b34fb"]))}) == ()


def targeted(emulated: EmulatorThread) -> ThreadBrake:
    stack = emulated.emulator.stack
    thread_brake = ThreadBrake()
    thread_brake.set_target(BrakeTarget(ADDRESS, "Train", stack.device_path, stack.characteristic_path), (0,))
    return thread_brake


def test_thread_brake_works_from_any_thread_and_again(abandoned: EmulatorThread) -> None:
    thread_brake = targeted(abandoned)
    for _ in range(2):
        abandoned.call(lambda emulator: emulator.stack.write(encode(start_power(0, 60))))
        thread = threading.Thread(target=thread_brake.brake)
        thread.start()
        thread.join(10)
        assert abandoned.call(BluezEmulator.status)["motor"] == "brake"
    thread_brake.close()


def test_thread_brake_that_was_proven_works_without_a_free_descriptor(abandoned: EmulatorThread) -> None:
    thread_brake = targeted(abandoned)
    thread_brake.prove()
    with no_free_descriptor():
        thread_brake.brake()
        thread_brake.prove()
    assert abandoned.call(BluezEmulator.status)["motor"] == "brake"
    thread_brake.close()
    with no_free_descriptor(), pytest.raises(RetryableError):
        thread_brake.prove()


def test_proving_replaces_a_broken_connection_and_reports_that_there_is_none(abandoned: EmulatorThread) -> None:
    thread_brake = targeted(abandoned)
    thread_brake.prove()
    acts: list[Callable[[BluezEmulator], Any]] = [BluezEmulator.kill_bus, BluezEmulator.start_bus, abandon]
    abandoned.call(acts[0])
    with pytest.raises(RetryableError):
        thread_brake.prove()
    for act in acts[1:]:
        abandoned.call(act)
    thread_brake.prove()
    for act in acts:
        abandoned.call(act)
    thread_brake.prove()
    thread_brake.set_target(None)
    abandoned.call(acts[0])
    thread_brake.prove()
    thread_brake.close()


def test_thread_brake_without_a_link_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    assert ThreadBrake().brake() is None


def test_thread_brake_that_reaches_no_hub_raises(abandoned: EmulatorThread) -> None:
    thread_brake = targeted(abandoned)
    act: Callable[[BluezEmulator], Any] = BluezEmulator.kill_bluetoothd
    abandoned.call(act)
    with pytest.raises(RetryableError):
        thread_brake.brake()
    thread_brake.close()


def test_thread_brake_survives_a_bus_that_was_restarted(abandoned: EmulatorThread) -> None:
    thread_brake = targeted(abandoned)
    thread_brake.brake()
    for act in (BluezEmulator.kill_bus, BluezEmulator.start_bus):
        ordered: Callable[[BluezEmulator], Any] = act
        abandoned.call(ordered)
    abandoned.call(abandon)
    thread_brake.brake()
    assert abandoned.call(BluezEmulator.status)["motor"] == "brake"
    thread_brake.close()


def test_brake_that_is_refused_asks_for_a_disconnect_at_once_and_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, kernel_adapters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another program holds the hub; bluetoothd takes 2.4 s to let it go."""
    with EmulatorThread(BluezEmulator()) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        thread.call(lambda emulator: emulator.stack.connect())
        time.sleep(1)
        thread.call(lambda emulator: emulator.stack.write(encode(start_power(0, 60))))
        thread.call(lambda emulator: emulator.fail("WriteValue", "org.bluez.Error.NotPermitted"))
        assert main([]) == 0
        assert "disconnected" in capsys.readouterr().out
        assert not thread.call(BluezEmulator.status)["linked"]


def test_thread_brake_of_a_link_that_is_ending_has_not_failed(abandoned: EmulatorThread) -> None:
    brake = targeted(abandoned)
    abandoned.call(partial(BluezEmulator.fail, method="WriteValue"))
    abandoned.call(partial(BluezEmulator.slow, delay_s=2.0, method="Disconnect"))
    outcome = brake.brake()
    brake.close()
    assert outcome is not None
    assert outcome.result == "disconnecting"


def test_brake_and_disconnect_wait_in_their_sequence_in_a_bluetoothd_that_stands_still(
    abandoned: EmulatorThread,
) -> None:
    brake = targeted(abandoned)
    abandoned.call(BluezEmulator.freeze_bluetoothd)
    with pytest.raises(RetryableError):
        brake.brake()
    abandoned.call(lambda emulator: emulator.freeze_bluetoothd(False))
    brake.close()
    assert abandoned.emulator.writes[-1].raw == brake_bytes(0)
    assert abandoned.emulator.hub.motor.kind is CommandKind.BRAKE
    assert not abandoned.call(BluezEmulator.status)["connected"]
