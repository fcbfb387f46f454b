"""Port output: the commands that move the train and light its lamps, and the hub's feedback on them.

Knows how a power, a brake, a brightness and a colour are written. Knows nothing of when to write one.
"""

from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import Colour, Feedback, MessageType, OutputSubcommand
from edge_agent.hub.lwp3.frame import DecodeError, MalformedReason, at_least, code

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
