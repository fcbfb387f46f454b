"""Port information: what a port can do, and what each of its modes is called, measures and looks like.

Knows questions and answers. Knows nothing of which answer the agent needs.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import InformationType, MessageType, ModeInformationType
from edge_agent.hub.lwp3.frame import DecodeError, MalformedReason, at_least, code, pack, unpack


@dataclass(frozen=True, slots=True)
class PortInformationRequest:
    """Ask a port for its value, its modes or their combinations."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_INFORMATION_REQUEST

    port: int
    information: InformationType

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.port, self.information))


@dataclass(frozen=True, slots=True)
class PortModes:
    """What modes a port has: `input_modes` and `output_modes` hold one bit a mode; capability bits as published."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_INFORMATION

    port: int
    capabilities: int
    mode_count: int
    input_modes: int
    output_modes: int

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        kind = InformationType.MODE_INFORMATION
        return pack("BBBBHH", self.port, kind, self.capabilities, self.mode_count, self.input_modes, self.output_modes)


@dataclass(frozen=True, slots=True)
class PortModeCombinations:
    """Which modes can be told together: one number of mode bits a combination."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_INFORMATION

    port: int
    combinations: tuple[int, ...] = ()

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        kind = InformationType.MODE_COMBINATIONS
        return pack(f"BB{len(self.combinations)}H", self.port, kind, *self.combinations)


@dataclass(frozen=True, slots=True)
class PortModeInformationRequest:
    """Ask for one thing about one mode."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_MODE_INFORMATION_REQUEST

    port: int
    mode: int
    information: ModeInformationType

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.port, self.mode, self.information))


@dataclass(frozen=True, slots=True)
class PortModeRange:
    """From where to where a mode's value goes; `information` is RAW, PERCENT or SI. Single-precision floats."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_MODE_INFORMATION

    port: int
    mode: int
    information: ModeInformationType
    minimum: float
    maximum: float

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return pack("BBBff", self.port, self.mode, self.information, self.minimum, self.maximum)


@dataclass(frozen=True, slots=True)
class PortModeDetail:
    """Any other thing about a mode (name, symbol, mapping, bias, capabilities, format), as the bytes it came in."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_MODE_INFORMATION

    port: int
    mode: int
    information: ModeInformationType
    data: bytes

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.port, self.mode, self.information)) + self.data

    def text(self) -> str:
        """Read name or symbol: ASCII, padded with zero bytes."""
        return self.data.rstrip(b"\0").decode("ascii", "replace")


_RANGES = (ModeInformationType.RAW, ModeInformationType.PERCENT, ModeInformationType.SI)

PortInformationMessage = PortModes | PortModeCombinations
PortModeInformationMessage = PortModeRange | PortModeDetail


def parse_request(payload: bytes) -> PortInformationRequest:
    """Read a port information request; raises DecodeError."""
    port, information = unpack("BB", payload)
    return PortInformationRequest(port, code(InformationType, information))


def parse_information(payload: bytes) -> PortInformationMessage:
    """Read a port information answer; raises DecodeError."""
    at_least(2, payload)
    kind = code(InformationType, payload[1])
    if kind is InformationType.MODE_INFORMATION:
        port, _, capabilities, count, inputs, outputs = unpack("BBBBHH", payload)
        return PortModes(port, capabilities, count, inputs, outputs)
    if kind is InformationType.MODE_COMBINATIONS:
        port, _, *combinations = unpack(f"BB{len(payload) // 2 - 1}H", payload)
        return PortModeCombinations(port, tuple(combinations))
    raise DecodeError(MalformedReason.UNKNOWN_CODE, "a value is told by its own message, not as port information")


def parse_mode_request(payload: bytes) -> PortModeInformationRequest:
    """Read a port mode information request; raises DecodeError."""
    port, mode, information = unpack("BBB", payload)
    return PortModeInformationRequest(port, mode, code(ModeInformationType, information))


def parse_mode_information(payload: bytes) -> PortModeInformationMessage:
    """Read a port mode information answer; raises DecodeError."""
    at_least(3, payload)
    kind = code(ModeInformationType, payload[2])
    if kind not in _RANGES:
        return PortModeDetail(payload[0], payload[1], kind, payload[3:])
    port, mode, _, minimum, maximum = unpack("BBBff", payload)
    if not (math.isfinite(minimum) and math.isfinite(maximum)):
        raise DecodeError(MalformedReason.BAD_VALUE, f"range {minimum}..{maximum} is not finite")
    return PortModeRange(port, mode, kind, minimum, maximum)
