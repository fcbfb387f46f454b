"""Collects what TensorRT says to its logger: it answers a failure with None, and tells the reason only there.

Knows TensorRT's severities. Knows nothing of what was tried.
"""

from typing import Any

_KEPT = 20
_LONGEST = 300


class Journal:
    """The last complaints of TensorRT; `logger` is what its objects take. Lines may come from several threads.

    Keep the journal for as long as any object that was given its logger.
    """

    def __init__(self, trt: Any) -> None:
        self._lines: list[str] = []
        self.logger = _make_logger(trt, self._hear)

    def _hear(self, text: str) -> None:
        self._lines.append(text)
        del self._lines[:-_KEPT]

    def clear(self) -> None:
        """Forget what was said so far."""
        self._lines.clear()

    def reason(self) -> str:
        """Return the first complaint since the last `clear` in one line: those after it are mostly its consequences."""
        lines = [" ".join(line.split()) for line in self._lines]
        return lines[0][:_LONGEST] if lines else "TensorRT gave no reason"


def _make_logger(trt: Any, hear: Any) -> Any:
    severity = trt.ILogger.Severity
    severe = (severity.INTERNAL_ERROR, severity.ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]  # its base comes with the library
        """Hands errors on and drops the rest."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            """Take one line of TensorRT's."""
            if level in severe:
                hear(message)

    return Logger()
