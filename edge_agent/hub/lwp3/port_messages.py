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
from edge_agent.hub.lwp3.frame import DecodeError, FixedLayout, MalformedReason, at_least, code, pack, unpack


@dataclass(frozen=True, slots=True)
class PortInformationRequest(FixedLayout):
    """Request a port's value, its modes or their combinations."""

    TYPE = MessageType.PORT_INFORMATION_REQUEST
    LAYOUT = "BB"

    port: int
    information: InformationType


@dataclass(frozen=True, slots=True)
class PortModes(FixedLayout):
    """Modes of a port: `input_modes` and `output_modes` have one bit per mode; capability bits as published."""

    TYPE = MessageType.PORT_INFORMATION
    LAYOUT = "BBBBHH"
    KIND = InformationType.MODE_INFORMATION

    port: int
    capabilities: int
    mode_count: int
    input_modes: int
    output_modes: int


@dataclass(frozen=True, slots=True)
class PortModeCombinations:
    """Modes that can be reported together: one number with a bit per mode for each combination."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_INFORMATION

    port: int
    combinations: tuple[int, ...] = ()

    def payload(self) -> bytes:
        """Encode the payload."""
        kind = InformationType.MODE_COMBINATIONS
        return pack(f"BB{len(self.combinations)}H", self.port, kind, *self.combinations)


@dataclass(frozen=True, slots=True)
class PortModeInformationRequest(FixedLayout):
    """Request one piece of information about a mode."""

    TYPE = MessageType.PORT_MODE_INFORMATION_REQUEST
    LAYOUT = "BBB"

    port: int
    mode: int
    information: ModeInformationType


@dataclass(frozen=True, slots=True)
class PortModeRange(FixedLayout):
    """Range of a mode's value; `information` is RAW, PERCENT or SI. Single-precision floats."""

    TYPE = MessageType.PORT_MODE_INFORMATION
    LAYOUT = "BBBff"

    port: int
    mode: int
    information: ModeInformationType
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class PortModeDetail:
    """Any other information about a mode (name, symbol, mapping, bias, capabilities, format), as raw bytes."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_MODE_INFORMATION

    port: int
    mode: int
    information: ModeInformationType
    data: bytes

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.port, self.mode, self.information)) + self.data

    def text(self) -> str:
        """Decode a name or symbol: ASCII, padded with zero bytes."""
        return self.data.rstrip(b"\0").decode("ascii", "replace")


PortInformationMessage = PortModes | PortModeCombinations
PortModeInformationMessage = PortModeRange | PortModeDetail


def parse_information(payload: bytes) -> PortInformationMessage:
    """Decode a port information answer; raises DecodeError."""
    at_least(2, payload)
    kind = code(InformationType, payload[1])
    if kind is InformationType.MODE_INFORMATION:
        return PortModes.parse(payload)
    if kind is InformationType.MODE_COMBINATIONS:
        port, _, *combinations = unpack(f"BB{len(payload) // 2 - 1}H", payload)
        return PortModeCombinations(port, tuple(combinations))
    raise DecodeError(MalformedReason.UNKNOWN_CODE, "a value comes in a message of its own, not as port information")


def parse_mode_information(payload: bytes) -> PortModeInformationMessage:
    """Decode a port mode information answer; raises DecodeError."""
    at_least(3, payload)
    kind = code(ModeInformationType, payload[2])
    if kind not in (ModeInformationType.RAW, ModeInformationType.PERCENT, ModeInformationType.SI):
        return PortModeDetail(payload[0], payload[1], kind, payload[3:])
    message = PortModeRange.parse(payload)
    # The range becomes a scale, which NaN and infinity cannot be.
    if not (math.isfinite(message.minimum) and math.isfinite(message.maximum)):
        raise DecodeError(MalformedReason.BAD_VALUE, f"range {message.minimum}..{message.maximum} is not finite")
    return message


@dataclass(frozen=True, slots=True)
class InputFormatSetup(FixedLayout):
    """Select a port's mode; with `notify`, the hub sends its value whenever it has moved by `delta`."""

    TYPE = MessageType.PORT_INPUT_FORMAT_SETUP
    LAYOUT = "BBI?"

    port: int
    mode: int
    delta: int
    notify: bool


@dataclass(frozen=True, slots=True)
class InputFormat(FixedLayout):
    """The hub's answer to InputFormatSetup, with the format in use."""

    TYPE = MessageType.PORT_INPUT_FORMAT
    LAYOUT = "BBI?"

    port: int
    mode: int
    delta: int
    notify: bool


