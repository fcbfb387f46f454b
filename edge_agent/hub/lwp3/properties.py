"""Hub properties: name, firmware, battery, button and the like; asked for, set and told.

Knows how each property's value is laid out. Knows nothing of what a value means for the train.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from edge_agent.hub.lwp3.codes import MAX_NAME_BYTES, HubProperty, MessageType, PropertyOperation
from edge_agent.hub.lwp3.frame import DecodeError, MalformedReason, at_least, code, pack, text, unpack
from edge_agent.hub.lwp3.version import Version

PropertyValue = str | int | bool | Version


class _Layout(NamedTuple):
    """How one kind of value is written and read."""

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
    """Ask for a property, once or whenever it changes; `operation` is any but SET and UPDATE."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_PROPERTIES

    subject: HubProperty
    operation: PropertyOperation = PropertyOperation.REQUEST_UPDATE

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.subject, self.operation))


@dataclass(frozen=True, slots=True)
class HubPropertySet:
    """Set a property, the name in practice."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_PROPERTIES

    subject: HubProperty
    value: PropertyValue

    def payload(self) -> bytes:
        """Lay out behind the common header; raises TypeError or ValueError for a value the property cannot have."""
        return bytes((self.subject, PropertyOperation.SET)) + _LAYOUTS[self.subject].write(self.value)


@dataclass(frozen=True, slots=True)
class HubPropertyUpdate:
    """The hub tells a property.

    Text for name, manufacturer and radio firmware; a flag for the button; a Version for firmware and hardware; dBm for
    RSSI; percent for the battery; `AA:BB:CC:DD:EE:FF` for addresses; a number for the others.
    """

    TYPE: ClassVar[MessageType] = MessageType.HUB_PROPERTIES

    subject: HubProperty
    value: PropertyValue

    def payload(self) -> bytes:
        """Lay out behind the common header; raises TypeError or ValueError for a value the property cannot have."""
        return bytes((self.subject, PropertyOperation.UPDATE)) + _LAYOUTS[self.subject].write(self.value)


PropertyMessage = HubPropertyRequest | HubPropertySet | HubPropertyUpdate


def parse(payload: bytes) -> PropertyMessage:
    """Read a hub property message; raises DecodeError."""
    at_least(2, payload)
    subject = code(HubProperty, payload[0])
    operation = code(PropertyOperation, payload[1])
    if operation is PropertyOperation.SET:
        return HubPropertySet(subject, _LAYOUTS[subject].read(payload[2:]))
    if operation is PropertyOperation.UPDATE:
        return HubPropertyUpdate(subject, _LAYOUTS[subject].read(payload[2:]))
    unpack("BB", payload)
    return HubPropertyRequest(subject, operation)
