"""The outbox's thread: it never makes the loop wait, and tells what it cannot mend."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.events import Severity
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.observers.outbox.outbox import Outbox
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind
from edge_agent.observers.outbox.store import Budget, OutboxStore
from edge_agent.observers.outbox.writer import OutboxUnavailableError
from tests.observers.outbox.records import number_of, record

WAIT_S = 20


def encode(number: int, _sequence: int) -> Sequence[OutboxRecord]:
    return (record(number),)


def running(path: Path, reports: list[FaultReport]) -> Outbox[int]:
    return Outbox(path, Budget(), encode, faults=FaultReporter(reports.append, time.monotonic))


def test_thread_hands_rows_over_and_survives_close(tmp_path: Path) -> None:
    committed = threading.Semaphore(0)
    outbox = running(tmp_path / "outbox.db", [])
    outbox.start(committed.release)
    for number in range(10):
        assert outbox.put(number)
    seen: list[int] = []
    while len(seen) < 10:
        assert committed.acquire(timeout=WAIT_S)
        seen = [number_of(row) for row in outbox.read(0, 100, 10**9).result(WAIT_S)]
    assert seen == list(range(10))
    assert outbox.close(WAIT_S)
    with pytest.raises(OutboxUnavailableError):
        outbox.read(0, 1, 1).result(WAIT_S)


def test_loop_never_waits_while_the_thread_is_stuck(tmp_path: Path) -> None:
    """The thread hangs in its disk; offers go on being answered, and what is too much is counted."""
    stuck, release = threading.Event(), threading.Event()

    def hang(number: int, _sequence: int) -> Sequence[OutboxRecord]:
        stuck.set()
        release.wait(WAIT_S)
        return (record(number),)

    outbox: Outbox[int] = Outbox(
        tmp_path / "outbox.db", Budget(), hang, faults=FaultReporter(lambda _: None, time.monotonic), max_items=50
    )
    outbox.start()
    outbox.put(0)
    assert stuck.wait(WAIT_S)
    answers = [outbox.put(number) for number in range(1, 101)]
    assert answers == [True] * 50 + [False] * 50
    assert outbox.lost == (50, 0)
    release.set()
    assert outbox.close(WAIT_S)
    store = OutboxStore(tmp_path / "outbox.db", Budget())
    assert [number_of(row) for row in store.read(0, 100, 10**9)] == list(range(51))
    store.close()


def test_folder_that_cannot_be_written_keeps_rows_in_memory_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    reports: list[FaultReport] = []
    outbox = running(tmp_path / "file" / "outbox.db", reports)
    committed = threading.Semaphore(0)
    outbox.start(committed.release)
    outbox.put(1)
    seen: list[int] = []
    while not seen:
        assert committed.acquire(timeout=WAIT_S)
        seen = [number_of(row) for row in outbox.read(0, 100, 10**9).result(WAIT_S)]
    assert outbox.close(WAIT_S)
    assert [(report.code, report.severity) for report in reports] == [("outbox_not_durable", Severity.DEGRADED)]
    assert not outbox.stats.durable


def test_second_agent_waits_for_the_outbox_instead_of_sharing_it(tmp_path: Path) -> None:
    reports: list[FaultReport] = []
    first, second = running(tmp_path / "outbox.db", []), running(tmp_path / "outbox.db", reports)
    ready = threading.Semaphore(0)
    first.start(ready.release)
    assert ready.acquire(timeout=WAIT_S)
    second.start(ready.release)
    second.put(5)
    with pytest.raises(OutboxUnavailableError):
        second.read(0, 1, 1).result(WAIT_S)
    assert [report.code for report in reports] == ["outbox_stuck"]
    assert "another program holds the outbox" in reports[0].message
    assert first.close(WAIT_S)
    assert ready.acquire(timeout=WAIT_S)
    assert second.close(WAIT_S)
    assert second.stats.counts[RecordKind.TELEMETRY].rows == 1


def test_fault_of_ours_in_the_thread_is_told_and_questions_are_answered(tmp_path: Path) -> None:
    reports: list[FaultReport] = []

    def break_down(number: int, _sequence: int) -> Sequence[OutboxRecord]:
        raise ZeroDivisionError(number)

    outbox: Outbox[int] = Outbox(
        tmp_path / "outbox.db", Budget(), break_down, faults=FaultReporter(reports.append, time.monotonic)
    )
    outbox.start()
    outbox.put(1)
    assert outbox.close(WAIT_S)
    with pytest.raises(OutboxUnavailableError):
        outbox.read(0, 1, 1).result(WAIT_S)
    assert [report.code for report in reports] == ["outbox_failed"]
    assert not (tmp_path / "outbox.db-wal").exists(), "SQLite removes it when the last connection is closed"
