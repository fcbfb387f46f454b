"""Structured logging to stderr: text on a terminal, fields in the systemd journal, else JSON.

Comes in: structlog events from any thread. Goes out: one line each, written by the calling thread, which never waits
for the journal.
"""

import logging
import os
import sys
from typing import Any, TextIO

import structlog

from edge_agent.runtime.log.journal import Journal, goes_to_journal


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process, to stderr or another `stream`.

    `form` is `console`, `json` or `auto`, which takes `console` on a terminal, else JSON; where stderr goes to the
    systemd journal, `auto` sends fields to it instead.
    """
    to_journal = stream is None and form == "auto" and goes_to_journal(os.environ)
    stream = stream or sys.stderr
    for_people = form == "console" or (form == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *(_for_journal(stream) if to_journal else _for_stream(stream, for_people=for_people)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def _for_stream(stream: TextIO, *, for_people: bool) -> list[Any]:
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if for_people else structlog.processors.JSONRenderer()
    )
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if for_people else "iso", utc=not for_people),
        structlog.processors.format_exc_info,
        renderer,
    ]


def _for_journal(stream: TextIO) -> list[Any]:
    """Return processors that send a line to the journal, or to the stream as JSON where the journal refuses it."""
    parameter = structlog.processors.CallsiteParameter
    return [
        structlog.processors.format_exc_info,
        structlog.processors.CallsiteParameterAdder(
            [parameter.PATHNAME, parameter.LINENO, parameter.FUNC_NAME], additional_ignores=[__name__]
        ),
        Journal(),
        *_for_stream(stream, for_people=False),
    ]


def failure(line: str) -> None:
    """Report why the process ends, to the journal as an error or else to stderr, whether or not logging is set up."""
    if goes_to_journal(os.environ) and Journal().send({"event": line, "level": "error"}):
        return
    sys.stderr.write(f"edge-agent: {line}\n")


__all__ = ["configure", "failure", "goes_to_journal"]
