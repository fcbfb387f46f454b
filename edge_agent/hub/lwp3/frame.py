"""Common message header (length, hub id, type), and helpers that unpack payloads of fixed layout.

Functions that read raise DecodeError only, which the codec turns into a Malformed value.
"""

import struct
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Self, SupportsIndex, TypeVar

from edge_agent.hub.lwp3.codes import MessageType

_LONG = 0x80
"""Flag in the first byte of a two-byte length."""

_MAX_LENGTH = 0x7FFF
"""Seven bits in the first byte, eight in the second."""

Code = TypeVar("Code", bound=IntEnum)


class MalformedReason(StrEnum):
    """Why bytes are not a message."""

    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_CODE = "unknown_code"
    BAD_VALUE = "bad_value"


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are not a known message: reason, detail as text, and the bytes themselves."""

    reason: MalformedReason
    detail: str
    raw: bytes


class DecodeError(Exception):
    """Raised inside this package for malformed bytes."""

    def __init__(self, reason: MalformedReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def wrap(message_type: int, payload: bytes) -> bytes:
    """Prepend the common header; a length above 127 takes two bytes, low seven bits first.

    Raises ValueError for a message that is too long for the length field.
    """
    length = len(payload) + 3
    if length <= 0x7F:
        return bytes((length, 0, message_type)) + payload
    length += 1
    if length > _MAX_LENGTH:
        raise ValueError(f"a message of {length} bytes does not fit its length field")
    return bytes((length & 0x7F | _LONG, length >> 7, 0, message_type)) + payload


def unwrap(raw: bytes) -> tuple[int, bytes]:
    """Split bytes into message type and payload. The hub id is reserved and ignored."""
    if not raw:
        raise DecodeError(MalformedReason.TRUNCATED, "no bytes")
    header = 4 if raw[0] & _LONG else 3
    if len(raw) < header:
        raise DecodeError(MalformedReason.TRUNCATED, f"header of {len(raw)} bytes")
    length = raw[0] & 0x7F | raw[1] << 7 if raw[0] & _LONG else raw[0]
    if length != len(raw):
        reason = MalformedReason.TRUNCATED if len(raw) < length else MalformedReason.TOO_LONG
        raise DecodeError(reason, f"length says {length} bytes, there are {len(raw)}")
    return raw[header - 1], raw[header:]


def unpack(layout: str, payload: bytes) -> tuple[Any, ...]:
    """Unpack a payload of exactly the layout's size (struct notation, little-endian)."""
    size = struct.calcsize("<" + layout)
    if len(payload) != size:
        reason = MalformedReason.TRUNCATED if len(payload) < size else MalformedReason.TOO_LONG
        raise DecodeError(reason, f"{size} bytes of payload expected, there are {len(payload)}")
    return struct.unpack("<" + layout, payload)


def pack(layout: str, *values: SupportsIndex | float | bytes) -> bytes:
    """Pack a payload; the inverse of `unpack`. Raises struct.error for a value that does not fit its field."""
    return struct.pack("<" + layout, *values)


def at_least(size: int, payload: bytes) -> None:
    """Check for a minimum length."""
    if len(payload) < size:
        raise DecodeError(
            MalformedReason.TRUNCATED, f"at least {size} bytes of payload expected, there are {len(payload)}"
        )


def code(kind: type[Code], value: int) -> Code:
    """Convert a number to its code; raises DecodeError for an unknown one."""
    try:
        return kind(value)
    except ValueError as error:
        raise DecodeError(MalformedReason.UNKNOWN_CODE, f"{kind.__name__} 0x{value:02x} is unknown") from error


def text(payload: bytes) -> str:
    """Decode UTF-8 text that may be padded with zero bytes."""
    try:
        return payload.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise DecodeError(MalformedReason.BAD_VALUE, "text is not UTF-8") from error


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Version of firmware or hardware: packed decimal digits 0xMmBBbbbb (major, minor, bug fix, build)."""

    raw: int

    def __str__(self) -> str:
        """Format as LEGO does: `1.0.06.0017`."""
        digits = f"{self.raw:08X}"
        return f"{digits[0]}.{digits[1]}.{digits[2:4]}.{digits[4:]}"

    def __index__(self) -> int:
        return self.raw

    @classmethod
    def of(cls, written: str) -> "Version":
        """Parse `1.0.06.0017`; raises ValueError for any other format."""
        digits = written.replace(".", "")
        if [len(part) for part in written.split(".")] != [1, 1, 2, 4] or not digits.isdecimal():
            raise ValueError(f"{written!r} is not a version; write it as 1.0.06.0017")
        return cls(int(digits, 16))


@dataclass(frozen=True, slots=True)
class FixedLayout:
    """A message whose payload is its fields in their order, packed as LAYOUT says (struct notation, little-endian).

    Where KIND is set, it is the second value of the payload: the code that tells this layout from others of its type.
    """

    TYPE: ClassVar[MessageType]
    LAYOUT: ClassVar[str]
    KIND: ClassVar[IntEnum | None] = None

    def payload(self) -> bytes:
        """Encode the payload."""
        values = [getattr(self, field.name) for field in fields(self)]
        if self.KIND is not None:
            values.insert(1, self.KIND)
        return pack(self.LAYOUT, *values)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Decode a payload, whose KIND has been checked; raises DecodeError."""
        values = list(unpack(cls.LAYOUT, payload))
        if cls.KIND is not None:
            del values[1]
        return cls(*(_convert(field.type, value) for field, value in zip(fields(cls), values, strict=True)))


def _convert(kind: Any, value: Any) -> Any:
    if issubclass(kind, IntEnum):
        return code(kind, value)
    return Version(value) if kind is Version else value
