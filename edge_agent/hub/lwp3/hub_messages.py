"""Messages about the hub itself: properties, actions, alerts, attached devices, errors and the advertisement.

Layouts as in https://lego.github.io/lego-ble-wireless-protocol-docs/; `payload` is a message without its common header.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple

from edge_agent.hub.lwp3 import codes
from edge_agent.hub.lwp3.frame import (
    DecodeError,
    FixedLayout,
    Malformed,
    MalformedReason,
    Version,
    at_least,
    code,
    pack,
    text,
    unpack,
)

PropertyValue = str | int | bool | Version


class _Layout(NamedTuple):
    """Encoder and decoder of one kind of value."""

    write: Callable[[PropertyValue], bytes]
    read: Callable[[bytes], PropertyValue]


def _write_version(value: PropertyValue) -> bytes:
    if not isinstance(value, Version):
        raise TypeError(f"a Version is expected, not {value!r}")
    return pack("I", value.raw)


def _write_text(value: PropertyValue) -> bytes:
    written = str(value).encode()
    if len(written) > codes.MAX_NAME_BYTES + 1:
        raise ValueError(f"{value!r} takes more than {codes.MAX_NAME_BYTES + 1} bytes")
    return written


def _read_text(data: bytes) -> str:
    if len(data) > codes.MAX_NAME_BYTES + 1:
        raise DecodeError(MalformedReason.TOO_LONG, f"text of {len(data)} bytes")
    return text(data)


def _write_address(value: PropertyValue) -> bytes:
    written = bytes.fromhex(str(value).replace(":", ""))
    return pack("6s", written)


def _number(layout: str) -> _Layout:
    def write(value: PropertyValue) -> bytes:
        if not isinstance(value, int):
            raise TypeError(f"a number is expected, not {value!r}")
        return pack(layout, value)

    return _Layout(write, lambda data: int(unpack(layout, data)[0]))


_TEXT = _Layout(_write_text, _read_text)
_FLAG = _Layout(lambda value: bytes([bool(value)]), lambda data: bool(unpack("B", data)[0]))
_VERSION = _Layout(_write_version, lambda data: Version(unpack("I", data)[0]))
_ADDRESS = _Layout(_write_address, lambda data: unpack("6s", data)[0].hex(":").upper())

_LAYOUTS: dict[codes.HubProperty, _Layout] = {
    codes.HubProperty.NAME: _TEXT,
    codes.HubProperty.BUTTON: _FLAG,
    codes.HubProperty.FIRMWARE_VERSION: _VERSION,
    codes.HubProperty.HARDWARE_VERSION: _VERSION,
    codes.HubProperty.RSSI: _number("b"),
    codes.HubProperty.BATTERY_PERCENT: _number("B"),
    codes.HubProperty.BATTERY_TYPE: _number("B"),
    codes.HubProperty.MANUFACTURER: _TEXT,
    codes.HubProperty.RADIO_FIRMWARE_VERSION: _TEXT,
    codes.HubProperty.PROTOCOL_VERSION: _number("H"),
    codes.HubProperty.SYSTEM_TYPE: _number("B"),
    codes.HubProperty.NETWORK_ID: _number("B"),
    codes.HubProperty.MAC_ADDRESS: _ADDRESS,
    codes.HubProperty.BOOTLOADER_MAC_ADDRESS: _ADDRESS,
    codes.HubProperty.NETWORK_FAMILY: _number("B"),
}


@dataclass(frozen=True, slots=True)
class HubPropertyRequest(FixedLayout):
    """Request a property, once or at each change; `operation` is any but SET and UPDATE."""

    TYPE = codes.MessageType.HUB_PROPERTIES
    LAYOUT = "BB"

    subject: codes.HubProperty
    operation: codes.PropertyOperation = codes.PropertyOperation.REQUEST_UPDATE


@dataclass(frozen=True, slots=True)
class HubPropertySet:
    """Set a property, the name in practice."""

    TYPE: ClassVar[codes.MessageType] = codes.MessageType.HUB_PROPERTIES

    subject: codes.HubProperty
    value: PropertyValue

    def payload(self) -> bytes:
        """Encode the payload; raises TypeError or ValueError for a value that the property cannot have."""
        return bytes((self.subject, codes.PropertyOperation.SET)) + _LAYOUTS[self.subject].write(self.value)


@dataclass(frozen=True, slots=True)
class HubPropertyUpdate:
    """The hub reports a property.

    Text for name, manufacturer and radio firmware; a flag for the button; a Version for firmware and hardware; dBm for
    RSSI; percent for the battery; `AA:BB:CC:DD:EE:FF` for addresses; a number for the others.
    """

    TYPE: ClassVar[codes.MessageType] = codes.MessageType.HUB_PROPERTIES

    subject: codes.HubProperty
    value: PropertyValue

    def payload(self) -> bytes:
        """Encode the payload; raises TypeError or ValueError for a value that the property cannot have."""
        return bytes((self.subject, codes.PropertyOperation.UPDATE)) + _LAYOUTS[self.subject].write(self.value)


PropertyMessage = HubPropertyRequest | HubPropertySet | HubPropertyUpdate


def parse_property(payload: bytes) -> PropertyMessage:
    """Decode a hub property message; raises DecodeError."""
    at_least(2, payload)
    subject = code(codes.HubProperty, payload[0])
    operation = code(codes.PropertyOperation, payload[1])
    if operation is codes.PropertyOperation.SET:
        return HubPropertySet(subject, _LAYOUTS[subject].read(payload[2:]))
    if operation is codes.PropertyOperation.UPDATE:
        return HubPropertyUpdate(subject, _LAYOUTS[subject].read(payload[2:]))
    return HubPropertyRequest.parse(payload)


@dataclass(frozen=True, slots=True)
class HubAction(FixedLayout):
    """Request an action from the hub, or its announcement of one."""

    TYPE = codes.MessageType.HUB_ACTIONS
    LAYOUT = "B"

    action: codes.HubActionType


@dataclass(frozen=True, slots=True)
class HubAlertRequest(FixedLayout):
    """Request an alert's state, once or at each change; a hub sends none unasked. `operation` is any but UPDATE."""

    TYPE = codes.MessageType.HUB_ALERTS
    LAYOUT = "BB"

    alert: codes.Alert
    operation: codes.AlertOperation = codes.AlertOperation.ENABLE_UPDATES


