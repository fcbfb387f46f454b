"""The objects that BlueZ shows for one adapter and one hub, with their properties.

Knows names, paths and types as org.bluez documents them and bleak needs them. Knows nothing of behaviour.
"""

from dbus_fast import Variant

from edge_agent.hub.emulator.device import EmulatedHub
from edge_agent.hub.emulator.tree import Interfaces, Properties
from edge_agent.lwp3 import CHARACTERISTIC_UUID, COMPANY_ID, SERVICE_UUID

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"

ADAPTER_PATH = "/org/bluez/hci0"

_ADAPTER_ADDRESS = "00:1A:7D:DA:71:13"
_DEFAULT_MTU = 23


def device_path(address: str) -> str:
    """Path of a device."""
    return f"{ADAPTER_PATH}/dev_{address.upper().replace(':', '_')}"


def service_path(address: str) -> str:
    """Path of the hub's service; the last four characters are its handle in hexadecimal."""
    return f"{device_path(address)}/service000b"


def characteristic_path(address: str) -> str:
    """Path of the hub's characteristic; the last four characters are its handle in hexadecimal."""
    return f"{service_path(address)}/char000c"


def adapter() -> Interfaces:
    """Describe a powered adapter that can be a central."""
    return {
        ADAPTER: {
            "Address": Variant("s", _ADAPTER_ADDRESS),
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
    """Describe a hub that advertises."""
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


def advertised(hub: EmulatedHub, flicker_db: int) -> Properties:
    """Properties that an advertisement brings; the signal strength is never quite the same."""
    data = hub.profile.advertisement(button_pressed=hub.button_pressed).encode()
    return {
        "RSSI": Variant("n", hub.profile.rssi_dbm - flicker_db),
        "ManufacturerData": Variant("a{qv}", {COMPANY_ID: Variant("ay", data)}),
    }


def service(hub: EmulatedHub) -> Interfaces:
    """Describe the one service of a hub."""
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
    """Describe the one characteristic of a hub."""
    return {
        CHARACTERISTIC: {
            "UUID": Variant("s", CHARACTERISTIC_UUID),
            "Service": Variant("o", service_path(hub.profile.address)),
            "Value": Variant("ay", b""),
            "Notifying": Variant("b", False),
            "NotifyAcquired": Variant("b", False),
            "WriteAcquired": Variant("b", False),
            "Flags": Variant("as", ["write-without-response", "write", "notify"]),
            "MTU": Variant("q", _DEFAULT_MTU),
        }
    }
