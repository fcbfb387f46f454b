"""Ratios and their bootstrap intervals, and latencies from ticks."""

import numpy as np
import pytest

from edge_agent.bench import stats


def blocks(mean: float, count: int = 4, size: int = 200, seed: int = 0) -> list[stats.Block]:
    rng = np.random.default_rng([seed, round(mean * 100)])
    return [rng.normal(mean, 1.0, size) for _ in range(count)]


def test_ratio_of_medians_and_its_interval_hold_the_truth() -> None:
    made = stats.ratio(blocks(22.0), blocks(20.0), stats.median)
    assert made.low < 1.1 < made.high
    assert made.low < made.value < made.high
    assert made.high - made.low < 0.05


def test_ratio_interval_narrows_with_more_samples() -> None:
    few = stats.ratio(blocks(20.0, size=40), blocks(20.0, size=40), stats.median)
    many = stats.ratio(blocks(20.0, size=4000), blocks(20.0, size=4000), stats.median)
    assert many.high - many.low < (few.high - few.low) / 2


def test_ratio_interval_is_as_wide_as_blocks_differ() -> None:
    calm, moved = blocks(20.0), [block + shift for block, shift in zip(blocks(20.0), (-4, -2, 2, 4), strict=True)]
    narrow, wide = stats.ratio(calm, calm, stats.median), stats.ratio(moved, calm, stats.median)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_ratio_interval_does_not_take_neighbours_for_independent() -> None:
    rng = np.random.default_rng(2)
    wandering = [20 + np.repeat(rng.normal(0, 1, 20), 50)]  # fifty alike in a row
    mixed = [rng.permutation(wandering[0])]
    bare = [np.full(10, 20.0)]
    wide, narrow = stats.ratio(wandering, bare, np.mean), stats.ratio(mixed, bare, np.mean)  # type: ignore[arg-type]
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_ratio_is_the_same_for_the_same_samples() -> None:
    assert stats.ratio(blocks(3.0), blocks(2.0), stats.median) == stats.ratio(blocks(3.0), blocks(2.0), stats.median)


def test_ratio_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        stats.ratio([np.array([])], blocks(2.0), stats.median)


def test_percentile_of_known_samples() -> None:
    assert stats.percentile(99)(np.arange(101.0)) == pytest.approx(99.0)


def test_order_goes_there_and_back() -> None:
    assert list(stats.interleaved(("A", "B"), 2)) == list("ABBAABBA")
    assert list(stats.interleaved(("A", "B", "C"), 1)) == list("ABCCBA")


def test_time_from_the_tick_counts_what_a_pause_skipped() -> None:
    done = {0: 0.02, 1: 0.12, 5: 0.53}  # ticks 2 to 4 were skipped by a pause
    late = stats.from_ticks(done, 0, 5, start_s=0.0, period_s=0.1)
    assert late == pytest.approx([0.02, 0.02, 0.33, 0.23, 0.13, 0.03])


def test_time_from_the_tick_leaves_out_what_the_end_cut_short() -> None:
    assert stats.from_ticks({0: 0.02}, 0, 3, 0.0, 0.1) == pytest.approx([0.02])
    assert len(stats.from_ticks({}, 0, 3, 0.0, 0.1)) == 0


def test_time_from_the_tick_takes_the_first_answer_that_came() -> None:
    assert stats.from_ticks({0: 0.3, 1: 0.15}, 0, 1, 0.0, 0.1) == pytest.approx([0.15, 0.05])
