"""Parse a channel's message into a command: one syntax for all channels.

The body is a JSON object with the keys `token`, `id`, `issued_at` (RFC 3339 with its offset, or seconds since 1970),
`reason`, `power_percent`, `duration_s`, `by` (who sends it), and `value` for what is switched (`arm`: on or off;
`capture`: start or stop). The bare words that home automation sends (`ON`, `start`) are read too. Whether the train
obeys is decided in rules.py.
"""

import codecs
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge_agent.control.commands.model import STOPPING, Code, Command, CommandMessage, Refusal, Verb

MAX_BYTES = 4096
"""A longer body is not read; a stop is obeyed without reading it."""

_MAX_TEXT = 128
_MAX_REASON = 200

# What datetime can hold: a fleet's console writes the time as text again.
_YEAR_1_UNIX_S, _YEAR_9999_UNIX_S = -62_135_596_800.0, 253_402_300_799.0

_SWITCHES: dict[str, dict[str, Verb]] = {
    "arm": {"on": Verb.ARM, "true": Verb.ARM, "": Verb.ARM, "off": Verb.DISARM, "false": Verb.DISARM},
    "capture": {
        "start": Verb.CAPTURE_START,
        "on": Verb.CAPTURE_START,
        "stop": Verb.CAPTURE_STOP,
        "off": Verb.CAPTURE_STOP,
    },
}

# Searched in what is no document, or too long to be read as one.
_SWITCHED = re.compile(rb'"(?:value|command)"\s{0,8}:\s{0,8}"?\s{0,8}(off|false|stop)\b', re.IGNORECASE)
_MAX_SEARCHED, _PIECE, _MAX_WORD = 1 << 20, 1 << 16, 64
_BLANKS = b' \t\r\n\0"'

SWITCHES = frozenset(_SWITCHES)
"""Names by which a command can both stop and not stop."""

NAMES: tuple[str, ...] = (
    Verb.STOP,
    Verb.EMERGENCY_STOP,
    Verb.DISARM,
    Verb.DRIVE,
    "arm",
    Verb.REARM,
    "capture",
    Verb.POWER,
    Verb.IMAGE,
)
"""Every name that a command can be sent by."""

_VERBS: dict[str, Verb] = {verb.value: verb for verb in Verb}


def parse_command(message: CommandMessage) -> Command:
    """Read a command; one that cannot be read and is no stop is `malformed`. Any bytes whatsoever are safe."""
    document = read_document(message.body) if isinstance(message.body, bytes) else message.body
    found = _verb(message, document)
    verb = found if isinstance(found, Verb) else None
    malformed = found if isinstance(found, Refusal) else None
    if verb is not None and verb not in STOPPING:
        malformed = _check_document(document)
    keys = document or {}
    token, power_percent = keys.get("token"), keys.get("power_percent")
    return Command(
        channel=message.channel,
        name=printable(message.name) or "",
        verb=verb,
        malformed=malformed,
        retained=message.retained,
        token=message.token or (token if isinstance(token, str) else None),
        vouched=message.vouched,
        sender=message.sender or printable(keys.get("by")) or printable(message.source),
        command_id=printable(keys.get("id")) or printable(message.message_id),
        issued_unix_s=parse_unix_s(message.issued_at if keys.get("issued_at") is None else keys["issued_at"]),
        power_percent=power_percent if isinstance(power_percent, int) and not isinstance(power_percent, bool) else None,
        duration_s=_number(keys.get("duration_s")),
        reason=_reason(keys.get("reason")),
    )


def read_document(body: bytes) -> Mapping[str, Any] | None:
    """Read a body that is a JSON object; None for anything else."""
    if len(body) > MAX_BYTES:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _verb(message: CommandMessage, document: Mapping[str, Any] | None) -> Verb | Refusal:
    switch = _SWITCHES.get(message.name)
    if switch is None:
        unknown = Refusal(Code.MALFORMED, f"there is no command of this name; there are: {', '.join(NAMES)}")
        return _VERBS.get(message.name, unknown)
    if document is None and isinstance(message.body, bytes):
        verb = _verb_of_text(message.body, switch)
    else:
        value = (document or {}).get("value", (document or {}).get("command", ""))
        verb = switch.get(str(value).strip().lower()) if isinstance(value, str | bool) else None
    words = " or ".join(word for word in switch if word and word not in ("true", "false"))
    return verb or Refusal(Code.MALFORMED, f"'{message.name}' needs a value: {words}")


def _verb_of_text(body: bytes, switch: Mapping[str, Verb]) -> Verb | None:
    """Return what a body that is no document switches to: it is a bare word, or is searched for one that stops."""
    word = body.strip(_BLANKS).removeprefix(codecs.BOM_UTF8).strip(_BLANKS)
    if len(word) <= _MAX_WORD and (verb := switch.get(word.decode(errors="replace").lower())) is not None:
        return verb
    if len(body) > 2 * _MAX_SEARCHED:  # or the next stop would wait for the search
        body = body[:_MAX_SEARCHED] + body[-_MAX_SEARCHED:]
    # In pieces, since a search keeps other threads from running.
    for start in range(0, len(body), _PIECE):
        for found in _SWITCHED.finditer(body, start, start + _PIECE + _MAX_WORD):
            verb = switch.get(found[1].decode().lower())
            if verb in STOPPING:
                return verb
    return None


def _check_document(document: Mapping[str, Any] | None) -> Refusal | None:
    if document is None:
        return Refusal(Code.MALFORMED, f"the body has to be a JSON object of at most {MAX_BYTES} bytes")
    issued_at = document.get("issued_at")
    if issued_at is not None and parse_unix_s(issued_at) is None:
        return Refusal(Code.MALFORMED, "issued_at has to be an RFC 3339 time with its offset, or seconds since 1970")
    return None


def parse_unix_s(value: object) -> float | None:
    """Return a moment in seconds since 1970; None for anything that is no moment."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return moment.timestamp() if moment.tzinfo is not None else None
        except (ValueError, OverflowError):
            return None
    unix_s = _number(value)
    return unix_s if unix_s is not None and _YEAR_1_UNIX_S <= unix_s <= _YEAR_9999_UNIX_S else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def printable(value: object) -> str | None:
    """Return a text of one line that may go into logs and replies; None where it is empty, too long or no text."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable() else None


def _reason(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(sign if sign.isprintable() else " " for sign in value[:_MAX_REASON]).strip()
