"""Whether the train obeys a command: pure functions, with clocks, token and history as arguments.

A command that only stops is obeyed from any sender and however it arrives. Every other one needs the command token,
an id that was not used before and the time at which it was given; a retained copy is refused, since it is old.
"""

import hmac
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from edge_agent.config import CommandSettings, read_secret
from edge_agent.control.commands.model import Code, Command, Refusal, Verb

MAX_IMAGES_S = 300.0
"""Pictures can be asked for this long at once."""

_NO_IMAGES = "pictures on request go out by MQTT; Kafka gets every one where kafka.images is set"


@dataclass(frozen=True, slots=True)
class CommandRules:
    """What the commands of a channel have to fulfil.

    `max_age_s` and `max_ahead_s` allow for the way here and for clocks that differ. For `hold_s` after a stop, nothing
    that moves the train is obeyed: what was under way when it came is too late. More than `max_per_s` commands with the
    token within a second are a flood, and none of it is obeyed until it ends. `images` is whether pictures can be asked
    for by this channel.
    """

    token: SecretStr | None
    max_age_s: float = 10.0
    max_ahead_s: float = 5.0
    hold_s: float = 1.0
    max_per_s: int = 20
    images: bool = True


@dataclass(frozen=True, slots=True)
class CommandHistory:
    """What went before: ids that were obeyed, the age of the agent and of the last stop, commands in this second.

    `recent` counts the commands that showed the token, this one included.
    """

    ids: Container[str] = frozenset()
    up_s: float = float("inf")
    since_stop_s: float = float("inf")
    recent: int = 1


def check_rules(command: Command, now_unix_s: float, rules: CommandRules, history: CommandHistory) -> Refusal | None:
    """Return why the train does not obey, None where it does; `now_unix_s` is its wall clock, in seconds since 1970."""
    if command.stops:
        return None
    # What is wrong beside the token is said only to a sender who has shown it.
    return (
        command.malformed
        or check_sender(command, rules)
        or _check_pace(rules, history)
        or _check_time(command, now_unix_s, rules, history)
        or _check_id(command, history)
        or _check_value(command, rules)
    )


def check_sender(command: Command, rules: CommandRules) -> Refusal | None:
    """Return why the sender may command no more than a stop, None where the sender may."""
    if command.retained:
        return Refusal(Code.RETAINED, "a retained command is not obeyed; send it without the retain flag")
    if command.vouched:
        return None
    if rules.token is None:
        return Refusal(Code.NO_TOKEN_SET, "the train has no command token and obeys only stops; set one on the train")
    if command.token is None:
        return Refusal(Code.NO_TOKEN, "the command has no token; put the train's into token")
    if not hmac.compare_digest(_bytes(command.token), _bytes(rules.token.get_secret_value())):
        return Refusal(Code.WRONG_TOKEN, "the command's token is not the train's")
    return None


def _check_pace(rules: CommandRules, history: CommandHistory) -> Refusal | None:
    if history.recent > rules.max_per_s:
        return Refusal(Code.TOO_MANY, f"more than {rules.max_per_s} commands came in a second; send fewer")
    if history.since_stop_s < rules.hold_s:
        return Refusal(
            Code.STOPPED, f"a stop came {history.since_stop_s:.1f} s ago; wait {rules.hold_s:g} s after a stop"
        )
    return None


def _check_time(command: Command, now_unix_s: float, rules: CommandRules, history: CommandHistory) -> Refusal | None:
    if command.issued_unix_s is None:
        return Refusal(Code.NO_TIME, "the command does not say when it was given; put the time into issued_at")
    age_s = now_unix_s - command.issued_unix_s
    clock = f"the train's clock shows {_text(now_unix_s)}, compare it with yours"
    if age_s > rules.max_age_s:
        return Refusal(Code.STALE, f"given {age_s:.1f} s ago, {rules.max_age_s:g} s are allowed; {clock}")
    if age_s < -rules.max_ahead_s:
        return Refusal(Code.EARLY, f"given {-age_s:.1f} s in the future, {rules.max_ahead_s:g} s are allowed; {clock}")
    if age_s > history.up_s:
        return Refusal(Code.STALE, f"given {age_s:.1f} s ago, before the agent was started; {clock}")
    return None


def _check_id(command: Command, history: CommandHistory) -> Refusal | None:
    if not command.command_id:
        return Refusal(Code.NO_ID, "the command has no id; give each one an id of its own")
    if command.command_id in history.ids:
        return Refusal(Code.REPLAYED, "a command with this id was authorized before; give each one an id of its own")
    return None


def _check_value(command: Command, rules: CommandRules) -> Refusal | None:
    power_percent, duration_s = command.power_percent, command.duration_s
    match command.verb:
        case Verb.POWER if power_percent is None or not 1 <= power_percent <= 100:
            return Refusal(Code.VALUE, "power_percent has to be a whole number from 1 to 100")
        case Verb.IMAGE if not rules.images:
            return Refusal(Code.VALUE, _NO_IMAGES)
        case Verb.IMAGE if duration_s is None or not 0 < duration_s <= MAX_IMAGES_S:
            return Refusal(Code.VALUE, f"duration_s has to be more than 0 and at most {MAX_IMAGES_S:g}")
        case Verb.REARM if not command.reason:
            return Refusal(Code.VALUE, "a re-arm needs a reason in words; put it into reason")
        case _:
            return None


def _bytes(text: str) -> bytes:
    """Return the text's bytes; JSON may carry half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")


def _text(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_rules(limits: CommandSettings, token: SecretStr | None, file: Path | None, key: str) -> CommandRules:
    """Return what commands have to fulfil; the token is `token`, or what `file` holds now.

    `key` names the setting of the file. Raises ConfigError when the file cannot be read.
    """
    return CommandRules(
        read_secret(token, file, key),
        max_age_s=limits.max_age_s,
        max_ahead_s=limits.max_ahead_s,
        hold_s=limits.hold_s,
        max_per_s=limits.max_per_s,
    )
