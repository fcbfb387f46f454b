"""The outbox's work, step by step: it gathers and commits, and goes on when the disk does not."""

import queue
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.errors import FatalError
from edge_agent.events import Severity
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind
from edge_agent.observers.outbox.status import OutboxFaultReporter
from edge_agent.observers.outbox.store import Budget, OutboxStore
from edge_agent.observers.outbox.writer import (
    Acknowledge,
    Close,
    OutboxRequest,
    OutboxUnavailableError,
    OutboxWriter,
    Read,
    Wake,
)
from edge_agent.runtime.queues import ThreadQueue
from tests.observers.outbox.records import number_of, record


def encode(number: int, _sequence: int) -> Sequence[OutboxRecord]:
    if number < 0:
        raise FatalError("this cannot be encoded")
    return (record(number),)


class WriterHarness:
    """An OutboxWriter that runs step by step, on a clock that only the test moves."""

    def __init__(self, path: Path, open_store: Callable[[], OutboxStore] | None = None) -> None:
        self.now_s = 0.0
        self.reports: list[FaultReport] = []
        self.commits = 0
        self.requests: queue.SimpleQueue[OutboxRequest] = queue.SimpleQueue()
        self.handover: ThreadQueue[int] = ThreadQueue(lambda: self.requests.put(Wake()))
        self.stores: list[OutboxStore] = []
        self._path = path
        self.writer = OutboxWriter(
            open_store or self._open,
            encode,
            self.handover,
            self.requests,
            faults=OutboxFaultReporter(FaultReporter(self.reports.append, self.clock)),
            committed=self._committed,
            clock=self.clock,
        )

    def clock(self) -> float:
        return self.now_s

    def work(self, passed_s: float = 0.2) -> None:
        """Let time pass and the writer handle everything."""
        self.now_s += passed_s
        self.requests.put(Wake())
        while not self.requests.empty():
            self.writer.step()

    def elapse(self, passed_s: float) -> None:
        """Let time pass, and the writer do what is due."""
        self.now_s += passed_s
        self.writer.step()

    def numbers(self) -> list[int]:
        request = Read(0, 1000, 10**9)
        self.requests.put(request)
        self.writer.step()
        return [number_of(row) for row in request.answer.result(0)]

    def close(self) -> None:
        self.requests.put(Close())
        self.writer.run()

    def _open(self) -> OutboxStore:
        self.stores.append(OutboxStore(self._path, Budget()))
        return self.stores[-1]

    def _committed(self) -> None:
        self.commits += 1


@contextmanager
def harness_at(path: Path) -> Iterator[WriterHarness]:
    harness = WriterHarness(path)
    yield harness
    harness.close()


def test_values_are_committed_together_after_a_moment(tmp_path: Path) -> None:
    with harness_at(tmp_path / "outbox.db") as harness:
        harness.work()
        opened = harness.commits
        for number in range(3):
            harness.handover.put(number)
        harness.work(0.01)
        assert harness.numbers() == []
        harness.work(0.1)
        assert harness.numbers() == [0, 1, 2]
        assert (harness.writer.stats.commits, harness.commits - opened) == (1, 1)


def test_thread_is_woken_only_where_it_has_just_looked_in_vain(tmp_path: Path) -> None:
    """As long as values come it looks by itself, and is not woken for each of them."""
    with harness_at(tmp_path / "outbox.db") as harness:
        harness.work()
        for number in range(5):
            harness.handover.put(number)
        assert harness.requests.qsize() == 1
        harness.work(0.0)
        for number in range(5, 10):
            harness.handover.put(number)
            assert harness.requests.empty()
            harness.elapse(0.1)
            assert harness.writer.stats.pending == 0
        assert harness.numbers() == list(range(10))
        harness.elapse(0.1)
        harness.handover.put(10)
        assert harness.requests.qsize() == 1
        harness.work(0.0)
        harness.elapse(0.1)
        assert harness.numbers() == list(range(11))


def test_value_that_cannot_be_encoded_is_counted_and_the_others_go_on(tmp_path: Path) -> None:
    with harness_at(tmp_path / "outbox.db") as harness:
        for number in (1, -1, 2):
            harness.handover.put(number)
        harness.work()
        harness.work()
        assert harness.numbers() == [1, 2]
        assert harness.writer.stats.failed == 1


def test_full_disk_is_told_once_and_nothing_is_lost_when_it_ends(tmp_path: Path) -> None:
    with harness_at(tmp_path / "outbox.db") as harness:
        harness.handover.put(0)
        harness.work()
        harness.work()
        connection = harness.stores[0]._connection
        connection.execute("PRAGMA max_page_count = 1")
        for number in range(1, 400):
            harness.handover.put(number)
            harness.work(1.0)
        assert [(report.code, report.active) for report in harness.reports] == [("outbox_stuck", True)]
        assert "disk is full" in harness.reports[0].message
        assert harness.reports[0].severity is Severity.DEGRADED
        assert harness.writer.stats.stuck_by == "the disk is full"
        connection.execute("PRAGMA max_page_count = 100000")
        harness.work(1.0)
        harness.work(1.0)
        assert [(report.code, report.active) for report in harness.reports[1:]] == [("outbox_stuck", False)]
        assert harness.numbers() == list(range(400))
        assert harness.writer.stats.stuck_by == ""


