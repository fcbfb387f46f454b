"""Ratios of statistics with bootstrap intervals, from samples taken in blocks; pure, with a seed for randomness."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
_SEED = 1

Block = NDArray[np.float64]
"""The samples of one block, in the order in which they were taken."""
Statistic = Callable[[Block], float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


def percentile(percent: float) -> Statistic:
    """Return the statistic that is this percentile, interpolated between neighbours."""
    return lambda samples: float(np.percentile(samples, percent))


def median(samples: Block) -> float:
    """Return the median."""
    return float(np.median(samples))


def ratio(
    ours: Sequence[Block], bare: Sequence[Block], statistic: Statistic, *, draws: int = DRAWS, seed: int = _SEED
) -> Interval:
    """Return statistic(ours) / statistic(bare) over all samples, with a bootstrap interval.

    Resampled are the blocks, then stretches of neighbouring samples within each: neighbours are correlated, and an
    interval that assumed independence would be too narrow. Raises ValueError where one side has no samples.
    """
    one, other = _used(ours), _used(bare)
    rng = np.random.default_rng(seed)
    value = statistic(np.concatenate(one)) / statistic(np.concatenate(other))
    drawn = [statistic(_drawn(one, rng)) / statistic(_drawn(other, rng)) for _ in range(draws)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def _used(blocks: Sequence[Block]) -> list[Block]:
    used = [np.asarray(block, np.float64) for block in blocks if len(block)]
    if not used:
        raise ValueError("there are no samples")
    return used


def _drawn(blocks: Sequence[Block], rng: np.random.Generator) -> Block:
    """Resample blocks and, within each, stretches of about the square root of its length."""
    parts = []
    for index in rng.integers(0, len(blocks), len(blocks)):
        block = blocks[index]
        stretch = max(1, round(len(block) ** 0.5))
        starts = rng.integers(0, len(block), -(-len(block) // stretch))
        places = (starts[:, None] + np.arange(stretch)).reshape(-1)[: len(block)] % len(block)
        parts.append(block[places])
    return np.concatenate(parts)


def interleaved(arms: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield the arms' names A B B A, or A B C C B A, `rounds` times: drift affects all arms alike."""
    for _ in range(rounds):
        yield from arms
        yield from reversed(arms)


def from_ticks(done_s: Mapping[int, float], first: int, last: int, start_s: float, period_s: float) -> Block:
    """Return, for each intended tick from `first` to `last`, the seconds until it or a later one was answered.

    `done_s` holds the time of the answer by tick. A tick whose picture was skipped waits for the next answer: leaving
    it out would hide the pauses that matter (coordinated omission). Ticks after the last answer are left out, because
    the end of the block cut them short.
    """
    late, answered_s = [], np.inf
    for tick in range(last, first - 1, -1):
        answered_s = min(answered_s, done_s.get(tick, np.inf))
        if np.isfinite(answered_s):
            late.append(answered_s - (start_s + tick * period_s))
    return np.array(late[::-1])
