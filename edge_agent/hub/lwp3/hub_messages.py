"""Messages about the hub itself: properties, actions, alerts, attached devices, errors and the advertisement.

Layouts as in https://lego.github.io/lego-ble-wireless-protocol-docs/; `payload` is a message without its common header.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from edge_agent.hub.lwp3.codes import (
    MAX_NAME_BYTES,
    Alert,
    AlertOperation,
    AttachEvent,
    Capability,
    HubActionType,
    HubProperty,
    MessageType,
    PropertyOperation,
)
from edge_agent.hub.lwp3.frame import (
    DecodeError,
    Malformed,
    MalformedReason,
    at_least,
    code,
    pack,
    text,
    unpack,
)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Version of firmware or hardware: packed decimal digits 0xMmBBbbbb (major, minor, bug fix, build)."""

    raw: int

    def __str__(self) -> str:
        """Format as LEGO does: `1.0.06.0017`."""
        digits = f"{self.raw:08X}"
        return f"{digits[0]}.{digits[1]}.{digits[2:4]}.{digits[4:]}"

    @classmethod
    def of(cls, written: str) -> "Version":
        """Parse `1.0.06.0017`; raises ValueError for any other format."""
        digits = written.replace(".", "")
        if [len(part) for part in written.split(".")] != [1, 1, 2, 4] or not digits.isdecimal():
            raise ValueError(f"{written!r} is not a version; write it as 1.0.06.0017")
        return cls(int(digits, 16))


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
    if len(written) > MAX_NAME_BYTES + 1:
        raise ValueError(f"{value!r} takes more than {MAX_NAME_BYTES + 1} bytes")
    return written


def _read_text(data: bytes) -> str:
    if len(data) > MAX_NAME_BYTES + 1:
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

_LAYOUTS: dict[HubProperty, _Layout] = {
    HubProperty.NAME: _TEXT,
    HubProperty.BUTTON: _FLAG,
    HubProperty.FIRMWARE_VERSION: _VERSION,
    HubProperty.HARDWARE_VERSION: _VERSION,
    HubProperty.RSSI: _number("b"),
    HubProperty.BATTERY_PERCENT: _number("B"),
    HubProperty.BATTERY_TYPE: _number("B"),
    HubProperty.MANUFACTURER: _TEXT,
    HubProperty.RADIO_FIRMWARE_VERSION: _TEXT,
    HubProperty.PROTOCOL_VERSION: _number("H"),
    HubProperty.SYSTEM_TYPE: _number("B"),
    HubProperty.NETWORK_ID: _number("B"),
    HubProperty.MAC_ADDRESS: _ADDRESS,
    HubProperty.BOOTLOADER_MAC_ADDRESS: _ADDRESS,
    HubProperty.NETWORK_FAMILY: _number("B"),
}


@dataclass(frozen=True, slots=True)
class HubPropertyRequest:
    """Request a property, once or at each change; `operation` is any but SET and UPDATE."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_PROPERTIES

    subject: HubProperty
    operation: PropertyOperation = PropertyOperation.REQUEST_UPDATE

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.subject, self.operation))


@dataclass(frozen=True, slots=True)
class HubPropertySet:
    """Set a property, the name in practice."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_PROPERTIES

    subject: HubProperty
    value: PropertyValue

    def payload(self) -> bytes:
        """Encode the payload; raises TypeError or ValueError for a value that the property cannot have."""
        return bytes((self.subject, PropertyOperation.SET)) + _LAYOUTS[self.subject].write(self.value)


@dataclass(frozen=True, slots=True)
class HubPropertyUpdate:
    """The hub reports a property.

    Text for name, manufacturer and radio firmware; a flag for the button; a Version for firmware and hardware; dBm for
    RSSI; percent for the battery; `AA:BB:CC:DD:EE:FF` for addresses; a number for the others.
    """

    TYPE: ClassVar[MessageType] = MessageType.HUB_PROPERTIES

    subject: HubProperty
    value: PropertyValue

    def payload(self) -> bytes:
        """Encode the payload; raises TypeError or ValueError for a value that the property cannot have."""
        return bytes((self.subject, PropertyOperation.UPDATE)) + _LAYOUTS[self.subject].write(self.value)


PropertyMessage = HubPropertyRequest | HubPropertySet | HubPropertyUpdate


