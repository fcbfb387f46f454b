"""Loads structlog without rich. Knows both libraries, and nothing of what is logged."""

import sys


def load_structlog() -> None:
    """Load structlog as it is where rich is not installed.

    rich takes as long to load as numpy, and structlog wants it only for tracebacks of a form that our lines do not have
    (`log` has them written as plain text). Our own tables load rich when they are printed.
    """
    if {"rich", "structlog"} & sys.modules.keys():
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's way to say that there is no such module
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
