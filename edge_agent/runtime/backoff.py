"""Exponential backoff with jitter: the wait before the next attempt."""

import random
from collections.abc import Callable


class Backoff:
    """Returns waits of 50% to 100% of a limit that doubles from `first_s` up to `longest_s`.

    `spread` returns a number from 0 to 1 for each wait, so that trains that lost the same broker do not all return at
    once.
    """

    def __init__(self, longest_s: float, first_s: float = 0.5, spread: Callable[[], float] = random.random) -> None:
        self._first_s = min(first_s, longest_s)
        self._longest_s = longest_s
        self._spread = spread
        self._limit_s = self._first_s

    def next_s(self) -> float:
        """Return the wait before the next attempt, in seconds."""
        limit_s = self._limit_s
        self._limit_s = min(self._longest_s, limit_s * 2)
        return limit_s * (0.5 + self._spread() / 2)

    def reset(self) -> None:
        """Start again at `first_s`, after an attempt that succeeded."""
        self._limit_s = self._first_s
