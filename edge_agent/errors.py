"""Every failure the agent can name: one base, one class per remedy, each carrying data.

Knows what a person or program should do about a failure and with which exit code a command ends on it.
Knows nothing of where failures come from.
"""

from typing import Any, ClassVar


class EdgeAgentError(Exception):
    """A failure told in one line: what happened, and what to do.

    Args:
        message: what happened, in a sentence without a full stop.
        remedy: what the reader should do next; empty where `message` already says it.
        data: facts for logs and events (paths, values, codes).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.data = data

    def __str__(self) -> str:
        """One line: the message, and the remedy behind it."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class RetryableError(EdgeAgentError):
    """The world may mend this by itself: try again (camera unplugged, broker away, hub out of range)."""


class UsageError(EdgeAgentError):
    """The command was called with words that do not fit: correct the call. Ends a command with exit 2."""

    exit_code = 2


class ConfigError(EdgeAgentError):
    """A file of ours or the user's must be corrected first: settings, sign rules, model. Ends a command with exit 78.

    78 is EX_CONFIG of sysexits.h; the systemd unit does not restart on it.
    """

    exit_code = 78


class FatalError(EdgeAgentError):
    """Nothing to retry and nothing to configure: give up, safely. Ends a command with exit 1."""
