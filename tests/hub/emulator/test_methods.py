"""BlueZ's D-Bus interface beyond what bleak uses, for other clients."""

from dbus_fast import Variant, unpack_variants

from edge_agent.hub.emulator import BluezEmulator
from edge_agent.hub.emulator.bluez import FAILED
from edge_agent.hub.emulator.objects import (
    ADAPTER,
    ADAPTER_PATH,
    CHARACTERISTIC,
    DEVICE,
    OBJECT_MANAGER,
    PROPERTIES,
    SERVICE,
)
from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID, SERVICE_UUID, encode, start_power
from tests.hub.bleak_client import bus_client, linked
from tests.support.emulator_thread import EmulatorThread


async def test_objects_of_a_connected_hub_are_managed(emulated: EmulatorThread) -> None:
    emulated.call(lambda emulator: emulator.stack.connect())
    async with bus_client(emulated.bus_address) as call:
        reply = await call("/", OBJECT_MANAGER, "GetManagedObjects")
    objects = unpack_variants(reply.body[0])
    stack = emulated.emulator.stack
    assert set(objects) == {ADAPTER_PATH, stack.device_path, stack.service_path, stack.characteristic_path}
    assert "central" in objects[ADAPTER_PATH][ADAPTER]["Roles"]
    assert objects[stack.device_path][DEVICE]["Connected"]
    assert objects[stack.service_path][SERVICE]["UUID"] == SERVICE_UUID
    assert objects[stack.characteristic_path][CHARACTERISTIC]["UUID"] == CHARACTERISTIC_UUID


async def test_properties_are_read_one_by_one_and_all_at_once(emulated: EmulatorThread) -> None:
    async with bus_client(emulated.bus_address) as call:
        one = await call(ADAPTER_PATH, PROPERTIES, "Get", "ss", ADAPTER, "Powered")
        assert one.body[0].value is True
        every = await call(ADAPTER_PATH, PROPERTIES, "GetAll", "s", ADAPTER)
        assert every.body[0]["Name"].value == "emulated"
        nothing = await call(ADAPTER_PATH, PROPERTIES, "GetAll", "s", DEVICE)
        assert nothing.body == [{}]


async def test_properties_are_set_in_their_own_type_only(emulated: EmulatorThread) -> None:
    async with bus_client(emulated.bus_address) as call:
        setting = (ADAPTER_PATH, PROPERTIES, "Set", "ssv", ADAPTER)
        await call(*setting, "Powered", Variant("b", False))
        assert not emulated.emulator.stack.powered
        await call(*setting, "Alias", Variant("s", "train"))
        assert emulated.emulator.stack.tree.get(ADAPTER_PATH, ADAPTER, "Alias") == "train"
        wrong = await call(*setting, "Powered", Variant("s", "yes"))
        assert wrong.error_name == "org.freedesktop.DBus.Error.InvalidArgs"


async def test_connect_when_connected_is_answered_and_does_nothing(emulated: EmulatorThread) -> None:
    emulated.call(lambda emulator: emulator.stack.connect())
    async with bus_client(emulated.bus_address) as call:
        reply = await call(emulated.emulator.stack.device_path, DEVICE, "Connect")
        assert reply.error_name is None
    assert emulated.emulator.stack.links == 1


async def test_hub_out_of_range_cannot_be_connected(emulated: EmulatorThread) -> None:
    async with bus_client(emulated.bus_address) as call:
        await call(ADAPTER_PATH, ADAPTER, "StartDiscovery")
        await call(ADAPTER_PATH, ADAPTER, "StopDiscovery")
        emulated.emulator.stack.in_range = False
        reply = await call(emulated.emulator.stack.device_path, DEVICE, "Connect")
        assert reply.error_name == FAILED


async def test_device_removed_loses_its_link_and_is_found_again(bluez: EmulatorThread) -> None:
    async with bus_client(bluez.bus_address) as call:
        await call(ADAPTER_PATH, ADAPTER, "StartDiscovery")
        await call(bluez.emulator.stack.device_path, DEVICE, "Connect")
        path = bluez.emulator.stack.device_path
        await call(ADAPTER_PATH, ADAPTER, "RemoveDevice", "o", path)
        assert not bluez.call(BluezEmulator.status)["connected"]
        bluez.call(lambda emulator: emulator.stack.advertise())
        assert path in bluez.emulator.stack.tree


async def test_ports_are_announced_to_the_first_of_two_listeners(bluez: EmulatorThread) -> None:
    """A second client behind the same BlueZ subscribes to nothing new: the hub does not see it come or go."""
    path = bluez.emulator.stack.characteristic_path
    async with linked() as client:
        await client.until(lambda: len(client.received) == 5)
        async with bus_client(bluez.bus_address) as call:
            await call(path, CHARACTERISTIC, "StartNotify")
            await call(path, CHARACTERISTIC, "WriteValue", "aya{sv}", encode(start_power(0, 40)), {})
            await call(path, CHARACTERISTIC, "StopNotify")
        await client.until(lambda: len(client.received) == 6)
        assert bluez.call(BluezEmulator.status)["listeners"] == 1


async def test_client_that_unsubscribes_gets_no_more(bluez: EmulatorThread) -> None:
    async with linked() as client:
        await client.until(lambda: len(client.received) == 5)
        await client.bleak.stop_notify(CHARACTERISTIC_UUID)
        await client.write(start_power(0, 40))
        assert bluez.call(BluezEmulator.status)["listeners"] == 0
        assert len(client.received) == 5