def test_disk_that_becomes_slow_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    takes_s = [0.1, 0.5, 0.1, 0.5, 0.5, 0.5, 0.1, 0.5, 0.1, 0.1, 0.1]
    with harness_at(tmp_path / "outbox.db") as harness:
        harness.work()
        commit = harness.stores[0].commit

        def slow(records: Sequence[OutboxRecord], acknowledged_seq: int | None = None) -> int:
            harness.now_s += takes_s.pop(0) if takes_s else 0.0
            return commit(records, acknowledged_seq)

        harness.stores[0].commit = slow  # type: ignore[method-assign]
        told = []
        for number in range(11):
            harness.handover.put(number)
            harness.work()
            harness.work()
            told.append([(report.code, report.active) for report in harness.reports])
        once, twice = [("outbox_slow", True)], [("outbox_slow", True), ("outbox_slow", False)]
        assert told == [[]] * 4 + [once] * 5 + [twice] * 2, (
            "one slow commit is no slow disk, nor a quick one a quick one"
        )
        assert "500 ms" in harness.reports[0].message
        assert harness.numbers() == list(range(11))


def test_stuck_writer_leaves_the_rest_in_the_handover(tmp_path: Path) -> None:
    """What is held in memory stays bounded: by the handover, which refuses and counts."""
    with harness_at(tmp_path / "outbox.db") as harness:
        harness.work()
        harness.stores[0]._connection.execute("PRAGMA max_page_count = 1")
        for number in range(5000):
            harness.handover.put(number)
            harness.work(0.0)
        harness.work(1.0)
        assert harness.writer.stats.pending == 1000
        assert len(harness.handover) == 4000
        harness.stores[0]._connection.execute("PRAGMA max_page_count = 100000")
        for _ in range(30):
            harness.work(1.0)
        assert len(harness.handover) == 0
        assert harness.writer.stats.counts[RecordKind.TELEMETRY].rows == 5000


def test_locked_file_is_waited_for(tmp_path: Path) -> None:
    with harness_at(tmp_path / "outbox.db") as harness:
        harness.work()
        other = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        harness.handover.put(7)
        harness.work()
        harness.work()
        assert [report.code for report in harness.reports] == ["outbox_stuck"]
        other.execute("ROLLBACK")
        other.close()
        harness.work(1.0)
        assert harness.numbers() == [7]


def test_file_damaged_while_in_use_is_set_aside_and_new_events_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with harness_at(path) as harness:
        for number in range(300):
            harness.handover.put(number)
        harness.work()
        harness.work()
        harness.stores[0]._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        path.write_bytes(path.read_bytes()[:100] + b"\xff" * (size - 100))
        harness.stores[0]._connection.execute("PRAGMA shrink_memory")
        with pytest.raises(OutboxUnavailableError):
            harness.numbers()
        harness.handover.put(1000)
        harness.work()
        harness.work()
        assert [report.code for report in harness.reports] == ["outbox_set_aside"]
        aside = list(tmp_path.glob("outbox.db.broken-*"))
        assert any(part.stat().st_size == size for part in aside)
        assert harness.numbers() == [1000]


def test_acknowledged_rows_go_with_the_next_commit(tmp_path: Path) -> None:
    with harness_at(tmp_path / "outbox.db") as harness:
        for number in range(3):
            harness.handover.put(number)
        harness.work()
        harness.work()
        harness.requests.put(Acknowledge(harness.stores[0].next_seq - 2))
        harness.work()
        harness.work()
        assert harness.numbers() == [2]
        assert harness.writer.stats.counts[RecordKind.TELEMETRY].sent == 2


def test_close_commits_what_is_still_on_its_way(tmp_path: Path) -> None:
    harness = WriterHarness(tmp_path / "outbox.db")
    for number in range(2500):
        harness.handover.put(number)
    harness.close()
    store = OutboxStore(tmp_path / "outbox.db", Budget())
    assert store.counts[RecordKind.TELEMETRY].rows == 2500
    store.close()


def test_evictions_are_summed_up_in_a_notice(tmp_path: Path) -> None:
    def tight() -> OutboxStore:
        return OutboxStore(tmp_path / "outbox.db", Budget(events_bytes=1000, events_h=0.0))

    harness = WriterHarness(tmp_path / "outbox.db", tight)
    for number in range(100):
        harness.handover.put(number)
        harness.work(0.05)
    harness.work(20.0)
    harness.handover.put(100)
    harness.work()
    harness.work()
    harness.close()
    told = [int(report.message.split()[0]) for report in harness.reports if report.code == "outbox_evicted"]
    waits_for_the_next_notice = 1
    assert sum(told) == harness.writer.stats.counts[RecordKind.TELEMETRY].evicted - waits_for_the_next_notice > 50
    assert len(told) <= 3
