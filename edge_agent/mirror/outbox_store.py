"""The outbox as a store of rows: append, read in order, acknowledge, evict, bury. One thread at a time.

Knows budgets and what goes first when there is no room. Knows nothing of threads, brokers or events.
"""

import heapq
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.mirror import outbox_schema
from edge_agent.mirror.outbox_change import Change, Tally
from edge_agent.mirror.record import Kind, Record, pack, unpack

_LIVE_IMAGES_BYTES = 2_000_000  # a few seconds of frames: what is on its way while the uplink holds
_MAX_DEAD_BYTES = 64_000_000
_VACUUM_PAGES = 256
_FRESH_ROWS = 50  # of one commit, kept for the uplink; more is a backlog, and that is read from the file
_SURE_BYTES = 256  # a row's body is its record with the names around its parts
_OLDEST = "SELECT min(at_ms) FROM ({})".format(  # noqa: S608 - an enum
    " UNION ALL ".join(f"SELECT * FROM (SELECT at_ms FROM {kind} ORDER BY seq LIMIT 1)" for kind in Kind)  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may wait. Events go only when they are older than `events_h` and need more than `events_bytes`."""

    events_bytes: int = 2_048_000_000
    events_h: float = 72.0
    images_bytes: int = 512_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A record at its place in the order."""

    seq: int
    record: Record


class Store:
    """An open outbox file. Every method may raise sqlite3.Error, and then nothing of its change has happened.

    Args:
        path: the SQLite file, or outbox_schema.MEMORY.
        budget: how much may wait.
        dictionary: what the rows of a new file have in common; see record.pack.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self, path: Path, budget: Budget, *, dictionary: bytes = b"", wall: Callable[[], float] = time.time
    ) -> None:
        opened = outbox_schema.open_outbox(path, dictionary)
        self.path = path
        self.set_aside = opened.set_aside
        self.next_seq = opened.next_seq
        self._connection = opened.connection
        self._dictionary = opened.dictionary
        self._budget = budget
        self._wall = wall
        self._handed_seq = 0
        self._fresh: list[Row] = []
        self._oldest_ms: int | None = None
        self._aged = False  # `_oldest_ms` is known
        columns = "kind, rows, bytes, appended, sent, evicted, dead"
        rows = self._connection.execute(f"SELECT {columns} FROM tally").fetchall()  # noqa: S608 - our own words
        self.tallies = {Kind(kind): Tally(*numbers) for kind, *numbers in rows}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def commit(self, records: Sequence[Record], acknowledged_seq: int | None = None) -> int:
        """Append `records` in their order and forget rows up to `acknowledged_seq`, in one transaction.

        Evicts what no longer fits; returns how many rows that were.
        """
        change = Change(self._connection, self.tallies)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if acknowledged_seq is not None:
                change.delete_up_to(acknowledged_seq, self.next_seq - 1)
            next_seq = self._append(change, records)
            evicted = self._evict(change)
            change.write(next_seq)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise
        first_seq, self.next_seq = self.next_seq, next_seq
        self.tallies = change.tallies
        few = records if not evicted and len(records) <= _FRESH_ROWS else ()
        self._fresh = [Row(seq, record) for seq, record in enumerate(few, first_seq)]
        self._aged = not evicted and sum(tally.rows for tally in self.tallies.values()) == len(records)
        if self._aged:
            self._oldest_ms = min((record.at_ms for record in records), default=None)
        return evicted

    def read(self, after_seq: int, max_rows: int, max_bytes: int) -> list[Row]:
        """Return rows behind `after_seq` in their order: at most `max_rows`, of about `max_bytes` together.

        The first one is returned whatever its size. Rows that were handed out are not evicted any more.
        """
        rows = self._take_fresh(after_seq, max_rows, max_bytes) or self._load(after_seq, max_rows, max_bytes)
        if rows:
            self._handed_seq = max(self._handed_seq, rows[-1].seq)
        return rows

    def _take_fresh(self, after_seq: int, max_rows: int, max_bytes: int) -> list[Row]:
        """Return the rows of the last commit, once, where they are all that is asked for; else nothing.

        An uplink that keeps up asks for just these, and the file need not be read.
        """
        fresh, self._fresh = self._fresh, []
        if not fresh or after_seq != fresh[0].seq - 1 or len(fresh) > max_rows:
            return []
        return fresh if sum(row.record.size for row in fresh) + _SURE_BYTES * len(fresh) <= max_bytes else []

    def _load(self, after_seq: int, max_rows: int, max_bytes: int) -> list[Row]:
        cursors = [self._rows(kind, after_seq, max_rows) for kind in Kind if self.tallies[kind].rows]
        rows: list[Row] = []
        for seq, at_ms, body, kind in heapq.merge(*cursors, key=lambda row: row[0]):
            max_bytes -= len(body)
            if rows and (max_bytes < 0 or len(rows) >= max_rows):
                break
            rows.append(Row(seq, self._unpack(kind, at_ms, body)))
        return rows

    def bury(self, seq: int, reason: str) -> None:
        """Move the row `seq` to the dead letters: it can never be sent, and must not hold up those behind it."""
        self._fresh, self._aged = [], False
        change = Change(self._connection, self.tallies)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            change.bury(seq, reason)
            change.trim_dead(_MAX_DEAD_BYTES)
            change.write(self.next_seq)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise
        self.tallies = change.tallies

    def give_back_space(self) -> None:
        """Return a few free pages to the file system; for moments when nothing waits."""
        self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")  # `execute` frees one page only

    def oldest_ms(self) -> int | None:
        """Return the time of the oldest row that waits, None where none does."""
        if not self._aged:
            self._oldest_ms, self._aged = self._connection.execute(_OLDEST).fetchone()[0], True
        return self._oldest_ms

    def _rows(self, kind: Kind, after_seq: int, limit: int) -> Iterator[tuple[int, int, bytes, Kind]]:
        """Yield rows of one kind lazily: a picture that does not fit any more is never loaded."""
        query = f"SELECT seq, at_ms, body FROM {kind} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - an enum
        cursor = self._connection.execute(query, (after_seq, limit))
        try:
            for seq, at_ms, body in cursor:
                yield seq, at_ms, body, kind
        finally:
            cursor.close()

    def _unpack(self, kind: Kind, at_ms: int, body: bytes) -> Record:
        try:
            return unpack(kind, at_ms, body, self._dictionary)
        except (zlib.error, ValueError):  # what was written is not what is read
            raise outbox_schema.damaged("a row is damaged") from None

    def _append(self, change: Change, records: Sequence[Record]) -> int:
        rows: dict[Kind, list[tuple[int, int, bytes]]] = {}
        for seq, record in enumerate(records, self.next_seq):
            rows.setdefault(record.kind, []).append((seq, record.at_ms, pack(record, self._dictionary)))
        for kind, added in rows.items():
            change.insert(kind, added)
        return self.next_seq + len(records)

    def _evict(self, change: Change) -> int:
        """Make room: frames over their budget, then events over both of theirs, telemetry before safety."""
        budget = self._budget
        floor = max(budget.images_bytes, _LIVE_IMAGES_BYTES)
        evicted = change.evict(Kind.IMAGE, change.tallies[Kind.IMAGE].bytes - floor, self._handed_seq, None)
        before_ms = int((self._wall() - budget.events_h * 3600) * 1000)
        for kind in (Kind.TELEMETRY, Kind.SAFETY):
            waiting = change.tallies[Kind.TELEMETRY].bytes + change.tallies[Kind.SAFETY].bytes
            evicted += change.evict(kind, waiting - budget.events_bytes, self._handed_seq, before_ms)
        return evicted