@dataclass(frozen=True, slots=True)
class HubAlertUpdate:
    """The hub reports whether an alert is raised."""

    TYPE: ClassVar[codes.MessageType] = codes.MessageType.HUB_ALERTS

    alert: codes.Alert
    raised: bool

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.alert, codes.AlertOperation.UPDATE, 0xFF if self.raised else 0))


AlertMessage = HubAlertRequest | HubAlertUpdate


def parse_alert(payload: bytes) -> AlertMessage:
    """Decode a hub alert message; raises DecodeError."""
    at_least(2, payload)
    alert = code(codes.Alert, payload[0])
    operation = code(codes.AlertOperation, payload[1])
    if operation is codes.AlertOperation.UPDATE:
        # Only 0 and 0xFF are defined; any other status counts as raised, since a false alarm is the safer error.
        return HubAlertUpdate(alert, raised=bool(unpack("BBB", payload)[2]))
    return HubAlertRequest.parse(payload)


_UNKNOWN_VERSION = Version(0)


@dataclass(frozen=True, slots=True)
class PortAttached(FixedLayout):
    """A device is attached to a port. `device_type` is a codes.DeviceType or an unknown number."""

    TYPE = codes.MessageType.HUB_ATTACHED_IO
    LAYOUT = "BBHII"
    KIND = codes.AttachEvent.ATTACHED

    port: int
    device_type: int
    hardware: Version = _UNKNOWN_VERSION
    software: Version = _UNKNOWN_VERSION


@dataclass(frozen=True, slots=True)
class VirtualPortAttached(FixedLayout):
    """Two ports are combined into a virtual third."""

    TYPE = codes.MessageType.HUB_ATTACHED_IO
    LAYOUT = "BBHBB"
    KIND = codes.AttachEvent.ATTACHED_VIRTUAL

    port: int
    device_type: int
    port_a: int
    port_b: int


@dataclass(frozen=True, slots=True)
class PortDetached(FixedLayout):
    """A device was detached from a port."""

    TYPE = codes.MessageType.HUB_ATTACHED_IO
    LAYOUT = "BB"
    KIND = codes.AttachEvent.DETACHED

    port: int


AttachedMessage = PortAttached | VirtualPortAttached | PortDetached

_ATTACHED: dict[IntEnum | None, type[AttachedMessage]] = {
    kind.KIND: kind for kind in (PortAttached, VirtualPortAttached, PortDetached)
}


def parse_attached(payload: bytes) -> AttachedMessage:
    """Decode a hub attached I/O message; raises DecodeError."""
    at_least(2, payload)
    event = code(codes.AttachEvent, payload[1])
    return _ATTACHED[event].parse(payload)


@dataclass(frozen=True, slots=True)
class GenericError(FixedLayout):
    """The hub refuses a message of type `command`; `code` is a codes.ErrorCode or an unknown number."""

    TYPE = codes.MessageType.GENERIC_ERROR
    LAYOUT = "BB"

    command: int
    code: int


_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Advertisement:
    """An advertising hub. `system_type` is a codes.SystemType or an unknown number."""

    button_pressed: bool
    system_type: int
    capabilities: codes.Capability = codes.Capability.CENTRAL | codes.Capability.PERIPHERAL | codes.Capability.PORTS
    last_network: int = 0
    status: int = 0
    option: int = 0

    def encode(self) -> bytes:
        """Encode as manufacturer data, without the company identifier."""
        head = (self.button_pressed, self.system_type, self.capabilities)
        return bytes((*head, self.last_network, self.status, self.option))


def decode_advertisement(data: bytes | bytearray) -> Advertisement | Malformed:
    """Decode the manufacturer data of codes.COMPANY_ID; never raises."""
    raw = bytes(data)
    if len(raw) < _LENGTH:
        return Malformed(MalformedReason.TRUNCATED, f"{_LENGTH} bytes expected, there are {len(raw)}", raw)
    if len(raw) > _LENGTH:
        return Malformed(MalformedReason.TOO_LONG, f"{_LENGTH} bytes expected, there are {len(raw)}", raw)
    button, system_type, capabilities, *rest = raw
    return Advertisement(bool(button), system_type, codes.Capability(capabilities), *rest)
