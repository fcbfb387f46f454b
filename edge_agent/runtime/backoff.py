"""How long to wait before trying again: doubling, capped, and never the same for two trains.

Knows numbers. Knows nothing of what is tried.
"""

import random
from collections.abc import Callable


class Backoff:
    """Waits between attempts: half to whole of a limit that doubles from `first_s` up to `longest_s`.

    `spread` gives a number of 0 to 1 for each wait, so that many who lost the same thing do not all come back at once.
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
        """Start anew: the last attempt went well."""
        self._limit_s = self._first_s
