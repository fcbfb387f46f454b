"""Structured logging to stderr: text on a terminal, fields in the systemd journal, else JSON.

Comes in: structlog events from any thread. Goes out: one line each, written by the calling thread, which never waits
for the journal. In text, what is not printable is replaced: a message may hold words of a broker or a camera.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from edge_agent.runtime.log.journal import Journal, goes_to_journal


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process, to stderr or another `stream`.

    `form` is `console`, `json` or `auto`, which takes `console` on a terminal, else JSON; where stderr goes to the
    systemd journal, `auto` sends fields to it instead.
    """
    to_journal = stream is None and form == "auto" and goes_to_journal(os.environ)
    terminal = (stream or sys.stderr).isatty()
    for_people = form == "console" or (form == "auto" and terminal)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *(_for_journal() if to_journal else _for_stream(for_people=for_people, colours=terminal)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        # Looked up for each line: while a live display has the terminal, sys.stderr is what prints above it.
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def printable(text: str) -> str:
    """Return a text with a space for each character that a terminal would obey or break a line at."""
    return "".join(character if character.isprintable() else " " for character in text)


def _for_stream(*, for_people: bool, colours: bool = False) -> list[Any]:
    if not for_people:
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        return [stamp, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        _only_printable,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer(colors=colours),
    ]


def _only_printable(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _for_journal() -> list[Any]:
    """Return processors that send a line to the journal, or to the stream as JSON where the journal refuses it."""
    parameter = structlog.processors.CallsiteParameter
    return [
        structlog.processors.format_exc_info,
        structlog.processors.CallsiteParameterAdder(
            [parameter.PATHNAME, parameter.LINENO, parameter.FUNC_NAME], additional_ignores=[__name__]
        ),
        Journal(),
        *_for_stream(for_people=False),
    ]


def failure(line: str) -> None:
    """Report why the process ends, to the journal as an error or else to stderr, whether or not logging is set up."""
    if goes_to_journal(os.environ) and Journal().send({"event": line, "level": "error"}):
        return
    sys.stderr.write(f"edge-agent: {line}\n")


__all__ = ["configure", "failure", "goes_to_journal", "printable"]
