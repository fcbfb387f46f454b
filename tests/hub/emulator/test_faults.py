"""Each injected fault of the emulated BlueZ, as a client sees it."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from bleak import BleakClient
from bleak.exc import BleakDBusError

from edge_agent.errors import UsageError
from edge_agent.events import CommandKind
from edge_agent.hub.emulator import BluezEmulator, LinkHolder
from edge_agent.hub.emulator.bluez import FAILED, IN_PROGRESS, NOT_PERMITTED
from edge_agent.hub.emulator.objects import ADAPTER, ADAPTER_PATH, CHARACTERISTIC, DEVICE, PROPERTIES
from edge_agent.hub.lwp3 import (
    DeviceType,
    HubActionType,
    MalformedReason,
    brake,
    encode,
    initial_requests,
    light,
    start_power,
)
from tests.hub.bleak_client import LIMIT_S, bus_client, find, find_when_ready, linked, until
from tests.support.emulator_thread import EmulatorThread

PATIENCE_S = 0.05
"""How long a test waits for a reply that never comes."""


async def lost(event: asyncio.Event) -> None:
    """Wait for bleak's disconnect callback."""
    async with asyncio.timeout(LIMIT_S):
        await event.wait()


async def test_link_dropped_is_signalled_and_halts_the_motor(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(start_power(0, 60))
        bluez.call(BluezEmulator.drop_link)
        await lost(client.lost)
        assert bluez.emulator.hub.motor.kind is CommandKind.COAST


async def test_link_dropped_lets_a_motor_run_on_that_is_set_to(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.run_on)
    async with linked() as client:
        await client.write(start_power(0, 60))
        bluez.call(BluezEmulator.drop_link)
        await lost(client.lost)
        assert bluez.emulator.hub.motor.power_percent == 60


@pytest.mark.parametrize(("fault", "done"), [(BluezEmulator.hang, False), (BluezEmulator.mute, True)])
async def test_write_never_answered_fails_when_the_link_drops(
    bluez: EmulatorThread, fault: Callable[[BluezEmulator], None], done: bool
) -> None:
    async with linked() as client:
        bluez.call(fault)
        writing = asyncio.create_task(client.write(start_power(0, 60)))
        _, pending = await asyncio.wait({writing}, timeout=PATIENCE_S)
        assert pending == {writing}
        assert len(bluez.emulator.writes) == done
        bluez.call(BluezEmulator.drop_link)
        with pytest.raises(BleakDBusError) as caught:
            await writing
        assert caught.value.dbus_error == FAILED


async def test_write_in_progress_for_ever_is_tried_again_by_bleak_until_it_behaves(bluez: EmulatorThread) -> None:
    async with linked() as client:
        bluez.call(BluezEmulator.busy)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await client.write(brake(0))
        assert bluez.emulator.writes == []
        bluez.call(BluezEmulator.behave)
        await client.write(brake(0))
        assert len(bluez.emulator.writes) == 1


async def test_slow_write_is_done_when_its_time_has_come(bluez: EmulatorThread) -> None:
    async with linked() as client:
        bluez.call(lambda emulator: emulator.slow(0.03))
        began_s = asyncio.get_running_loop().time()
        await client.write(brake(0))
        assert bluez.emulator.writes[0].at_s - began_s >= 0.03


async def test_slow_write_overtaken_by_the_end_of_bluetoothd_is_not_done(bluez: EmulatorThread) -> None:
    bluez.call(lambda emulator: emulator.stack.connect())
    bluez.call(lambda emulator: emulator.slow(0.03))
    async with bus_client(bluez.bus_address) as call:
        path = bluez.emulator.stack.characteristic_path
        writing = asyncio.create_task(call(path, CHARACTERISTIC, "WriteValue", "aya{sv}", encode(brake(0)), {}))
        await until(lambda: bluez.emulator.server.delayed == 1)
        bluez.call(BluezEmulator.kill_bluetoothd)
        assert (await writing).error_name == "org.freedesktop.DBus.Error.NoReply"
    assert bluez.emulator.writes == []


async def test_connect_that_fails_returns_its_error(bluez: EmulatorThread) -> None:
    device = await find()
    assert device is not None
    bluez.call(lambda emulator: emulator.fail("Connect"))
    with pytest.raises(BleakDBusError) as caught:
        await BleakClient(device, timeout=LIMIT_S).connect()
    assert caught.value.dbus_error == FAILED


async def test_hub_held_elsewhere_is_not_found_and_cannot_be_connected(bluez: EmulatorThread) -> None:
    device = await find()
    assert device is not None
    bluez.call(BluezEmulator.hold)
    bluez.call(lambda emulator: emulator.stack.advertise())
    with pytest.raises(BleakDBusError):
        await BleakClient(device, timeout=LIMIT_S).connect()
    bluez.call(lambda emulator: emulator.hold(LinkHolder.NOBODY))
    async with linked() as client:
        assert client.bleak.is_connected


async def test_hub_held_by_another_program_here_refuses_writes_and_notifications(bluez: EmulatorThread) -> None:
    bluez.call(lambda emulator: emulator.hold("here"))
    path = bluez.emulator.stack.characteristic_path
    async with bus_client(bluez.bus_address) as call:
        for method, arguments in (("WriteValue", ("aya{sv}", encode(brake(0)), {})), ("StartNotify", ())):
            assert (await call(path, CHARACTERISTIC, method, *arguments)).error_name == NOT_PERMITTED
        properties = (await call(path, "org.freedesktop.DBus.Properties", "GetAll", "s", CHARACTERISTIC)).body[0]
    assert all(properties[name].value for name in ("Notifying", "NotifyAcquired", "WriteAcquired")), "as BlueZ tells it"
    assert bluez.emulator.writes == []


@pytest.mark.parametrize("go", [BluezEmulator.vanish, BluezEmulator.remove_adapter])
async def test_lost_link_is_signalled_before_the_objects_go(
    bluez: EmulatorThread, go: Callable[[BluezEmulator], None]
) -> None:
    async with linked() as client:
        await client.write(start_power(0, 60))
        bluez.call(go)
        await lost(client.lost)
        assert bluez.emulator.hub.motor.kind is CommandKind.COAST
    bluez.call(BluezEmulator.appear)
    bluez.call(BluezEmulator.add_adapter)
    assert await find_when_ready() is not None
    async with linked() as client:
        assert client.bleak.is_connected


async def test_adapter_switched_off_drops_the_link_and_signals_it(bluez: EmulatorThread) -> None:
    async with linked() as client:
        bluez.call(BluezEmulator.power_adapter)
        await lost(client.lost)
    async with bus_client(bluez.bus_address) as call:
        assert (await call(ADAPTER_PATH, ADAPTER, "StartDiscovery")).error_name == "org.bluez.Error.NotReady"
        path = bluez.emulator.stack.device_path
        assert (await call(path, DEVICE, "Connect")).error_name == "org.bluez.Error.NotReady"


async def test_bluetoothd_killed_takes_its_name_along_and_comes_back(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(start_power(0, 60))
        bluez.call(BluezEmulator.kill_bluetoothd)
        with pytest.raises(BleakDBusError) as caught:
            await client.write(brake(0))
        assert caught.value.dbus_error == "org.freedesktop.DBus.Error.ServiceUnknown"
        assert not client.lost.is_set()
        assert bluez.emulator.hub.motor.kind is CommandKind.COAST
        bluez.call(BluezEmulator.start_bluetoothd)
        bluez.call(BluezEmulator.start_bluetoothd)  # once is enough
        with contextlib.suppress(BleakDBusError):
            await client.bleak.disconnect()
    async with linked() as client:
        await client.write(brake(0))


async def test_bus_killed_ends_every_connection_and_comes_back_at_the_same_address(bluez: EmulatorThread) -> None:
    async with linked() as client:
        bluez.call(BluezEmulator.kill_bus)
        await lost(client.lost)  # bleak 3.1 watches its own connection
        bluez.call(BluezEmulator.start_bus)
    async with linked() as client:
        await client.write(brake(0))
        assert bluez.emulator.hub.motor.kind is CommandKind.BRAKE


async def test_silent_hub_does_but_does_not_confirm(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.until(lambda: len(client.received) == 5)
        bluez.call(BluezEmulator.silence)
        await client.write(brake(0))
        bluez.call(BluezEmulator.behave)
        await client.write(light(1, 10))
        await client.until(lambda: len(client.received) == 6)
        assert bluez.emulator.hub.motor.kind is CommandKind.BRAKE


async def test_malformed_notifications_are_counted_and_the_rest_goes_on(bluez: EmulatorThread) -> None:
    async with linked() as client:
        for raw in (b"", b"\x05\x00\x82", b"\x03\x00\xee"):
            bluez.call(lambda emulator, raw=raw: emulator.babble(raw))  # type: ignore[misc]
        await client.write(brake(0))
        await client.until(lambda: len(client.received) == 9)
        assert client.decoder.malformed == {MalformedReason.TRUNCATED: 2, MalformedReason.UNKNOWN_TYPE: 1}


async def test_battery_drained_is_sent_until_the_hub_switches_off(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(*initial_requests())
        bluez.call(lambda emulator: emulator.set_battery(5.0))
        await client.until(lambda: client.model.battery_percent == 5)
        assert {alert.name for alert in client.model.alerts} == {"LOW_VOLTAGE"}
        bluez.call(lambda emulator: emulator.drain(1000.0))
        await lost(client.lost)
        assert client.model.leaving is HubActionType.WILL_SWITCH_OFF


async def test_motor_unplugged_and_plugged_elsewhere_is_announced(bluez: EmulatorThread) -> None:
    async with linked() as client:
        bluez.call(BluezEmulator.unplug)
        await client.until(lambda: client.model.light_port == 1 and client.model.motor_port is None)
        bluez.call(lambda emulator: emulator.plug(3, DeviceType.TRAIN_MOTOR))
        await client.until(lambda: client.model.motor_port == 3)


def test_unknown_alert_is_refused(emulated: EmulatorThread) -> None:
    with pytest.raises(UsageError, match="low_voltage"):
        emulated.call(lambda emulator: emulator.raise_alert("hunger"))


def test_unknown_holder_is_refused(emulated: EmulatorThread) -> None:
    with pytest.raises(UsageError, match="elsewhere"):
        emulated.call(lambda emulator: emulator.hold("the_cat"))


async def test_method_and_object_that_are_not_there_are_refused(bluez: EmulatorThread) -> None:
    async with bus_client(bluez.bus_address) as call:
        missing = await call("/org/bluez/hci7", ADAPTER, "StartDiscovery")
        assert missing.error_name == "org.freedesktop.DBus.Error.UnknownObject"
        unknown = await call(ADAPTER_PATH, ADAPTER, "MakeCoffee")
        assert unknown.error_name == "org.freedesktop.DBus.Error.UnknownMethod"
        idle = await call(ADAPTER_PATH, ADAPTER, "StopDiscovery")
        assert idle.error_name == FAILED
        blind = await call(ADAPTER_PATH, PROPERTIES, "Get", "ss", ADAPTER, "Colour")
        assert blind.error_name == "org.freedesktop.DBus.Error.UnknownProperty"


async def test_faults_can_be_asked_of_any_method(bluez: EmulatorThread) -> None:
    bluez.call(lambda emulator: emulator.busy("StartDiscovery"))
    async with bus_client(bluez.bus_address) as call:
        assert (await call(ADAPTER_PATH, ADAPTER, "StartDiscovery")).error_name == IN_PROGRESS


async def test_write_without_link_is_refused(bluez: EmulatorThread) -> None:
    async with linked() as client:
        bluez.call(BluezEmulator.drop_link)
        await lost(client.lost)
    path = bluez.emulator.stack.characteristic_path
    async with bus_client(bluez.bus_address) as call:
        assert (await call(path, CHARACTERISTIC, "WriteValue", "aya{sv}", encode(brake(0)), {})).error_name == FAILED
