"""Waits between attempts double up to a maximum, with jitter."""

from hypothesis import given, strategies as st

from edge_agent.runtime.backoff import Backoff


def test_waits_double_up_to_the_longest_and_restart_after_success() -> None:
    backoff = Backoff(8.0, spread=lambda: 1.0)
    assert [backoff.next_s() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_wait_is_spread_between_half_and_whole() -> None:
    assert Backoff(8.0, spread=lambda: 0.0).next_s() == 0.25
    waits = {Backoff(8.0).next_s() for _ in range(20)}
    assert len(waits) > 1
    assert all(0.25 <= wait <= 0.5 for wait in waits)


def test_longest_wait_holds_for_the_first_too() -> None:
    assert Backoff(0.1, spread=lambda: 1.0).next_s() == 0.1


def test_wait_may_be_kept_from_spreading() -> None:
    backoff = Backoff(10.0, 2.0, spread=lambda: 1.0)
    assert [backoff.next_s() for _ in range(4)] == [2.0, 4.0, 8.0, 10.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=2000), st.floats(0.001, 100), st.floats(0.001, 100))
def test_wait_is_never_above_the_longest_nor_below_half_the_first(
    chances: list[float], first_s: float, longest_s: float
) -> None:
    drawn = iter(chances)
    backoff = Backoff(longest_s, first_s, spread=lambda: next(drawn))
    for _ in chances:
        assert min(first_s, longest_s) / 2 <= backoff.next_s() <= longest_s
