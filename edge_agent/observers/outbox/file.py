"""The outbox's SQLite file: open it, create its tables, set a damaged one aside, and lock it for one process."""

import fcntl
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_agent.errors import ConfigError, RetryableError

FORMAT = 1
MEMORY = Path(":memory:")

_MAX_WAL_BYTES = 16_000_000
_CACHE_KIB = 256  # rows are written and read once: SQLite's default of 2 MiB would fill up in an outage for nothing
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE image (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE telemetry (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE safety (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE dead (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, at_ms INTEGER NOT NULL, reason TEXT NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE tally (kind TEXT PRIMARY KEY, rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
    appended INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0, evicted INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
INSERT INTO tally (kind) VALUES ('image'), ('telemetry'), ('safety');
"""
EVERY_TABLE = frozenset({"meta", "image", "telemetry", "safety", "dead", "tally"})
"""The tables of an outbox: a database without them is not an outbox."""

_META_ROWS = 2


@dataclass(frozen=True, slots=True)
class OpenedOutbox:
    """An open outbox file; `set_aside` is where a damaged predecessor was moved, None if there was none."""

    connection: sqlite3.Connection
    dictionary: bytes
    next_seq: int
    set_aside: Path | None


class OutboxLock:
    """Locks the outbox for one process; others get RetryableError."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock or raise RetryableError at once; raises OSError if the folder is not writable."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise RetryableError(
                f"another program holds the outbox {self._path.with_suffix('')}",
                remedy="stop the other agent, or give each one an outbox of its own (kafka.outbox.path)",
            ) from None
        self._file = file

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_broken(error: sqlite3.Error) -> bool:
    """Return whether the file itself is damaged, as opposed to busy, full or inaccessible."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _BROKEN


def open_outbox(path: Path, dictionary: bytes) -> OpenedOutbox:
    """Open the outbox at `path` (MEMORY keeps it in memory), or create it.

    A file that is damaged or not a database is renamed, never deleted. `dictionary` is stored in a new file; an old one
    keeps its own. Raises sqlite3.Error if the file cannot be opened now, ConfigError for a file of a newer version or
    of another program.
    """
    aside: Path | None = None
    try:
        connection = _connect(path)
    except sqlite3.Error as error:
        if not is_broken(error):
            raise
        aside = set_aside(path)
        connection = _connect(path)
    kept, next_seq = _prepare(connection, dictionary)
    return OpenedOutbox(connection, kept, next_seq, aside)


def set_aside(path: Path) -> Path:
    """Rename a damaged outbox with its journal; return its new name. Raises OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = path.with_name(f"{path.name}.broken-{stamp}")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.broken-{stamp}-{count}")
    for suffix in ("-wal", "-shm", ""):  # the database last: after a crash in between it is found and set aside again
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(target.with_name(target.name + suffix))
    return target


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
    try:
        _check(connection, path)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut: the train runs on a battery
        connection.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless the file is an outbox or empty, before anything is written to it."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables:
        return
    if not tables >= EVERY_TABLE:
        raise ConfigError(f"{path} is a database, but not an outbox", remedy="name another file in kafka.outbox.path")
    if _size(path) < 64_000_000:  # about 0.2 s; damage in larger files is found when a damaged row is read
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise damaged(str(verdict))
    if connection.execute("SELECT count(*) FROM meta").fetchone()[0] < _META_ROWS:
        raise damaged("the outbox has lost its own settings")


def damaged(reason: str) -> sqlite3.DatabaseError:
    """Return an error of a damaged file that `is_broken` recognises."""
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error


def _prepare(connection: sqlite3.Connection, dictionary: bytes) -> tuple[bytes, int]:
    """Create missing tables; return the file's dictionary and its next sequence number."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        connection.close()
        raise ConfigError(
            f"the outbox was written by a newer version (format {version}, this version reads {FORMAT})",
            remedy="update edge-agent, or name another file in kafka.outbox.path",
        )
    if version == 0:
        # Seeded with the clock, in microseconds, so that sequences keep increasing when an outbox is lost: no train
        # counts a million events a second, so a new file always starts above where the old one was.
        seed = time.time_ns() // 1000
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT};")
        facts = (("next_seq", seed), ("dictionary", dictionary))
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts)
        connection.execute("COMMIT")
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    return bytes(meta["dictionary"]), int(meta["next_seq"])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
