"""Port input: how a sensor is asked to tell its value, and the value.

Knows the format set-up for one mode and the raw value. Knows nothing of units: see scaling.py.
"""

from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import MessageType
from edge_agent.hub.lwp3.frame import at_least, pack, unpack

_LAYOUT = "BBI?"


@dataclass(frozen=True, slots=True)
class InputFormatSetup:
    """Choose a port's mode; with `notify`, have its value told whenever it has moved by `delta`."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_INPUT_FORMAT_SETUP

    port: int
    mode: int
    delta: int
    notify: bool

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return pack(_LAYOUT, self.port, self.mode, self.delta, self.notify)


@dataclass(frozen=True, slots=True)
class InputFormat:
    """The hub's answer to InputFormatSetup, with what now holds."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_INPUT_FORMAT

    port: int
    mode: int
    delta: int
    notify: bool

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return pack(_LAYOUT, self.port, self.mode, self.delta, self.notify)


@dataclass(frozen=True, slots=True)
class PortValue:
    """A port's value, raw: the port's mode decides how many bytes there are and what they mean."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_VALUE

    port: int
    data: bytes

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.port,)) + self.data

    def integer(self) -> int:
        """Read all of the data as one signed little-endian number."""
        return int.from_bytes(self.data, "little", signed=True)


def parse_setup(payload: bytes) -> InputFormatSetup:
    """Read a port input format set-up; raises DecodeError."""
    return InputFormatSetup(*unpack(_LAYOUT, payload))


def parse_format(payload: bytes) -> InputFormat:
    """Read a port input format; raises DecodeError."""
    return InputFormat(*unpack(_LAYOUT, payload))


def parse_value(payload: bytes) -> PortValue:
    """Read a port value; raises DecodeError."""
    at_least(2, payload)
    return PortValue(payload[0], payload[1:])
