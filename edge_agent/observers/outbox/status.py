"""What the outbox says about itself when the disk or a budget gives trouble.

Knows the words and when to say them. Knows nothing of what the outbox does about it.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import EdgeAgentError
from edge_agent.events import Severity
from edge_agent.faults import FaultReport
from edge_agent.observers.outbox.record import RecordKind
from edge_agent.observers.outbox.store import KindCounts

_TELL_EVERY_S = 10.0
_SLOW_MS = 400.0
"""A commit that takes as long loses that much of the train's last moments with the power; a good card needs 5 to 50."""
_IN_A_ROW = 2  # one slow commit is a card that tidies up

_WORDS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space"),
    sqlite3.SQLITE_BUSY: ("another program holds it", "end the program that has the outbox open"),
    sqlite3.SQLITE_LOCKED: ("another program holds it", "end the program that has the outbox open"),
    sqlite3.SQLITE_READONLY: ("it may not be written", "allow the agent's user to write the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "allow the agent's user to write the file and its folder"),
    sqlite3.SQLITE_IOERR: ("the disk has failed", "check the disk and the kernel's log"),
}


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """What the outbox knows of itself after its last commit.

    The tallies count over the file's life; `commits` and `failed` (events that could not be encoded) since the start.
    """

    tallies: dict[RecordKind, KindCounts] = field(default_factory=dict)
    oldest_ms: int | None = None
    pending: int = 0
    commits: int = 0
    commit_ms: float = 0.0
    failed: int = 0
    stuck_by: str = ""
    durable: bool = True
    last_seq: int = 0


class OutboxFaultReporter:
    """Tells each trouble once when it comes and once when it is over, and sums up what comes often."""

    def __init__(self, tell: Callable[[FaultReport], None], clock: Callable[[], float]) -> None:
        self.stuck_by = ""
        self._tell = tell
        self._clock = clock
        self._evicted = 0
        self._told_s = -_TELL_EVERY_S
        self._slow = False
        self._others = 0

    def stuck(self, error: Exception) -> None:
        """Say why nothing can be written now."""
        words, remedy = explain(error)
        if words != self.stuck_by:
            self.stuck_by = words
            message = f"the outbox waits: {words}; events are kept in memory meanwhile"
            self._tell(FaultReport("outbox_stuck", message, remedy, Severity.DEGRADED))

    def free(self) -> None:
        """Say that writing works again, where it did not."""
        if self.stuck_by:
            self.stuck_by = ""
            self._tell(FaultReport("outbox_stuck", active=False))

    def timed(self, commit_ms: float) -> None:
        """Say when the disk has become slow, and when it is quick again."""
        self._others = self._others + 1 if (commit_ms >= _SLOW_MS) is not self._slow else 0
        if self._others < _IN_A_ROW:
            return
        self._slow, self._others = not self._slow, 0
        message = f"the disk is slow: {commit_ms:.0f} ms until it has written down what happened"
        remedy = "end what else writes to it, or put kafka.outbox.path on a quicker disk"
        slow = FaultReport("outbox_slow", message, remedy, Severity.DEGRADED)
        self._tell(slow if self._slow else FaultReport("outbox_slow", active=False))

    def set_aside(self, where: Path) -> None:
        """Say where a damaged outbox went."""
        message = f"the outbox was damaged and set aside as {where.name}; a new one is in use"
        remedy = f"recover it with `sqlite3 {where.name} .recover`, or delete it"
        self._tell(FaultReport("outbox_set_aside", message, remedy))

    def evicted(self, rows: int) -> None:
        """Count evictions and tell of them, in one notice for several seconds of them."""
        self._evicted += rows
        if self._evicted and self._clock() - self._told_s >= _TELL_EVERY_S:
            message = f"{self._evicted} messages that waited for the uplink were dropped: their budget is used up"
            remedy = "mend the uplink, or raise kafka.outbox.max_images_mb, max_events_mb or max_events_h"
            self._tell(FaultReport("outbox_evicted", message, remedy))
            self._told_s = self._clock()
            self._evicted = 0


def explain(error: Exception) -> tuple[str, str]:
    """Return what happened and the remedy, in words; by the error's code, never by its text."""
    if isinstance(error, EdgeAgentError):
        return error.message, error.remedy
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _WORDS:
        return _WORDS[code]
    if isinstance(error, OSError):
        return f"its folder cannot be used ({error.strerror})", "allow the agent's user to write the folder"
    return f"SQLite refuses ({getattr(error, 'sqlite_errorname', type(error).__name__)})", "check the disk"
