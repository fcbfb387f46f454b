"""The agent's exceptions: one base, and one class for each thing that a person or program can do about a failure.

A class also sets the exit code with which a command ends.
"""

from typing import Any, ClassVar


def install_remedy(extra: str) -> str:
    """Return how an extra of pyproject.toml is installed. The package index has no release of ours."""
    return f"run `pip install '.[{extra}]'` in the checkout, with the pip of the agent's environment"


class EdgeAgentError(Exception):
    """The base of all exceptions of the agent.

    Args:
        message: what happened, as a sentence without a full stop.
        remedy: what the reader should do next; empty where `message` already says it.
        data: for logs and events (paths, values, codes).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.data = data

    def __str__(self) -> str:
        """Return message and remedy in one line."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class RetryableError(EdgeAgentError):
    """It may work later: try again (camera unplugged, broker unreachable, hub out of range)."""


class UsageError(EdgeAgentError):
    """The command line is wrong: correct the call. Exit code 2."""

    exit_code = 2


class ConfigError(EdgeAgentError):
    """A file must be corrected first: settings, sign rules, model. Exit code 78.

    78 is EX_CONFIG in sysexits.h; the systemd unit does not restart the agent on it.
    """

    exit_code = 78


class FatalError(EdgeAgentError):
    """Neither a retry nor a setting helps: stop safely. Exit code 1."""
