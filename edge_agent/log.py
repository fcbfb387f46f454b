"""Structured lines on stderr: for people where it is a terminal, JSON where it is not.

Knows structlog. Knows nothing of what is logged.
"""

import logging
import sys
from typing import Any, TextIO

import structlog


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process, to stderr or another `stream`.

    `form` is `console`, `json` or `auto`: by whether the stream is a terminal.
    """
    stream = stream or sys.stderr
    for_people = form == "console" or (form == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if for_people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if for_people else "iso", utc=not for_people),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
