"""The outbox as a store of rows: append, read in order, acknowledge, evict, dead-letter. One thread at a time."""

import heapq
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.observers.outbox import file as outbox_file
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind, pack, unpack

ROW_BYTES = 24
"""SQLite's overhead per row: key, time, headers and its share of a page (measured: 18 to 26)."""

_EVICT_ROWS = 256


@dataclass(frozen=True, slots=True)
class KindCounts:
    """Counters of one kind: rows and bytes that wait now; appended, sent, evicted and dead over the file's life."""

    rows: int = 0
    bytes: int = 0
    appended: int = 0
    sent: int = 0
    evicted: int = 0
    dead: int = 0


class OutboxTransaction:
    """The changes of one transaction, with the counts after it; every method may raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection, counts: dict[RecordKind, KindCounts]) -> None:
        self._connection = connection
        self._before = counts
        self.counts = dict(counts)

    def insert(self, kind: RecordKind, rows: Sequence[tuple[int, int, bytes]]) -> None:
        """Insert rows of number, time and body."""
        self._connection.executemany(f"INSERT INTO {kind} VALUES (?, ?, ?)", rows)  # noqa: S608 - an enum
        size = sum(len(body) + ROW_BYTES for _, _, body in rows)
        self._count(kind, rows=len(rows), bytes=size, appended=len(rows))

    def delete_up_to(self, seq: int, last_seq: int) -> None:
        """Delete the rows up to `seq`; if these are all, up to `last_seq`, they need not be counted."""
        for kind in RecordKind:
            rows, size = self.counts[kind].rows, self.counts[kind].bytes
            if not rows:
                continue
            if seq >= last_seq:
                self._connection.execute(f"DELETE FROM {kind}")  # noqa: S608 - an enum
            else:
                rows, size = self._delete(kind, seq)
            self._count(kind, rows=-rows, bytes=-size, sent=rows)

    def evict(self, kind: RecordKind, too_many_bytes: int, read_seq: int, before_ms: int | None) -> int:
        """Delete the oldest rows that were not read yet, until `too_many_bytes` are freed; return how many."""
        evicted = 0
        while too_many_bytes > 0:
            query = f"SELECT seq, at_ms, length(body) FROM {kind} WHERE seq > ? ORDER BY seq LIMIT {_EVICT_ROWS}"  # noqa: S608
            evictable: list[tuple[int]] = []
            freed = 0
            for seq, at_ms, size in self._connection.execute(query, (read_seq,)):
                if freed >= too_many_bytes or (before_ms is not None and at_ms >= before_ms):
                    break
                evictable.append((seq,))
                freed += size + ROW_BYTES
            if not evictable:
                break
            self._connection.executemany(f"DELETE FROM {kind} WHERE seq = ?", evictable)  # noqa: S608 - an enum
            self._count(kind, rows=-len(evictable), bytes=-freed, evicted=len(evictable))
            too_many_bytes -= freed
            evicted += len(evictable)
        return evicted

    def dead_letter(self, seq: int, reason: str) -> None:
        """Move a row to the dead letters."""
        for kind in RecordKind:
            query = f"INSERT INTO dead SELECT seq, ?, at_ms, ?, body FROM {kind} WHERE seq = ?"  # noqa: S608 - an enum
            if self._connection.execute(query, (kind, reason, seq)).rowcount:
                rows, size = self._delete(kind, seq, only=True)
                self._count(kind, rows=-rows, bytes=-size, dead=rows)

    def trim_dead(self, max_bytes: int) -> None:
        """Delete the oldest dead letters beyond `max_bytes`; they stay counted."""
        total = 0
        for seq, size in self._connection.execute("SELECT seq, length(body) FROM dead ORDER BY seq DESC"):
            total += size
            if total > max_bytes:
                self._connection.execute("DELETE FROM dead WHERE seq <= ?", (seq,))
                break

    def write(self, next_seq: int) -> None:
        """Update the next sequence number and the counts that have changed."""
        self._connection.execute("UPDATE meta SET value = ? WHERE name = 'next_seq'", (next_seq,))
        query = "UPDATE tally SET rows = ?, bytes = ?, appended = ?, sent = ?, evicted = ?, dead = ? WHERE kind = ?"
        for kind, t in self.counts.items():
            if t == self._before[kind]:
                continue
            self._connection.execute(query, (t.rows, t.bytes, t.appended, t.sent, t.evicted, t.dead, kind))

    def _delete(self, kind: RecordKind, seq: int, *, only: bool = False) -> tuple[int, int]:
        where = "seq = ?" if only else "seq <= ?"
        query = f"SELECT count(*), coalesce(sum(length(body)), 0) FROM {kind} WHERE {where}"  # noqa: S608 - our own text
        rows, size = self._connection.execute(query, (seq,)).fetchone()
        if rows:
            self._connection.execute(f"DELETE FROM {kind} WHERE {where}", (seq,))  # noqa: S608 - our own text
        return rows, size + rows * ROW_BYTES

    def _count(self, kind: RecordKind, **more: int) -> None:
        was = self.counts[kind]
        self.counts[kind] = replace(was, **{name: getattr(was, name) + number for name, number in more.items()})


_VACUUM_PAGES = 256
_OLDEST = "SELECT min(at_ms) FROM ({})".format(  # noqa: S608 - an enum
    " UNION ALL ".join(f"SELECT * FROM (SELECT at_ms FROM {kind} ORDER BY seq LIMIT 1)" for kind in RecordKind)  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may wait. Events are evicted only if older than `events_h` and larger than `events_bytes` together."""

    events_bytes: int = 2_048_000_000
    events_h: float = 72.0
    images_bytes: int = 512_000_000


