"""The values that a command is made of on its way from a sender to the train and back.

Knows names and units. Knows nothing of rules.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Verb(StrEnum):
    """What can be commanded. Those that are orders to the guard have the guard's names."""

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
"""Commands after which the train stands: obeyed always."""


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
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command as it came in, before anybody has judged it. `issued_unix_s` is by the sender's clock.

    `by` is who gave it, as the sender says. `vouched` is set by a channel that knows the sender for one who may command
    (logged in at a proxy that the settings trust): no token is asked for then.
    """

    verb: Verb
    retained: bool = False
    token: str | None = field(default=None, repr=False)
    command_id: str | None = None
    issued_unix_s: float | None = None
    power_percent: int | None = None
    duration_s: float | None = None
    reason: str = ""
    by: str | None = None
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Instruction:
    """A command that the train obeys; `power_percent` comes with POWER, `duration_s` with IMAGE."""

    verb: Verb
    command_id: str | None = None
    power_percent: int | None = None
    duration_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the train says to an instruction: whether it took it, the guard's state after it and its reason in words."""

    accepted: bool
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The train obeys."""

    instruction: Instruction


@dataclass(frozen=True, slots=True)
class Refused:
    """The train does not obey; `reason` says why and what to do, in one line."""

    code: Code
    reason: str
