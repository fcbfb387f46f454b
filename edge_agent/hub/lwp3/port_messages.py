"""Messages about a port: what it can do, its sensor values, its output commands and the hub's feedback on them.

Layouts as in https://lego.github.io/lego-ble-wireless-protocol-docs/. Sensor values are raw; scaling.py converts them.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import (
    Colour,
    Feedback,
    InformationType,
    MessageType,
    ModeInformationType,
    OutputSubcommand,
)
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


BRAKE = 127
"""Power that shorts the motor: it brakes."""

COAST = 0
"""Power that leaves the motor floating: it rolls on."""

_IMMEDIATE = 0x10
_FEEDBACK = 0x01
_KNOWN_FLAGS = Feedback.IN_PROGRESS | Feedback.COMPLETED | Feedback.DISCARDED | Feedback.IDLE | Feedback.BUSY


@dataclass(frozen=True, slots=True)
class OutputCommand:
    """Write `data` straight to a mode of a port.

    `immediate` overtakes whatever the port is doing; without it the command waits behind the running one. `feedback`
    asks the hub to tell how it went.
    """

    TYPE: ClassVar[MessageType] = MessageType.PORT_OUTPUT_COMMAND

    port: int
    mode: int
    data: bytes
    immediate: bool = True
    feedback: bool = True

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        how = (_IMMEDIATE if self.immediate else 0) | (_FEEDBACK if self.feedback else 0)
        return bytes((self.port, how, OutputSubcommand.WRITE_DIRECT_MODE_DATA, self.mode)) + self.data

    @property
    def power(self) -> int | None:
        """Power written to a motor (-100..100, BRAKE), or brightness or colour; None if it is no single byte."""
        if self.mode != 0 or len(self.data) != 1:
            return None
        return int.from_bytes(self.data, "little", signed=True)

    @property
    def is_brake(self) -> bool:
        """Whether a motor on that port brakes on it."""
        return self.power == BRAKE


@dataclass(frozen=True, slots=True)
class PortFeedback:
    """One port's state in a feedback message."""

    port: int
    flags: Feedback


@dataclass(frozen=True, slots=True)
class OutputFeedback:
    """The hub tells how output commands went, for one port or more."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_OUTPUT_FEEDBACK

    ports: tuple[PortFeedback, ...]

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return b"".join(bytes((entry.port, entry.flags)) for entry in self.ports)


def start_power(port: int, power_percent: int) -> OutputCommand:
    """Run a motor; -100..100, 0 coasts. Raises ValueError outside that range."""
    if not -100 <= power_percent <= 100:
        raise ValueError(f"power of {power_percent} percent is outside -100..100")
    return OutputCommand(port, 0, power_percent.to_bytes(1, "little", signed=True))


def brake(port: int) -> OutputCommand:
    """Brake a motor."""
    return OutputCommand(port, 0, bytes((BRAKE,)))


def coast(port: int) -> OutputCommand:
    """Let a motor roll."""
    return OutputCommand(port, 0, bytes((COAST,)))


def light(port: int, brightness_percent: int) -> OutputCommand:
    """Light a lamp; 0..100. Raises ValueError outside that range."""
    if not 0 <= brightness_percent <= 100:
        raise ValueError(f"brightness of {brightness_percent} percent is outside 0..100")
    return OutputCommand(port, 0, bytes((brightness_percent,)))


def show_colour(port: int, colour: Colour) -> OutputCommand:
    """Show a colour on a hub's own light."""
    return OutputCommand(port, 0, bytes((colour,)))


def parse_command(payload: bytes) -> OutputCommand:
    """Read an output command; raises DecodeError."""
    at_least(5, payload)
    port, how, subcommand, mode = payload[:4]
    code(OutputSubcommand, subcommand)
    if how & ~(_IMMEDIATE | _FEEDBACK):
        raise DecodeError(MalformedReason.UNKNOWN_CODE, f"start-up and completion 0x{how:02x} is unknown")
    return OutputCommand(port, mode, payload[4:], immediate=bool(how & _IMMEDIATE), feedback=bool(how & _FEEDBACK))


def parse_feedback(payload: bytes) -> OutputFeedback:
    """Read a feedback message; bits without a name are ignored. Raises DecodeError."""
    at_least(2, payload)
    if len(payload) % 2:
        raise DecodeError(MalformedReason.TRUNCATED, f"feedback of {len(payload)} bytes is no list of pairs")
    pairs = zip(payload[::2], payload[1::2], strict=True)
    return OutputFeedback(tuple(PortFeedback(port, Feedback(flags) & _KNOWN_FLAGS) for port, flags in pairs))