def parse_property(payload: bytes) -> PropertyMessage:
    """Decode a hub property message; raises DecodeError."""
    at_least(2, payload)
    subject = code(HubProperty, payload[0])
    operation = code(PropertyOperation, payload[1])
    if operation is PropertyOperation.SET:
        return HubPropertySet(subject, _LAYOUTS[subject].read(payload[2:]))
    if operation is PropertyOperation.UPDATE:
        return HubPropertyUpdate(subject, _LAYOUTS[subject].read(payload[2:]))
    unpack("BB", payload)
    return HubPropertyRequest(subject, operation)


@dataclass(frozen=True, slots=True)
class HubAction:
    """Request an action from the hub, or its announcement of one."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ACTIONS

    action: HubActionType

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.action,))


def parse_action(payload: bytes) -> HubAction:
    """Decode a hub action message; raises DecodeError."""
    return HubAction(code(HubActionType, unpack("B", payload)[0]))


_RAISED = 0xFF


@dataclass(frozen=True, slots=True)
class HubAlertRequest:
    """Request an alert's state, once or at each change; a hub sends none unasked. `operation` is any but UPDATE."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ALERTS

    alert: Alert
    operation: AlertOperation = AlertOperation.ENABLE_UPDATES

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.alert, self.operation))


@dataclass(frozen=True, slots=True)
class HubAlertUpdate:
    """The hub reports whether an alert is raised."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ALERTS

    alert: Alert
    raised: bool

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.alert, AlertOperation.UPDATE, _RAISED if self.raised else 0))


AlertMessage = HubAlertRequest | HubAlertUpdate


def parse_alert(payload: bytes) -> AlertMessage:
    """Decode a hub alert message; raises DecodeError."""
    at_least(2, payload)
    alert = code(Alert, payload[0])
    operation = code(AlertOperation, payload[1])
    if operation is AlertOperation.UPDATE:
        # Only 0 and 0xFF are defined; any other status counts as raised, since a false alarm is the safer error.
        return HubAlertUpdate(alert, raised=bool(unpack("BBB", payload)[2]))
    unpack("BB", payload)
    return HubAlertRequest(alert, operation)


_UNKNOWN_VERSION = Version(0)


@dataclass(frozen=True, slots=True)
class PortAttached:
    """A device is attached to a port. `device_type` is a codes.DeviceType or an unknown number."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ATTACHED_IO

    port: int
    device_type: int
    hardware: Version = _UNKNOWN_VERSION
    software: Version = _UNKNOWN_VERSION

    def payload(self) -> bytes:
        """Encode the payload."""
        return pack("BBHII", self.port, AttachEvent.ATTACHED, self.device_type, self.hardware.raw, self.software.raw)


@dataclass(frozen=True, slots=True)
class VirtualPortAttached:
    """Two ports are combined into a virtual third."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ATTACHED_IO

    port: int
    device_type: int
    port_a: int
    port_b: int

    def payload(self) -> bytes:
        """Encode the payload."""
        return pack("BBHBB", self.port, AttachEvent.ATTACHED_VIRTUAL, self.device_type, self.port_a, self.port_b)


@dataclass(frozen=True, slots=True)
class PortDetached:
    """A device was detached from a port."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ATTACHED_IO

    port: int

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.port, AttachEvent.DETACHED))


AttachedMessage = PortAttached | VirtualPortAttached | PortDetached


def parse_attached(payload: bytes) -> AttachedMessage:
    """Decode a hub attached I/O message; raises DecodeError."""
    at_least(2, payload)
    event = code(AttachEvent, payload[1])
    if event is AttachEvent.DETACHED:
        return PortDetached(unpack("BB", payload)[0])
    if event is AttachEvent.ATTACHED_VIRTUAL:
        port, _, device_type, port_a, port_b = unpack("BBHBB", payload)
        return VirtualPortAttached(port, device_type, port_a, port_b)
    port, _, device_type, hardware, software = unpack("BBHII", payload)
    return PortAttached(port, device_type, Version(hardware), Version(software))


@dataclass(frozen=True, slots=True)
class GenericError:
    """The hub refuses a message of type `command`; `code` is a codes.ErrorCode or an unknown number."""

    TYPE: ClassVar[MessageType] = MessageType.GENERIC_ERROR

    command: int
    code: int

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.command, self.code))


def parse_error(payload: bytes) -> GenericError:
    """Decode a generic error message; raises DecodeError."""
    return GenericError(*unpack("BB", payload))


_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Advertisement:
    """An advertising hub. `system_type` is a codes.SystemType or an unknown number."""

    button_pressed: bool
    system_type: int
    capabilities: Capability = Capability.CENTRAL | Capability.PERIPHERAL | Capability.PORTS
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
    return Advertisement(bool(button), system_type, Capability(capabilities), *rest)
