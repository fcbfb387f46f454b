"""Bytes -> Request: how a command is written, for every channel that carries bytes.

Knows JSON and the bare words that home automation sends (`ON`, `start`). Judges nothing: what a stop looks like does
not matter, and everything else is checked by judge.py.

A command's body is a JSON object. Its keys: `token`, `id`, `issued_at` (RFC 3339 with its offset, or seconds since
1970), `reason`, `power_percent`, `duration_s`, `by` (who gave it, as the sender says), and `value` for what is switched
(`arm`: on or off; `capture`: start or stop).
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge_agent.control.commands.model import STOPPING, Code, CommandRequest, Refused, Verb

MAX_BYTES = 4096
"""A longer body is not read; a stop is obeyed without reading it."""

_MAX_ID = 128
_MAX_REASON = 200

_SWITCHES: dict[str, dict[str, Verb]] = {
    "arm": {"on": Verb.ARM, "true": Verb.ARM, "": Verb.ARM, "off": Verb.DISARM, "false": Verb.DISARM},
    "capture": {
        "start": Verb.CAPTURE_START,
        "on": Verb.CAPTURE_START,
        "stop": Verb.CAPTURE_STOP,
        "off": Verb.CAPTURE_STOP,
    },
}

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


def parse_command(name: str, body: bytes, *, retained: bool = False) -> CommandRequest | Refused:
    """Read the command `name`, one of NAMES or a Verb; Refused where it cannot be read and is no stop."""
    document = _document(body)
    switch = _SWITCHES.get(name)
    if switch is None:
        found = _VERBS.get(name)
        if found is None:
            return Refused(Code.MALFORMED, f"there is no command of this name; there are: {', '.join(NAMES)}")
        verb = found
    else:
        chosen = switch.get(_word(document, body))
        if chosen is None:
            words = " or ".join(word for word in switch if word and word not in ("true", "false"))
            return Refused(Code.MALFORMED, f"'{name}' needs a value: {words}")
        verb = chosen
    if verb in STOPPING:
        known = document or {}
        command_id, by = _text(known, "id", _MAX_ID), _text(known, "by", _MAX_ID)
        return CommandRequest(verb, retained, command_id=command_id, reason=_reason(known), by=by)
    if document is None:
        return Refused(Code.MALFORMED, f"the body has to be a JSON object of at most {MAX_BYTES} bytes")
    return _request(verb, document, retained=retained)


def _document(body: bytes) -> Mapping[str, Any] | None:
    if len(body) > MAX_BYTES:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _word(document: Mapping[str, Any] | None, body: bytes) -> str:
    """Return what a switch is set to: the value of the document, or the whole body where it is a bare word."""
    if document is None:
        return body[:16].decode(errors="replace").strip().strip('"').lower()
    value = document.get("value", document.get("command", ""))
    return str(value).lower() if isinstance(value, str | bool) else "?"


def _request(verb: Verb, document: Mapping[str, Any], *, retained: bool) -> CommandRequest | Refused:
    issued_at = document.get("issued_at")
    issued_unix_s = parse_unix_s(issued_at)
    if issued_at is not None and issued_unix_s is None:
        return Refused(Code.MALFORMED, "issued_at has to be an RFC 3339 time with its offset, or seconds since 1970")
    token, power, duration = document.get("token"), document.get("power_percent"), document.get("duration_s")
    return CommandRequest(
        verb,
        retained,
        token=token if isinstance(token, str) else None,
        command_id=_text(document, "id", _MAX_ID),
        issued_unix_s=issued_unix_s,
        power_percent=power if isinstance(power, int) and not isinstance(power, bool) else None,
        duration_s=_number(duration),
        reason=_reason(document),
        by=_text(document, "by", _MAX_ID),
    )


def parse_unix_s(value: object) -> float | None:
    """Return a moment in seconds since 1970; None for anything that is no moment."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return moment.timestamp() if moment.tzinfo is not None else None
        except (ValueError, OverflowError):
            return None
    return _number(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(document: Mapping[str, Any], key: str, longest: int) -> str | None:
    """Return a text of one line; None where it is missing, empty, too long or no text."""
    value = document.get(key)
    return value if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() else None


def _reason(document: Mapping[str, Any]) -> str:
    value = document.get("reason")
    if not isinstance(value, str):
        return ""
    return "".join(sign if sign.isprintable() else " " for sign in value[:_MAX_REASON]).strip()