class OutboxStore:
    """An open outbox file. Every method may raise sqlite3.Error, and has then changed nothing.

    Args:
        path: the SQLite file, or outbox_file.MEMORY.
        budget: the limits of what may wait.
        dictionary: for deflating the rows of a new file; see record.pack.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self, path: Path, budget: Budget, *, dictionary: bytes = b"", wall: Callable[[], float] = time.time
    ) -> None:
        opened = outbox_file.open_outbox(path, dictionary)
        self.path = path
        self.set_aside = opened.set_aside
        self.next_seq = opened.next_seq
        self._connection = opened.connection
        self._dictionary = opened.dictionary
        self._budget = budget
        self._wall = wall
        self._read_seq = 0
        self._fresh: list[OutboxRecord] = []
        # The oldest row's time is asked for after each commit. It is kept while it is known, as a query costs more.
        self._oldest_ms: int | None = None
        self._oldest_known = False
        columns = "kind, rows, bytes, appended, sent, evicted, dead"
        rows = self._connection.execute(f"SELECT {columns} FROM tally").fetchall()  # noqa: S608 - column names
        self.counts = {RecordKind(kind): KindCounts(*numbers) for kind, *numbers in rows}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def commit(self, records: Sequence[OutboxRecord], acknowledged_seq: int | None = None) -> int:
        """Append `records` in order and delete rows up to `acknowledged_seq`, in one transaction.

        Evicts what no longer fits; returns the number of evicted rows.
        """
        with self._transaction() as change:
            if acknowledged_seq is not None:
                change.delete_up_to(acknowledged_seq, self.next_seq - 1)
            next_seq = self._append(change, records)
            evicted = self._evict(change)
            change.write(next_seq)
        first_seq, self.next_seq = self.next_seq, next_seq
        # Rows of one commit, kept for the uplink; more is a backlog, which is read from the file.
        few = records if not evicted and len(records) <= 50 else ()
        self._fresh = [replace(record, seq=seq) for seq, record in enumerate(few, first_seq)]
        self._oldest_known = not evicted and sum(count.rows for count in self.counts.values()) == len(records)
        if self._oldest_known:
            self._oldest_ms = min((record.at_ms for record in records), default=None)
        return evicted

    def read(self, after_seq: int, max_rows: int, max_bytes: int) -> list[OutboxRecord]:
        """Return rows after `after_seq` in order: at most `max_rows`, of about `max_bytes` together.

        The first one is returned whatever its size. Rows that were read are not evicted any more.
        """
        rows = self._take_fresh(after_seq, max_rows, max_bytes) or self._load(after_seq, max_rows, max_bytes)
        if rows:
            self._read_seq = max(self._read_seq, rows[-1].seq)
        return rows

    def _take_fresh(self, after_seq: int, max_rows: int, max_bytes: int) -> list[OutboxRecord]:
        """Return the rows of the last commit, once, if they are exactly what is requested; else nothing.

        An uplink that keeps up requests just these, which saves reading the file.
        """
        fresh, self._fresh = self._fresh, []
        if not fresh or after_seq != fresh[0].seq - 1 or len(fresh) > max_rows:
            return []
        # A row's body is larger than its record by the JSON around the parts.
        return fresh if sum(row.size for row in fresh) + 256 * len(fresh) <= max_bytes else []

    def _load(self, after_seq: int, max_rows: int, max_bytes: int) -> list[OutboxRecord]:
        cursors = [self._rows(kind, after_seq, max_rows) for kind in RecordKind if self.counts[kind].rows]
        rows: list[OutboxRecord] = []
        for seq, at_ms, body, kind in heapq.merge(*cursors, key=lambda row: row[0]):
            max_bytes -= len(body)
            if rows and (max_bytes < 0 or len(rows) >= max_rows):
                break
            rows.append(self._unpack(kind, seq, at_ms, body))
        return rows

    def dead_letter(self, seq: int, reason: str) -> None:
        """Move the row `seq` to the dead letters: it can never be sent, and must not block those after it."""
        self._fresh, self._oldest_known = [], False
        with self._transaction() as change:
            change.dead_letter(seq, reason)
            change.trim_dead(64_000_000)
            change.write(self.next_seq)

    def give_back_space(self) -> None:
        """Return a few free pages to the file system, when nothing waits."""
        self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")  # `execute` frees one page only

    def oldest_ms(self) -> int | None:
        """Return the time of the oldest waiting row in ms since 1970, None if nothing waits."""
        if not self._oldest_known:
            self._oldest_ms, self._oldest_known = self._connection.execute(_OLDEST).fetchone()[0], True
        return self._oldest_ms

    @contextmanager
    def _transaction(self) -> Iterator[OutboxTransaction]:
        """Commit the changes made inside the block, and take over their counts; roll back if anything raises."""
        change = OutboxTransaction(self._connection, self.counts)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield change
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise
        self.counts = change.counts

    def _rows(self, kind: RecordKind, after_seq: int, limit: int) -> Iterator[tuple[int, int, bytes, RecordKind]]:
        """Yield rows of one kind lazily: a picture that no longer fits the request is never loaded."""
        query = f"SELECT seq, at_ms, body FROM {kind} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - an enum
        cursor = self._connection.execute(query, (after_seq, limit))
        try:
            for seq, at_ms, body in cursor:
                yield seq, at_ms, body, kind
        finally:
            cursor.close()

    def _unpack(self, kind: RecordKind, seq: int, at_ms: int, body: bytes) -> OutboxRecord:
        try:
            return unpack(kind, at_ms, body, self._dictionary, seq)
        except (zlib.error, ValueError):  # the row does not inflate or parse
            raise outbox_file.damaged("a row is damaged") from None

    def _append(self, change: OutboxTransaction, records: Sequence[OutboxRecord]) -> int:
        rows: dict[RecordKind, list[tuple[int, int, bytes]]] = {}
        for seq, record in enumerate(records, self.next_seq):
            rows.setdefault(record.kind, []).append((seq, record.at_ms, pack(record, self._dictionary)))
        for kind, added in rows.items():
            change.insert(kind, added)
        return self.next_seq + len(records)

    def _evict(self, change: OutboxTransaction) -> int:
        """Evict frames beyond their budget, then events beyond both of theirs, telemetry before safety."""
        budget = self._budget
        # A few seconds of frames: what is in transit while the uplink works.
        floor = max(budget.images_bytes, 2_000_000)
        evicted = change.evict(RecordKind.IMAGE, change.counts[RecordKind.IMAGE].bytes - floor, self._read_seq, None)
        before_ms = int((self._wall() - budget.events_h * 3600) * 1000)
        for kind in (RecordKind.TELEMETRY, RecordKind.SAFETY):
            waiting = change.counts[RecordKind.TELEMETRY].bytes + change.counts[RecordKind.SAFETY].bytes
            evicted += change.evict(kind, waiting - budget.events_bytes, self._read_seq, before_ms)
        return evicted
