"""Log lines as fields of the systemd journal, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).

A key becomes a field in capitals with the prefix EDGE_AGENT_; for the journal's own fields (MESSAGE, PRIORITY,
CODE_FILE, ...) those are used.
"""

import json
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import structlog

SOCKET = "/run/systemd/journal/socket"
PREFIX = "EDGE_AGENT_"

_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""Levels of syslog.h."""

_STANDARD = {"pathname": "CODE_FILE", "lineno": "CODE_LINE", "func_name": "CODE_FUNC"}


def goes_to_journal(environ: Mapping[str, str]) -> bool:
    """Return whether stderr is the journal: systemd passes the stream's device and inode in JOURNAL_STREAM."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


class Journal:
    """Sends log lines to the journal; usable as structlog's last processor."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Send a line and drop it, or return it for the next processor where the journal refuses it."""
        if self.send(event):
            raise structlog.DropEvent
        return event

    def send(self, event: Mapping[str, Any]) -> bool:
        """Send a line without blocking; False where the journal refuses it."""
        data = b"".join(_line(name, value) for name, value in fields(event))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(data, self._path)
        except OSError:
            return False
        return True


def fields(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the journal's fields for a line; MESSAGE repeats them as text."""
    own = {key: value for key, value in event.items() if key not in {"event", "level", *_STANDARD}}
    pairs = "".join(f" {key}={_text(value)}" for key, value in own.items() if key != "exception")
    yield "MESSAGE", f"{event.get('event', '')}{pairs}"
    yield "PRIORITY", str(_PRIORITIES.get(str(event.get("level", "info")), 6))
    yield "SYSLOG_IDENTIFIER", "edge-agent"
    yield f"{PREFIX}EVENT", str(event.get("event", ""))
    for key, name in _STANDARD.items():
        if key in event:
            yield name, str(event[key])
    for key, value in own.items():
        yield _name(key), _text(value)


def _name(key: str) -> str:
    return (PREFIX + re.sub(r"[^A-Z0-9]", "_", key.upper()))[:64]  # the journal rejects longer names


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _line(name: str, value: str) -> bytes:
    """Encode a field: NAME=value, or with the length first where the value contains line feeds."""
    # Longer values are truncated: a datagram that does not fit the socket's buffer would be lost.
    data = value.encode(errors="replace")[:100_000]
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