@dataclass(frozen=True, slots=True)
class PortValue:
    """A port's raw value; the mode determines the number of bytes and their meaning."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_VALUE

    port: int
    data: bytes

    def payload(self) -> bytes:
        """Encode the payload."""
        return bytes((self.port,)) + self.data

    def integer(self) -> int:
        """Decode the data as one signed little-endian number."""
        return int.from_bytes(self.data, "little", signed=True)


def parse_value(payload: bytes) -> PortValue:
    """Decode a port value; raises DecodeError."""
    at_least(2, payload)
    return PortValue(payload[0], payload[1:])


BRAKE = 127
"""Power that shorts the motor, which brakes it."""

COAST = 0
"""Power that leaves the motor floating, so that it rolls on."""

_IMMEDIATE = 0x10
_FEEDBACK = 0x01
_KNOWN_FLAGS = Feedback.IN_PROGRESS | Feedback.COMPLETED | Feedback.DISCARDED | Feedback.IDLE | Feedback.BUSY


@dataclass(frozen=True, slots=True)
class OutputCommand:
    """Write `data` directly to a mode of a port.

    `immediate` interrupts the port's current command; without it the new one is queued. `feedback` requests an
    OutputFeedback.
    """

    TYPE: ClassVar[MessageType] = MessageType.PORT_OUTPUT_COMMAND

    port: int
    mode: int
    data: bytes
    immediate: bool = True
    feedback: bool = True

    def payload(self) -> bytes:
        """Encode the payload."""
        how = (_IMMEDIATE if self.immediate else 0) | (_FEEDBACK if self.feedback else 0)
        return bytes((self.port, how, OutputSubcommand.WRITE_DIRECT_MODE_DATA, self.mode)) + self.data

    @property
    def power(self) -> int | None:
        """Power of a motor (-100..100, BRAKE), brightness or colour; None unless the data is one byte for mode 0."""
        if self.mode != 0 or len(self.data) != 1:
            return None
        return int.from_bytes(self.data, "little", signed=True)

    @property
    def is_brake(self) -> bool:
        """Whether it brakes a motor."""
        return self.power == BRAKE


@dataclass(frozen=True, slots=True)
class PortFeedback:
    """State of one port in a feedback message."""

    port: int
    flags: Feedback


@dataclass(frozen=True, slots=True)
class OutputFeedback:
    """The hub's feedback on output commands, for one or more ports."""

    TYPE: ClassVar[MessageType] = MessageType.PORT_OUTPUT_FEEDBACK

    ports: tuple[PortFeedback, ...]

    def payload(self) -> bytes:
        """Encode the payload."""
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
    """Let a motor coast."""
    return OutputCommand(port, 0, bytes((COAST,)))


def light(port: int, brightness_percent: int) -> OutputCommand:
    """Set a light to 0..100 percent. Raises ValueError outside that range."""
    if not 0 <= brightness_percent <= 100:
        raise ValueError(f"brightness of {brightness_percent} percent is outside 0..100")
    return OutputCommand(port, 0, bytes((brightness_percent,)))


def show_colour(port: int, colour: Colour) -> OutputCommand:
    """Show a colour on a hub's own light."""
    return OutputCommand(port, 0, bytes((colour,)))


def parse_command(payload: bytes) -> OutputCommand:
    """Decode an output command; raises DecodeError."""
    at_least(5, payload)
    port, how, subcommand, mode = payload[:4]
    code(OutputSubcommand, subcommand)
    if how & ~(_IMMEDIATE | _FEEDBACK):
        raise DecodeError(MalformedReason.UNKNOWN_CODE, f"start-up and completion 0x{how:02x} is unknown")
    return OutputCommand(port, mode, payload[4:], immediate=bool(how & _IMMEDIATE), feedback=bool(how & _FEEDBACK))


def parse_feedback(payload: bytes) -> OutputFeedback:
    """Decode a feedback message; unknown bits are ignored. Raises DecodeError."""
    at_least(2, payload)
    if len(payload) % 2:
        raise DecodeError(MalformedReason.TRUNCATED, f"feedback of {len(payload)} bytes is not a list of pairs")
    pairs = zip(payload[::2], payload[1::2], strict=True)
    return OutputFeedback(tuple(PortFeedback(port, Feedback(flags) & _KNOWN_FLAGS) for port, flags in pairs))
