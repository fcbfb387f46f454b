"""Whether the train obeys a command. Pure: clocks, the token and what was obeyed before are arguments.

A command that only stops is obeyed whoever sends it and however it arrives. Every other one needs the command token,
an id that was not used before and the moment it was given; a retained copy is refused, since nobody means it now.
"""

import hmac
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from edge_agent.config import CommandSettings, read_secret
from edge_agent.control.commands.model import STOPPING, Accepted, Code, CommandRequest, Instruction, Refused, Verb

MAX_IMAGES_S = 300.0
"""Pictures can be asked for this long at once."""


@dataclass(frozen=True, slots=True)
class CommandRules:
    """What a command has to fulfil.

    `max_age_s` and `max_ahead_s` allow for the way here and for clocks that differ. For `hold_s` after a stop, nothing
    that moves the train is obeyed: what was under way when it came is too late. More than `max_per_s` commands with the
    token within a second are a flood, and none of it is obeyed until it ends.
    """

    token: SecretStr | None
    max_age_s: float = 10.0
    max_ahead_s: float = 5.0
    hold_s: float = 1.0
    max_per_s: int = 20


@dataclass(frozen=True, slots=True)
class CommandHistory:
    """What went before: ids that were obeyed, the age of the agent and of the last stop, commands in this second.

    `recent` counts the commands that showed the token, this one included.
    """

    ids: Container[str] = frozenset()
    up_s: float = float("inf")
    since_stop_s: float = float("inf")
    recent: int = 1


def check_rules(
    request: CommandRequest, now_unix_s: float, rules: CommandRules, past: CommandHistory
) -> Accepted | Refused:
    """Say whether the train obeys; `now_unix_s` is its wall clock, in seconds since 1970."""
    if request.verb not in STOPPING:
        refused = (
            may_command(request, rules)
            or _pace(rules, past)
            or _moment(request, now_unix_s, rules, past)
            or _identity(request, past)
            or _value(request)
        )
        if refused is not None:
            return refused
    return Accepted(
        Instruction(request.verb, request.command_id, request.power_percent, request.duration_s, request.reason)
    )


def may_command(request: CommandRequest, rules: CommandRules) -> Refused | None:
    """Say why the sender may not command more than a stop; None where the sender may."""
    if request.retained:
        return Refused(Code.RETAINED, "a retained command is not obeyed; send it without the retain flag")
    if request.vouched:
        return None
    if rules.token is None:
        return Refused(Code.NO_TOKEN_SET, "the train has no command token and obeys only stops; set one on the train")
    if request.token is None:
        return Refused(Code.NO_TOKEN, "the command has no token; put the train's into token")
    if not hmac.compare_digest(_bytes(request.token), _bytes(rules.token.get_secret_value())):
        return Refused(Code.WRONG_TOKEN, "the command's token is not the train's")
    return None


def _pace(rules: CommandRules, past: CommandHistory) -> Refused | None:
    if past.recent > rules.max_per_s:
        return Refused(Code.TOO_MANY, f"more than {rules.max_per_s} commands came in a second; send fewer")
    if past.since_stop_s < rules.hold_s:
        return Refused(Code.STOPPED, f"a stop came {past.since_stop_s:.1f} s ago; wait {rules.hold_s:g} s after a stop")
    return None


def _moment(request: CommandRequest, now_unix_s: float, rules: CommandRules, past: CommandHistory) -> Refused | None:
    if request.issued_unix_s is None:
        return Refused(Code.NO_TIME, "the command does not say when it was given; put the time into issued_at")
    age_s = now_unix_s - request.issued_unix_s
    clock = f"the train's clock shows {_text(now_unix_s)}, compare it with yours"
    if age_s > rules.max_age_s:
        return Refused(Code.STALE, f"given {age_s:.1f} s ago, {rules.max_age_s:g} s are allowed; {clock}")
    if age_s < -rules.max_ahead_s:
        return Refused(Code.EARLY, f"given {-age_s:.1f} s in the future, {rules.max_ahead_s:g} s are allowed; {clock}")
    if age_s > past.up_s:
        return Refused(Code.STALE, f"given {age_s:.1f} s ago, before the agent was started; {clock}")
    return None


def _identity(request: CommandRequest, past: CommandHistory) -> Refused | None:
    if not request.command_id:
        return Refused(Code.NO_ID, "the command has no id; give each one an id of its own")
    if request.command_id in past.ids:
        return Refused(Code.REPLAYED, "a command with this id was obeyed before; give each one an id of its own")
    return None


def _value(request: CommandRequest) -> Refused | None:
    power_percent, duration_s = request.power_percent, request.duration_s
    match request.verb:
        case Verb.POWER if power_percent is None or not 1 <= power_percent <= 100:
            return Refused(Code.VALUE, "power_percent has to be a whole number from 1 to 100")
        case Verb.IMAGE if duration_s is None or not 0 < duration_s <= MAX_IMAGES_S:
            return Refused(Code.VALUE, f"duration_s has to be more than 0 and at most {MAX_IMAGES_S:g}")
        case Verb.REARM if not request.reason:
            return Refused(Code.VALUE, "a re-arm needs a reason in words; put it into reason")
        case _:
            return None


def _bytes(text: str) -> bytes:
    """Return the text's bytes; JSON may carry half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")


def _text(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_rules(limits: CommandSettings, token: SecretStr | None, file: Path | None, key: str) -> CommandRules:
    """Return what commands have to fulfil; the token is `token`, or what stands in `file` now.

    `key` names the setting of the file. Raises ConfigError when the file cannot be read.
    """
    return CommandRules(
        read_secret(token, file, key),
        max_age_s=limits.max_age_s,
        max_ahead_s=limits.max_ahead_s,
        hold_s=limits.hold_s,
        max_per_s=limits.max_per_s,
    )
