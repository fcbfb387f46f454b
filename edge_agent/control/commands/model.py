"""The values of a command's way: the message that a channel received and the command that was read from it.

What became of it is an `events.CommandResult`. Each channel makes a CommandMessage of what it received; from there on
all commands are alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Channel(StrEnum):
    """The ways by which commands come in."""

    MQTT = "mqtt"
    KAFKA = "kafka"
    CONSOLE = "console"
    CRAZY_TRAIN = "crazy-train"


class Verb(StrEnum):
    """What can be commanded. Verbs that are orders to the guard have the same names as there."""

    DRIVE = "drive"
    STOP = "stop"
    EMERGENCY_STOP = "emergency_stop"
    ARM = "arm"
    DISARM = "disarm"
    REARM = "rearm"
    CAPTURE_START = "capture_start"
    CAPTURE_STOP = "capture_stop"
    POWER = "power"
    IMAGE = "image"


STOPPING = frozenset({Verb.STOP, Verb.EMERGENCY_STOP, Verb.DISARM, Verb.CAPTURE_STOP})
"""Commands after which the train stands: always obeyed."""


class Code(StrEnum):
    """Why a command is refused."""

    MALFORMED = "malformed"
    RETAINED = "retained"
    NO_TOKEN_SET = "no_token_set"  # noqa: S105 - a reason, no secret
    NO_TOKEN = "no_token"  # noqa: S105 - a reason, no secret
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a reason, no secret
    TOO_MANY = "too_many"
    STOPPED = "stopped"
    NO_TIME = "no_time"
    STALE = "stale"
    EARLY = "early"
    NO_ID = "no_id"
    REPLAYED = "replayed"
    VALUE = "value"
    WRONG_STATE = "wrong_state"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command is not obeyed; `reason` says it in one line, with what to do about it."""

    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """A command as a channel received it.

    Args:
        name: one of NAMES or a Verb, from the topic, the event's subject or the URL.
        body: its bytes; or the JSON object, where the channel had to read it to find the name.
        retained: whether a broker had kept it (MQTT).
        token: a token that came beside the body, in a header; it takes the place of the body's.
        vouched: the channel has authenticated the sender as one who may command: no token is needed.
        sender: who sent it, as far as the channel has authenticated that; it takes the place of the body's `by`.
        source: where it came from; used where there is no sender.
        message_id: used where the body has no `id`.
        issued_at: used where the body has none; RFC 3339, or seconds since 1970.
    """

    channel: Channel
    name: str
    body: bytes | Mapping[str, Any] = field(default=b"", repr=False)
    retained: bool = False
    token: str | None = field(default=None, repr=False)
    vouched: bool = False
    sender: str | None = None
    source: str | None = None
    message_id: str | None = None
    issued_at: str | float | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was read, not checked yet.

    `name` is what it was sent by, `verb` what it means (`arm` with value `off` is DISARM). `malformed` says why it
    could not be read, which a stop never is; `verb` may be None then. `issued_unix_s` is by the sender's clock.
    """

    channel: Channel
    name: str
    verb: Verb | None
    malformed: Refusal | None = None
    retained: bool = False
    token: str | None = field(default=None, repr=False)
    vouched: bool = False
    sender: str | None = None
    command_id: str | None = None
    issued_unix_s: float | None = None
    power_percent: int | None = None
    duration_s: float | None = None
    reason: str = ""

    @property
    def stops(self) -> bool:
        """Whether the train stands after it."""
        return self.verb in STOPPING
