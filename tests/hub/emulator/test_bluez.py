"""bleak's own backend, unchanged, against the emulated hub: scan, connect, subscribe, write, reconnect."""

import asyncio
import os
import time

import pytest
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import IMMEDIATE, BluezEmulator, EmulatedHub, HubProfile, PrivateBus
from edge_agent.hub.emulator.objects import ADAPTER, ADAPTER_PATH, CHARACTERISTIC
from edge_agent.hub.lwp3 import (
    COMPANY_ID,
    SERVICE_UUID,
    Advertisement,
    Alert,
    HubAction,
    HubActionType,
    SystemType,
    brake,
    decode_advertisement,
    encode,
    initial_requests,
    start_power,
)
from tests.hub.bleak_client import LIMIT_S, bus_client, find, find_when_ready, linked, until
from tests.hub.conftest import close_bleak
from tests.support.emulator_thread import EmulatorThread


async def advertisement(**kwargs: object) -> tuple[BLEDevice, AdvertisementData]:
    """Wait for the first advertisement."""
    received: asyncio.Future[tuple[BLEDevice, AdvertisementData]] = asyncio.get_running_loop().create_future()

    def seen(device: BLEDevice, advertised: AdvertisementData) -> None:
        if not received.done():
            received.set_result((device, advertised))

    async with BleakScanner(seen, **kwargs), asyncio.timeout(LIMIT_S):
        return await received


async def test_hub_is_found_by_service_with_its_manufacturer_data(bluez: EmulatorThread) -> None:
    device, advertised = await advertisement(service_uuids=[SERVICE_UUID])
    assert (device.name, device.address) == ("Train hub", bluez.emulator.address)
    assert advertised.rssi in (-52, -53)
    assert decode_advertisement(advertised.manufacturer_data[COMPANY_ID]) == Advertisement(False, SystemType.CITY)


async def test_hub_known_from_an_earlier_scan_is_found_again(bluez: EmulatorThread) -> None:
    for _ in range(2):
        device, _advertised = await advertisement()
        assert device.address == bluez.emulator.address
    assert bluez.call(BluezEmulator.status)["scanners"] == 0


async def test_hub_is_not_found_by_another_service(bluez: EmulatorThread) -> None:
    received: list[str] = []
    other = "00001625-1212-efde-1623-785feabcd123"
    async with BleakScanner(lambda device, _: received.append(device.address), service_uuids=[other]):
        bluez.call(lambda emulator: emulator.stack.advertise())
        await asyncio.sleep(0)
    assert received == []


