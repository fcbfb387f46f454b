"""What the outbox remembers of its last commit is what the file says."""

from pathlib import Path

from hypothesis import given, strategies as st

from edge_agent.observers.outbox.file import MEMORY
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind
from edge_agent.observers.outbox.store import Budget, OutboxStore
from tests.observers.outbox.records import any_record, number_of, record


def numbers(store: OutboxStore, after_seq: int) -> list[int]:
    return [number_of(row) for row in store.read(after_seq, 1000, 10**9)]


@given(st.lists(any_record, min_size=1, max_size=8))
def test_rows_of_the_last_commit_read_as_they_do_from_the_file(some: list[OutboxRecord]) -> None:
    """They are handed out once without a look into the file."""
    store = OutboxStore(MEMORY, Budget())
    before_seq = store.next_seq - 1
    store.commit(some)
    fresh = store.read(before_seq, 1000, 10**9)
    loaded = store.read(before_seq, 1000, 10**9)
    assert fresh == loaded == some
    assert [row.seq for row in fresh] == [row.seq for row in loaded] == list(range(before_seq + 1, store.next_seq))
    store.close()


@given(st.lists(st.tuples(st.lists(any_record, max_size=4), st.none() | st.integers(0, 9), st.booleans()), max_size=8))
def test_age_and_counts_are_those_of_the_rows_that_wait(
    steps: list[tuple[list[OutboxRecord], int | None, bool]],
) -> None:
    """They are kept beside the rows, which are not looked at for them."""
    store, waiting = OutboxStore(MEMORY, Budget()), list[tuple[int, OutboxRecord]]()
    for added, arrived, looked in steps:
        seq = None if arrived is None or arrived >= len(waiting) else waiting[arrived][0]
        waiting = [*waiting[0 if seq is None or arrived is None else arrived + 1 :], *enumerate(added, store.next_seq)]
        store.commit(added, seq)
        if looked:
            firsts = [next((one.at_ms for _, one in waiting if one.kind is kind), None) for kind in RecordKind]
            by_kind = min((at_ms for at_ms in firsts if at_ms is not None), default=None)
            assert store.oldest_ms() in (by_kind, min((one.at_ms for _, one in waiting), default=None))
        counts = [sum(one.kind is kind for _, one in waiting) for kind in RecordKind]
        assert [store.counts[kind].rows for kind in RecordKind] == counts
        assert [row.seq for row in store.read(0, 1000, 10**9)] == [seq for seq, _ in waiting]
    if not waiting:
        assert {count.bytes for count in store.counts.values()} == {0}
    store.close()


def test_row_of_the_last_commit_that_is_gone_again_is_not_read(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db", Budget(images_bytes=0))
    store.commit([record(number, RecordKind.IMAGE, size=1_000_000) for number in range(4)])
    left = store.counts[RecordKind.IMAGE].rows
    assert left < 4
    assert numbers(store, after_seq=store.next_seq - 5) == [0, 1, 2, 3][-left:]
    store.commit([record(6), record(7)])
    store.dead_letter(store.next_seq - 2, "too large")
    assert numbers(store, after_seq=store.next_seq - 3) == [7]
    store.close()
