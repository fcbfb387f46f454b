"""D-Bus objects of the emulated BlueZ: the tree, and the properties of adapter, device, service and characteristic.

Names, paths and types as org.bluez documents them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dbus_fast import Message, Variant

from edge_agent.hub.emulator.device import EmulatedHub
from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID, COMPANY_ID, SERVICE_UUID, Advertisement

OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

Properties = dict[str, Variant]
Interfaces = dict[str, Properties]


class ObjectTree:
    """Objects by path. `send` is called with each signal; None sends none."""

    def __init__(self) -> None:
        self.send: Callable[[Message], object] | None = None
        self._objects: dict[str, Interfaces] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def managed(self) -> dict[str, Interfaces]:
        """Return all objects, as GetManagedObjects does."""
        return self._objects

    def interface(self, path: str, interface: str) -> Properties | None:
        """Return the properties of an interface of an object; None if there is none."""
        return self._objects.get(path, {}).get(interface)

    def get(self, path: str, interface: str, name: str) -> Any:
        """Return the value of a property that exists."""
        return self._objects[path][interface][name].value

    def add(self, path: str, interfaces: Interfaces) -> None:
        """Add an object, unless it exists."""
        if path in self._objects:
            return
        self._objects[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove(self, path: str) -> None:
        """Remove an object and all below it, deepest first."""
        below = [other for other in self._objects if other == path or other.startswith(f"{path}/")]
        for gone in sorted(below, key=len, reverse=True):
            interfaces = list(self._objects.pop(gone))
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [gone, interfaces])

    def change(self, path: str, interface: str, changes: Mapping[str, Variant]) -> None:
        """Change properties of an object, if it exists, and signal them even if the value is the same."""
        if path not in self._objects:
            return
        self._objects[path][interface].update(changes)
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, dict(changes), []])

    def clear(self) -> None:
        """Remove everything without a signal, as a killed process does."""
        self._objects.clear()

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self.send is not None:
            self.send(Message.new_signal(path, interface, member, signature, body))


BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"

ADAPTER_PATH = "/org/bluez/hci0"


def device_path(address: str) -> str:
    """Return the path of a device."""
    return f"{ADAPTER_PATH}/dev_{address.upper().replace(':', '_')}"


def service_path(address: str) -> str:
    """Return the path of the hub's service; the last four characters are its handle in hexadecimal."""
    return f"{device_path(address)}/service000b"


def characteristic_path(address: str) -> str:
    """Return the path of the hub's characteristic; the last four characters are its handle in hexadecimal."""
    return f"{service_path(address)}/char000c"


def adapter() -> Interfaces:
    """Return a powered adapter that supports the central role."""
    return {
        ADAPTER: {
            "Address": Variant("s", "00:1A:7D:DA:71:13"),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", "emulated"),
            "Alias": Variant("s", "emulated"),
            "Powered": Variant("b", True),
            "Discovering": Variant("b", False),
            "Discoverable": Variant("b", False),
            "Pairable": Variant("b", False),
            "Roles": Variant("as", ["central", "peripheral"]),
            "UUIDs": Variant("as", []),
        }
    }


def device(hub: EmulatedHub) -> Interfaces:
    """Return the device of an advertising hub."""
    return {
        DEVICE: {
            "Address": Variant("s", hub.profile.address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", hub.name),
            "Alias": Variant("s", hub.name),
            "Adapter": Variant("o", ADAPTER_PATH),
            "Paired": Variant("b", False),
            "Bonded": Variant("b", False),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", False),
            "ServicesResolved": Variant("b", False),
            "UUIDs": Variant("as", [SERVICE_UUID]),
            **advertised(hub, 0),
        }
    }


def advertised(hub: EmulatedHub, rssi_jitter_db: int) -> Properties:
    """Return the properties that an advertisement updates."""
    data = Advertisement(hub.button_pressed, hub.profile.system_type).encode()
    return {
        "RSSI": Variant("n", hub.profile.rssi_dbm - rssi_jitter_db),
        "ManufacturerData": Variant("a{qv}", {COMPANY_ID: Variant("ay", data)}),
    }


def service(hub: EmulatedHub) -> Interfaces:
    """Return the only service of a hub."""
    path = device_path(hub.profile.address)
    return {
        SERVICE: {
            "UUID": Variant("s", SERVICE_UUID),
            "Device": Variant("o", path),
            "Primary": Variant("b", True),
            "Includes": Variant("ao", []),
        }
    }


def characteristic(hub: EmulatedHub) -> Interfaces:
    """Return the only characteristic of a hub."""
    return {
        CHARACTERISTIC: {
            "UUID": Variant("s", CHARACTERISTIC_UUID),
            "Service": Variant("o", service_path(hub.profile.address)),
            "Value": Variant("ay", b""),
            "Notifying": Variant("b", False),
            "NotifyAcquired": Variant("b", False),
            "WriteAcquired": Variant("b", False),
            "Flags": Variant("as", ["write-without-response", "write", "notify"]),
            "MTU": Variant("q", 23),
        }
    }
