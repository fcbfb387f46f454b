"""One change of the outbox's rows, and what it makes of the counts.

Knows the statements. Knows nothing of budgets, or of when a change is made.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.mirror.record import Kind

ROW_BYTES = 24
"""What SQLite adds to a row: key, time, headers and its share of a page (measured: 18 to 26)."""

_EVICT_ROWS = 256


@dataclass(frozen=True, slots=True)
class Tally:
    """Counters of one kind: rows and bytes that wait now; appended, sent, evicted and dead over the file's life."""

    rows: int = 0
    bytes: int = 0
    appended: int = 0
    sent: int = 0
    evicted: int = 0
    dead: int = 0


class Change:
    """One transaction's changes, with the tallies as they will be after it; every method may raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection, tallies: dict[Kind, Tally]) -> None:
        self._connection = connection
        self._before = tallies
        self.tallies = dict(tallies)

    def insert(self, kind: Kind, rows: Sequence[tuple[int, int, bytes]]) -> None:
        """Insert rows of number, time and body."""
        self._connection.executemany(f"INSERT INTO {kind} VALUES (?, ?, ?)", rows)  # noqa: S608 - an enum
        size = sum(len(body) + ROW_BYTES for _, _, body in rows)
        self._count(kind, rows=len(rows), size=size, appended=len(rows))

    def delete_up_to(self, seq: int, last_seq: int) -> None:
        """Delete the rows up to `seq`; where that are all up to `last_seq`, they need not be counted."""
        for kind in Kind:
            rows, size = self.tallies[kind].rows, self.tallies[kind].bytes
            if not rows:
                continue
            if seq >= last_seq:
                self._connection.execute(f"DELETE FROM {kind}")  # noqa: S608 - an enum
            else:
                rows, size = self._delete(kind, seq)
            self._count(kind, rows=-rows, size=-size, sent=rows)

    def evict(self, kind: Kind, too_many_bytes: int, handed_seq: int, before_ms: int | None) -> int:
        """Delete the oldest rows that were not handed out, until `too_many_bytes` are gone; return how many."""
        evicted = 0
        while too_many_bytes > 0:
            query = f"SELECT seq, at_ms, length(body) FROM {kind} WHERE seq > ? ORDER BY seq LIMIT {_EVICT_ROWS}"  # noqa: S608
            doomed: list[tuple[int]] = []
            freed = 0
            for seq, at_ms, size in self._connection.execute(query, (handed_seq,)):
                if freed >= too_many_bytes or (before_ms is not None and at_ms >= before_ms):
                    break
                doomed.append((seq,))
                freed += size + ROW_BYTES
            if not doomed:
                break
            self._connection.executemany(f"DELETE FROM {kind} WHERE seq = ?", doomed)  # noqa: S608 - an enum
            self._count(kind, rows=-len(doomed), size=-freed, evicted=len(doomed))
            too_many_bytes -= freed
            evicted += len(doomed)
        return evicted

    def bury(self, seq: int, reason: str) -> None:
        """Move a row to the dead letters."""
        for kind in Kind:
            query = f"INSERT INTO dead SELECT seq, ?, at_ms, ?, body FROM {kind} WHERE seq = ?"  # noqa: S608 - an enum
            if self._connection.execute(query, (kind, reason, seq)).rowcount:
                rows, size = self._delete(kind, seq, only=True)
                self._count(kind, rows=-rows, size=-size, dead=rows)

    def trim_dead(self, max_bytes: int) -> None:
        """Forget the oldest dead letters beyond `max_bytes`; they stay counted."""
        total = 0
        for seq, size in self._connection.execute("SELECT seq, length(body) FROM dead ORDER BY seq DESC"):
            total += size
            if total > max_bytes:
                self._connection.execute("DELETE FROM dead WHERE seq <= ?", (seq,))
                break

    def write(self, next_seq: int) -> None:
        """Write the counts that have changed."""
        self._connection.execute("UPDATE meta SET value = ? WHERE name = 'next_seq'", (next_seq,))
        query = "UPDATE tally SET rows = ?, bytes = ?, appended = ?, sent = ?, evicted = ?, dead = ? WHERE kind = ?"
        for kind, t in self.tallies.items():
            if t == self._before[kind]:
                continue
            self._connection.execute(query, (t.rows, t.bytes, t.appended, t.sent, t.evicted, t.dead, kind))

    def _delete(self, kind: Kind, seq: int, *, only: bool = False) -> tuple[int, int]:
        where = "seq = ?" if only else "seq <= ?"
        query = f"SELECT count(*), coalesce(sum(length(body)), 0) FROM {kind} WHERE {where}"  # noqa: S608 - our words
        rows, size = self._connection.execute(query, (seq,)).fetchone()
        if rows:
            self._connection.execute(f"DELETE FROM {kind} WHERE {where}", (seq,))  # noqa: S608 - our words
        return rows, size + rows * ROW_BYTES

    def _count(
        self,
        kind: Kind,
        *,
        rows: int = 0,
        size: int = 0,
        appended: int = 0,
        sent: int = 0,
        evicted: int = 0,
        dead: int = 0,
    ) -> None:
        was = self.tallies[kind]
        self.tallies[kind] = replace(
            was,
            rows=was.rows + rows,
            bytes=was.bytes + size,
            appended=was.appended + appended,
            sent=was.sent + sent,
            evicted=was.evicted + evicted,
            dead=was.dead + dead,
        )
