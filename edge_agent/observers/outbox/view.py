"""Inspect an outbox read-only: what waits in it; an agent may be using it at the same time."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from edge_agent.errors import ConfigError, FatalError, RetryableError
from edge_agent.observers.outbox.file import EVERY_TABLE, OutboxLock, is_broken
from edge_agent.observers.outbox.record import RecordKind
from edge_agent.observers.outbox.status import explain
from edge_agent.observers.outbox.store import KindCounts
from edge_agent.runtime.files import check_no_pipe

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class OutboxView:
    """Contents of an outbox. `held` means that an agent is using it; `oldest_ms` is in ms since 1970."""

    path: Path
    exists: bool
    held: bool
    file_bytes: int
    counts: dict[RecordKind, KindCounts]
    oldest_ms: int | None
    dead_reasons: dict[str, int]
    set_aside: tuple[Path, ...]

    @property
    def waiting(self) -> int:
        """Number of messages that wait for the uplink."""
        return sum(count.rows for count in self.counts.values())


def inspect_outbox(path: Path) -> OutboxView:
    """Inspect the outbox at `path`, which need not exist. Raises FatalError if it is damaged or not an outbox."""
    broken = sorted(path.parent.glob(f"{path.name}.broken-*"))
    aside = tuple(found for found in broken if not found.name.endswith(("-wal", "-shm")))
    if not path.exists():
        return OutboxView(path, False, False, 0, {}, None, {}, aside)
    try:
        check_no_pipe(path)
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, timeout=_TIMEOUT_S)
        try:
            return _read(connection, path, aside)
        finally:
            connection.close()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", remedy="set kafka.outbox.path") from None
    except sqlite3.Error as error:
        if is_broken(error):
            raise FatalError(
                f"{path} is damaged",
                remedy="the agent sets it aside at its next start; `sqlite3 FILE .recover` reads it",
            ) from None
        words, remedy = explain(error)
        raise RetryableError(f"{path} cannot be read: {words}", remedy=remedy) from None


def _read(connection: sqlite3.Connection, path: Path, aside: tuple[Path, ...]) -> OutboxView:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables >= EVERY_TABLE:
        raise FatalError(f"{path} is not an outbox", remedy="name the agent's outbox in kafka.outbox.path")
    columns = "kind, rows, bytes, appended, sent, evicted, dead"
    counts = {
        RecordKind(kind): KindCounts(*numbers)
        for kind, *numbers in connection.execute(f"SELECT {columns} FROM tally")  # noqa: S608 - column names
    }
    ages = [connection.execute(f"SELECT at_ms FROM {kind} ORDER BY seq LIMIT 1").fetchone() for kind in RecordKind]  # noqa: S608
    reasons = dict(connection.execute("SELECT reason, count(*) FROM dead GROUP BY reason"))
    return OutboxView(
        path=path,
        exists=True,
        held=_held(path),
        file_bytes=sum(part.stat().st_size for part in (path, Path(f"{path}-wal")) if part.exists()),
        counts=counts,
        oldest_ms=min((age[0] for age in ages if age), default=None),
        dead_reasons=reasons,
        set_aside=aside,
    )


def _held(path: Path) -> bool:
    lock = OutboxLock(path)
    try:
        lock.acquire()
    except RetryableError:
        return True
    except OSError:
        return False
    lock.release()
    return False
