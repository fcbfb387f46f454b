"""Which pictures are kept when the budget is full."""

from itertools import pairwise

from hypothesis import given, strategies as st

from edge_agent.console.picture_history import OVERHEAD_BYTES, PictureHistory, StoredPicture

KB = 2000


def picture(number: int, *, train: str = "a", size: int = KB, at_ms: int | None = None) -> StoredPicture:
    seen_ms = number * 100 if at_ms is None else at_ms
    return StoredPicture(train, f"f{number}", number, seen_ms, seen_ms, 600, 400, bytes(size - OVERHEAD_BYTES))


def ids(pictures: PictureHistory, train: str = "a") -> list[str]:
    return [each.frame_id for each in pictures.of_train(train)]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(OVERHEAD_BYTES, 5 * KB), st.integers(0, 3000), st.booleans()),
        max_size=200,
    ),
    st.integers(1, 40),
)
def test_budget_is_kept_whatever_comes_and_sums_stay_right(
    events: list[tuple[str, int, int, bool]], budget_kb: int
) -> None:
    pictures, now_ms = PictureHistory(budget_kb * KB, 60_000), 0
    for number, (train, size, wait_ms, marked) in enumerate(events):
        now_ms += wait_ms
        pictures.put(picture(number, train=train, size=size, at_ms=now_ms))
        if marked:
            pictures.mark(train, f"f{number}")
        kept = [each for name in "abc" for each in pictures.of_train(name)]
        assert pictures.bytes == sum(each.size for each in kept) <= budget_kb * KB
        assert all(now_ms - each.seen_ms <= 60_000 for each in kept)


def test_everything_is_kept_while_there_is_room() -> None:
    pictures = PictureHistory(1000 * KB, 60_000)
    for number in range(500):
        pictures.put(picture(number))
    assert ids(pictures) == [f"f{number}" for number in range(500)]


def test_old_pictures_are_thinned_to_one_a_second_and_marked_ones_stay() -> None:
    pictures = PictureHistory(100 * KB, 3_600_000)
    for number in range(300):
        pictures.put(picture(number))
        if number in {33, 34, 35}:
            pictures.mark("a", f"f{number}")
    kept = {int(name[1:]) for name in ids(pictures)}
    first_recent = next(number for number in range(300, 0, -1) if number - 1 not in kept)
    old = sorted(kept - {33, 34, 35} - set(range(first_recent, 300)))
    assert first_recent <= 250
    assert {33, 34, 35} <= kept
    assert len(old) >= 20
    assert all(later - earlier >= 10 for earlier, later in pairwise(old))


def test_marked_pictures_go_last() -> None:
    pictures = PictureHistory(20 * KB, 3_600_000)
    for number in range(1000):
        pictures.put(picture(number))
        if number < 8:
            pictures.mark("a", f"f{number}")
    assert ids(pictures)[:8] == [f"f{number}" for number in range(8)]


def test_history_ends_for_marked_pictures_too() -> None:
    pictures = PictureHistory(1000 * KB, 10_000)
    pictures.put(picture(0))
    pictures.mark("a", "f0")
    pictures.put(picture(101))
    assert ids(pictures) == ["f101"]


def test_picture_that_comes_twice_is_kept_once() -> None:
    pictures = PictureHistory(1000 * KB, 10_000)
    pictures.put(picture(0))
    pictures.put(picture(0))
    assert (ids(pictures), pictures.bytes) == (["f0"], KB)


def test_removed_train_frees_its_memory() -> None:
    pictures = PictureHistory(1000 * KB, 10_000)
    pictures.put(picture(0))
    pictures.put(picture(1, train="b"))
    pictures.remove_train("a")
    pictures.expire(100_000)
    assert (ids(pictures), ids(pictures, "b"), pictures.bytes) == ([], [], 0)
