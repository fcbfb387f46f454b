"""The rules of a channel as the settings give them: its own token, and the limits that all channels share.

Knows the settings. Knows nothing of channels.
"""

from pathlib import Path

from pydantic import SecretStr

from edge_agent.commands.judge import Rules
from edge_agent.config import Commands, read_secret


def read_rules(limits: Commands, token: SecretStr | None, file: Path | None, key: str) -> Rules:
    """Return what commands have to fulfil; the token is `token`, or what stands in `file` now.

    `key` names the setting of the file. Raises ConfigError when the file cannot be read.
    """
    return Rules(
        read_secret(token, file, key),
        max_age_s=limits.max_age_s,
        max_ahead_s=limits.max_ahead_s,
        hold_s=limits.hold_s,
        max_per_s=limits.max_per_s,
    )
