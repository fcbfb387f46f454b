"""Structured lines on stderr: for people where it is a terminal, JSON where it is not, fields where it is the journal.

Knows structlog. Knows nothing of what is logged.
"""

import logging
import os
import sys
from typing import Any, TextIO

import structlog

from edge_agent.runtime.log.journal import Journal, goes_to_journal


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process, to stderr or another `stream`.

    `form` is `console`, `json` or `auto`: by whether the stream is a terminal. With `auto`, what would only reach the
    systemd journal as text is sent to it as fields.
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
    """Return what sends a line's fields; a line that the journal does not take goes on to the stream as JSON."""
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
    """Tell a person, or the journal as an error, why the process ends; the stream is stderr, whatever was set up."""
    if goes_to_journal(os.environ) and Journal().send({"event": line, "level": "error"}):
        return
    sys.stderr.write(f"edge-agent: {line}\n")


__all__ = ["configure", "failure", "goes_to_journal"]
