"""The common header of every message: length, hub id, type.

Knows how a message is wrapped and how a payload of fixed layout is taken apart without ever reading past its end. Knows
no message. Raises DecodeError only; the codec above turns that into a value.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

_LONG = 0x80
"""Set in the first byte of a length that takes two."""

_MAX_LENGTH = 0x7FFF
"""Seven bits in the first byte, eight in the second."""

Code = TypeVar("Code", bound=IntEnum)


class MalformedReason(StrEnum):
    """Why bytes are no message."""

    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_CODE = "unknown_code"
    BAD_VALUE = "bad_value"


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no message we know: why, in words, and the bytes themselves."""

    reason: MalformedReason
    detail: str
    raw: bytes


class DecodeError(Exception):
    """Inside this package only: the bytes at hand are no message, and why."""

    def __init__(self, reason: MalformedReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def wrap(message_type: int, payload: bytes) -> bytes:
    """Put the common header before a payload; a length above 127 takes two bytes, low seven bits first.

    Raises ValueError when the whole message would be longer than a length can tell.
    """
    length = len(payload) + 3
    if length <= 0x7F:
        return bytes((length, 0, message_type)) + payload
    length += 1
    if length > _MAX_LENGTH:
        raise ValueError(f"a message of {length} bytes does not fit its length field")
    return bytes((length & 0x7F | _LONG, length >> 7, 0, message_type)) + payload


def unwrap(raw: bytes) -> tuple[int, bytes]:
    """Split bytes into message type and payload. The hub id is reserved and not looked at."""
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
    """Take apart a payload that must have exactly the layout's size (struct notation, little-endian)."""
    size = struct.calcsize("<" + layout)
    if len(payload) != size:
        reason = MalformedReason.TRUNCATED if len(payload) < size else MalformedReason.TOO_LONG
        raise DecodeError(reason, f"{size} bytes of payload expected, there are {len(payload)}")
    return struct.unpack("<" + layout, payload)


def pack(layout: str, *values: float | bytes) -> bytes:
    """Put together a payload; the inverse of `unpack`. Raises struct.error for a value that does not fit its field."""
    return struct.pack("<" + layout, *values)


def at_least(size: int, payload: bytes) -> None:
    """Insist on a minimum length."""
    if len(payload) < size:
        raise DecodeError(
            MalformedReason.TRUNCATED, f"at least {size} bytes of payload expected, there are {len(payload)}"
        )


def code(kind: type[Code], value: int) -> Code:
    """Name a code, or say that it is unknown."""
    try:
        return kind(value)
    except ValueError as error:
        raise DecodeError(MalformedReason.UNKNOWN_CODE, f"{kind.__name__} 0x{value:02x} is unknown") from error


def text(payload: bytes) -> str:
    """Read text that may be padded with zero bytes."""
    try:
        return payload.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise DecodeError(MalformedReason.BAD_VALUE, "text is not UTF-8") from error
