"""The outbox's statistics, and the faults that it reports when the disk or a budget causes trouble."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import EdgeAgentError
from edge_agent.faults import OUTBOX_EVICTED, OUTBOX_SET_ASIDE, OUTBOX_SLOW, OUTBOX_STUCK, FaultReporter
from edge_agent.observers.outbox.record import RecordKind
from edge_agent.observers.outbox.store import KindCounts

# In a power cut, a commit's time of events is lost. A good SD card needs 5 to 50 ms.
_SLOW_MS = 400.0
_IN_A_ROW = 2  # a single slow commit is a card's garbage collection

_EXPLANATIONS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space"),
    sqlite3.SQLITE_BUSY: ("another program holds it", "end the program that has the outbox open"),
    sqlite3.SQLITE_LOCKED: ("another program holds it", "end the program that has the outbox open"),
    sqlite3.SQLITE_READONLY: ("it is not writable", "allow the agent's user to write the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "allow the agent's user to write the file and its folder"),
    sqlite3.SQLITE_IOERR: ("the disk has failed", "check the disk and the kernel's log"),
}


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """Statistics of the outbox after its last commit.

    `counts` count over the file's life; `commits` and `failed` (events that could not be encoded) since the start.
    """

    counts: dict[RecordKind, KindCounts] = field(default_factory=dict)
    oldest_ms: int | None = None
    pending: int = 0
    commits: int = 0
    commit_ms: float = 0.0
    failed: int = 0
    stuck_by: str = ""
    durable: bool = True
    last_seq: int = 0


class OutboxFaultReporter:
    """Reports the outbox's faults: stuck, slow, damaged, or short of its budget.

    `stuck_by` is why nothing can be written now, in words; empty where it can.
    """

    def __init__(self, faults: FaultReporter) -> None:
        self.stuck_by = ""
        self._faults = faults
        self._evicted = 0
        self._contrary = 0

    def report_stuck(self, error: Exception) -> None:
        """Report why nothing can be written now."""
        self.stuck_by, remedy = explain(error)
        self._faults.report(
            OUTBOX_STUCK, f"the outbox waits: {self.stuck_by}; events are kept in memory meanwhile", remedy
        )

    def clear_stuck(self) -> None:
        """Note that the outbox can be written."""
        self.stuck_by = ""
        self._faults.clear(OUTBOX_STUCK)

    def report_commit_time(self, commit_ms: float) -> None:
        """Report a disk that has become slow, or fast again."""
        slow = self._faults.since_s(OUTBOX_SLOW) is not None
        self._contrary = self._contrary + 1 if (commit_ms >= _SLOW_MS) is not slow else 0
        if self._contrary < _IN_A_ROW:
            return
        self._contrary = 0
        if slow:
            self._faults.clear(OUTBOX_SLOW)
        else:
            self._faults.report(OUTBOX_SLOW, f"the disk is slow: a commit took {commit_ms:.0f} ms")

    def report_set_aside(self, where: Path) -> None:
        """Report where a damaged outbox is now."""
        message = f"the outbox was damaged and set aside as {where.name}; a new one is in use"
        self._faults.report(OUTBOX_SET_ASIDE, message, f"recover it with `sqlite3 {where.name} .recover`, or delete it")

    def report_evicted(self, rows: int) -> None:
        """Count evictions and report them, those of several seconds in one."""
        self._evicted += rows
        message = f"{self._evicted} messages that waited for the uplink were dropped: their budget is used up"
        if self._evicted and self._faults.report(OUTBOX_EVICTED, message):
            self._evicted = 0


def explain(error: Exception) -> tuple[str, str]:
    """Return what happened and the remedy, by the error's code, never by its text."""
    if isinstance(error, EdgeAgentError):
        return error.message, error.remedy
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _EXPLANATIONS:
        return _EXPLANATIONS[code]
    if isinstance(error, OSError):
        return f"its folder cannot be used ({error.strerror})", "allow the agent's user to write the folder"
    return f"SQLite refuses ({getattr(error, 'sqlite_errorname', type(error).__name__)})", "check the disk"
