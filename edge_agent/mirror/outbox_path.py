"""Where the outbox lies and how much it may hold, by the settings.

Knows settings and the state folder. Knows nothing of SQLite.
"""

from collections.abc import Mapping
from pathlib import Path

from edge_agent.config import Kafka, Settings
from edge_agent.mirror.outbox_store import Budget
from edge_agent.resources import state_dir


def budget_of(settings: Kafka) -> Budget:
    """Return the outbox's budgets in its own units."""
    outbox = settings.outbox
    return Budget(outbox.max_events_mb * 1_000_000, outbox.max_events_h, outbox.max_images_mb * 1_000_000)


def outbox_path(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return where the outbox lies: where the settings say, else in the state folder."""
    if settings.kafka.outbox.path is not None:
        return settings.kafka.outbox.path
    return (settings.state.directory or state_dir(environ)) / "outbox.db"
