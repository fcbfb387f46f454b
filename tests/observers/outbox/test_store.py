"""The outbox's rows: kept in order, acknowledged, evicted by the book, and never lost with the file."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from edge_agent.errors import ConfigError, RetryableError
from edge_agent.observers.outbox.file import MEMORY, OutboxLock
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind, pack, serialise, unpack
from edge_agent.observers.outbox.store import Budget, OutboxStore
from tests.observers.outbox.records import any_record, number_of, record

HOUR_MS = 3_600_000
NOW_S = 1_800_000_000.0
NOW_MS = int(NOW_S * 1000)


def store_at(path: Path, budget: Budget | None = None) -> OutboxStore:
    return OutboxStore(path, budget or Budget(), dictionary=serialise(record(0)), wall=lambda: NOW_S)


def numbers(store: OutboxStore, after_seq: int = 0, max_rows: int = 1000, max_bytes: int = 10**9) -> list[int]:
    return [number_of(row) for row in store.read(after_seq, max_rows, max_bytes)]


@given(any_record, st.binary(max_size=600))
def test_packed_record_comes_back_unchanged(one: OutboxRecord, dictionary: bytes) -> None:
    assert unpack(one.kind, one.at_ms, pack(one, dictionary), dictionary) == one


def test_rows_of_all_kinds_come_out_in_the_order_they_went_in(tmp_path: Path) -> None:
    store = store_at(tmp_path / "outbox.db")
    kinds = [
        RecordKind.IMAGE,
        RecordKind.TELEMETRY,
        RecordKind.SAFETY,
        RecordKind.SAFETY,
        RecordKind.IMAGE,
        RecordKind.TELEMETRY,
    ]
    store.commit([record(number, kind) for number, kind in enumerate(kinds)])
    assert numbers(store) == [0, 1, 2, 3, 4, 5]
    rows = store.read(0, 1000, 10**9)
    assert [row.kind for row in rows] == kinds
    assert numbers(store, after_seq=rows[3].seq) == [4, 5]
    store.close()


def test_read_stops_at_rows_and_at_bytes_but_always_gives_one(tmp_path: Path) -> None:
    store = store_at(tmp_path / "outbox.db")
    store.commit([record(number, RecordKind.IMAGE, size=1000) for number in range(10)])
    assert numbers(store, max_rows=3) == [0, 1, 2]
    assert numbers(store, max_bytes=2500) == [0, 1]
    assert numbers(store, max_bytes=1) == [0]
    store.close()


def test_acknowledged_rows_are_gone_also_after_opening_anew(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store = store_at(path)
    store.commit([record(number) for number in range(5)])
    store.commit([record(5)], acknowledged_seq=store.read(0, 3, 10**9)[-1].seq)
    store.close()
    again = store_at(path)
    assert numbers(again) == [3, 4, 5]
    count = again.counts[RecordKind.TELEMETRY]
    assert (count.rows, count.appended, count.sent) == (3, 6, 3)
    again.close()


def test_sequence_numbers_never_come_again(tmp_path: Path) -> None:
    """Not when every row is gone, and not when the file is."""
    path = tmp_path / "outbox.db"
    store = store_at(path)
    store.commit([record(1), record(2)])
    used = store.next_seq
    store.commit([], acknowledged_seq=used)
    store.close()
    again = store_at(path)
    assert again.next_seq == used
    again.close()
    path.unlink()
    fresh = store_at(path)
    assert fresh.next_seq > used
    fresh.close()


def test_images_over_their_budget_go_oldest_first_and_are_counted(tmp_path: Path) -> None:
    store = store_at(tmp_path / "outbox.db", Budget(images_bytes=3_000_000))
    evicted = sum(
        store.commit([record(number, RecordKind.IMAGE, size=100_000), record(1000 + number)]) for number in range(50)
    )
    kept = numbers(store)
    images = [number for number in kept if number < 1000]
    assert images == list(range(50 - len(images), 50))
    assert len(images) == 29
    assert [number for number in kept if number >= 1000] == list(range(1000, 1050))
    assert evicted == store.counts[RecordKind.IMAGE].evicted == 21
    assert store.counts[RecordKind.IMAGE].bytes <= 3_000_000
    store.close()


@pytest.mark.parametrize(
    ("age_h", "events_bytes", "left"),
    [
        (71.0, 1_000, 20),  # over the bytes, but young
        (73.0, 1_000_000, 20),  # old, but within the bytes
        (73.0, 1_000, 6),  # old and over the bytes: as many as must go
    ],
)
def test_events_go_only_when_both_budgets_are_exceeded(
    tmp_path: Path, age_h: float, events_bytes: int, left: int
) -> None:
    store = store_at(tmp_path / "outbox.db", Budget(events_bytes=events_bytes, events_h=72))
    store.commit([record(number, at_ms=NOW_MS - int(age_h * HOUR_MS)) for number in range(20)])
    store.commit([])
    assert len(numbers(store)) == left
    assert numbers(store) == list(range(20 - left, 20))
    store.close()


def test_telemetry_goes_before_safety_whatever_its_age(tmp_path: Path) -> None:
    store = store_at(tmp_path / "outbox.db", Budget(events_bytes=1_000, events_h=72))
    old, older = NOW_MS - 80 * HOUR_MS, NOW_MS - 90 * HOUR_MS
    safety = [record(number, RecordKind.SAFETY, at_ms=older) for number in range(4)]
    telemetry = [record(100 + number, at_ms=old) for number in range(20)]
    store.commit(safety + telemetry)
    assert (store.counts[RecordKind.SAFETY].evicted, store.counts[RecordKind.TELEMETRY].evicted) == (0, 17)
    store.commit([record(200 + number, RecordKind.SAFETY, at_ms=old) for number in range(20)])
    assert store.counts[RecordKind.TELEMETRY].rows == 0
    assert store.counts[RecordKind.SAFETY].evicted == 18
    assert numbers(store) == list(range(214, 220))
    store.close()


def test_rows_on_their_way_to_the_broker_are_not_evicted(tmp_path: Path) -> None:
    """Else a message would be counted as evicted and arrive all the same."""
    store = store_at(tmp_path / "outbox.db", Budget(images_bytes=2_000_000))
    store.commit([record(number, RecordKind.IMAGE, size=490_000) for number in range(3)])
    assert numbers(store, max_rows=2) == [0, 1]
    store.commit([record(3, RecordKind.IMAGE, size=490_000), record(4, RecordKind.IMAGE, size=490_000)])
    assert numbers(store) == [0, 1, 3, 4]
    store.close()


def test_buried_row_leaves_the_order_and_keeps_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store = store_at(path)
    store.commit([record(number) for number in range(3)])
    store.dead_letter(store.read(0, 2, 10**9)[1].seq, "too large")
    assert numbers(store) == [0, 2]
    assert (store.counts[RecordKind.TELEMETRY].dead, store.counts[RecordKind.TELEMETRY].rows) == (1, 2)
    store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT kind, reason FROM dead").fetchall() == [("telemetry", "too large")]
    connection.close()


def test_failed_commit_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store = store_at(path)
    store.commit([record(1)])
    before = (store.next_seq, dict(store.counts))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        store.commit([record(2)])
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
    other.execute("ROLLBACK")
    other.close()
    assert (store.next_seq, store.counts) == before
    store.commit([record(2)])
    assert numbers(store) == [1, 2]
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database at all, whatever its name says" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * (path.stat().st_size - 4096)),
        lambda path: path.write_bytes(path.read_bytes()[:7000]),
    ],
    ids=["another file", "overwritten pages", "cut short"],
)
def test_damaged_file_is_set_aside_and_a_new_one_made(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "outbox.db"
    store = store_at(path)
    store.commit([record(number) for number in range(200)])
    store.close()
    damage(path)
    broken = path.read_bytes()
    store = store_at(path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == broken
    assert numbers(store) == []
    store.commit([record(1)])
    assert numbers(store) == [1]
    store.close()


def test_two_damaged_files_in_one_second_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    kept = []
    for content in (b"one" * 1000, b"two" * 1000):
        path.write_bytes(content)
        store = store_at(path)
        assert store.set_aside is not None
        kept.append(store.set_aside.read_bytes())
        store.close()
    assert kept == [b"one" * 1000, b"two" * 1000]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(ConfigError, match="not an outbox"):
        store_at(path)
    assert path.read_bytes() == content


def test_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store_at(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="newer version"):
        store_at(path)


def test_second_process_does_not_get_the_lock(tmp_path: Path) -> None:
    first, second = OutboxLock(tmp_path / "outbox.db"), OutboxLock(tmp_path / "outbox.db")
    first.acquire()
    with pytest.raises(RetryableError, match=r"outbox\.db"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_store_in_memory_works_alike() -> None:
    store = store_at(MEMORY)
    store.commit([record(1), record(2)])
    assert numbers(store) == [1, 2]
    store.close()


def test_file_shrinks_after_a_long_outage(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store = store_at(path)
    for start in range(0, 40, 10):
        store.commit([record(start + number, RecordKind.IMAGE, size=50_000) for number in range(10)])
    store.commit([], acknowledged_seq=store.next_seq)
    for _ in range(10):
        store.give_back_space()
    store.close()
    assert path.stat().st_size < 200_000