async def test_subscribed_client_receives_the_ports_and_all_it_asks_for(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(*initial_requests())
        await client.until(lambda: client.model.address is not None)
        assert (client.model.motor_port, client.model.light_port) == (0, 1)
        assert client.model.name == "Train hub"
        assert not client.decoder.malformed
        assert bluez.call(BluezEmulator.status)["listeners"] == 1


@pytest.mark.parametrize("response", [True, False])
async def test_write_reaches_the_motor_and_is_confirmed(bluez: EmulatorThread, response: bool) -> None:
    async with linked() as client:
        await client.write(start_power(0, 60), response=response)
        assert bluez.emulator.hub.motor.power_percent == 60
        await client.until(lambda: len(client.received) >= 6)
        client.model = client.model.with_command(brake(0), 0.0)
        await client.write(brake(0), response=response)
        await client.until(lambda: len(client.received) >= 7)
        assert bluez.emulator.hub.motor.kind is CommandKind.BRAKE
        assert client.model.brake_confirmed
        assert [write.raw for write in bluez.emulator.writes] == [encode(start_power(0, 60)), encode(brake(0))]


async def test_writes_are_stamped_with_the_time_they_reached_the_hub(bluez: EmulatorThread) -> None:
    async with linked() as client:
        before_s = time.monotonic()
        await client.write(brake(0))
        assert before_s <= bluez.emulator.writes[-1].at_s <= time.monotonic()


async def test_client_that_leaves_ends_the_link_and_the_motor_halts(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(start_power(0, 60))
    status = bluez.call(BluezEmulator.status)
    assert (status["connected"], status["listeners"], status["motor"]) == (False, 0, "coast")


async def test_reconnect_announces_the_ports_anew(bluez: EmulatorThread) -> None:
    for links in (1, 2, 3):
        async with linked() as client:
            await client.until(lambda: client.model.motor_port == 0)
        assert bluez.call(BluezEmulator.status)["links"] == links


async def test_button_and_alert_are_received(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(*initial_requests())
        bluez.call(lambda emulator: emulator.press_button())
        bluez.call(lambda emulator: emulator.raise_alert("over_power"))
        await client.until(lambda: client.model.alerts == {Alert.OVER_POWER})
        assert client.model.button_pressed
        bluez.call(lambda emulator: emulator.raise_alert("over_power", raised=False))
        bluez.call(lambda emulator: emulator.press_button(pressed=False))
        await client.until(lambda: not client.model.button_pressed)
        assert not client.model.alerts


async def test_hub_asked_to_disconnect_leaves_and_can_be_found_again(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(HubAction(HubActionType.DISCONNECT))
        async with asyncio.timeout(LIMIT_S):
            await client.lost.wait()
    assert await find() is not None


async def test_hub_asked_to_switch_off_is_found_only_when_switched_on(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.write(HubAction(HubActionType.SWITCH_OFF))
        async with asyncio.timeout(LIMIT_S):
            await client.lost.wait()
    bluez.call(lambda emulator: emulator.stack.advertise())
    assert bluez.emulator.stack.in_range is False
    bluez.call(BluezEmulator.appear)
    assert await find() is not None


async def test_client_that_dies_leaves_the_link_and_the_motor_running(bluez: EmulatorThread) -> None:
    """As with the real BlueZ, the link of a killed process stays; only its subscription ends."""
    stack = bluez.emulator.stack
    bluez.call(lambda emulator: emulator.stack.connect())
    async with bus_client(bluez.bus_address) as call:
        await call(ADAPTER_PATH, ADAPTER, "StartDiscovery")
        await call(stack.characteristic_path, CHARACTERISTIC, "StartNotify")
        await call(stack.characteristic_path, CHARACTERISTIC, "WriteValue", "aya{sv}", encode(start_power(0, 60)), {})
        status = bluez.call(BluezEmulator.status)
        assert (status["listeners"], status["scanners"]) == (1, 1)
    await until(lambda: bluez.call(BluezEmulator.status)["listeners"] == 0)
    status = bluez.call(BluezEmulator.status)
    assert (status["connected"], status["scanners"], status["motor"]) == (True, 0, "drive")


async def test_other_kind_of_hub_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = EmulatedHub(HubProfile(name="Handset", system_type=SystemType.HANDSET, ports={}))
    with EmulatorThread(BluezEmulator(hub)) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        _device, advertised = await advertisement()
        received = decode_advertisement(advertised.manufacturer_data[COMPANY_ID])
        assert isinstance(received, Advertisement)
        assert received.system_type == SystemType.HANDSET
        await close_bleak()


async def test_bus_without_permission_refuses_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorThread(BluezEmulator(bus=PrivateBus(permitted=False))) as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        with pytest.raises(BleakDBusError) as caught:
            await find()
        assert caught.value.dbus_error == "org.freedesktop.DBus.Error.AccessDenied"
        await close_bleak()


async def test_emulator_in_the_same_loop_works_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async with BluezEmulator(timing=IMMEDIATE) as emulator:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", emulator.bus_address)
        async with linked() as client:
            await client.write(brake(0))
            assert emulator.hub.motor.kind is CommandKind.BRAKE
        await close_bleak()


async def test_no_adapter_is_reported_as_such(bluez: EmulatorThread) -> None:
    bluez.call(BluezEmulator.remove_adapter)
    with pytest.raises(BleakBluetoothNotAvailableError):
        await find()
    bluez.call(BluezEmulator.add_adapter)
    assert await find_when_ready() is not None


async def test_bluetooth_switched_off_is_reported_as_such(bluez: EmulatorThread) -> None:
    bluez.call(lambda emulator: emulator.power_adapter(on=False))
    with pytest.raises(BleakBluetoothNotAvailableError):
        await find()
    bluez.call(lambda emulator: emulator.power_adapter(on=True))
    assert await find_when_ready() is not None


def test_bus_address_is_for_the_environment(emulated: EmulatorThread) -> None:
    assert os.environ["DBUS_SYSTEM_BUS_ADDRESS"] == emulated.bus_address
    assert emulated.bus_address.startswith("unix:path=")
