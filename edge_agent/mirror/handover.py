"""How values get from the event loop to a thread: bounded, without a lock, and the loop never waits.

Knows counting. Knows nothing of what is handed over beyond whether it is bulky. One thread offers, one takes.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """A bounded queue from one thread to another; a value that finds no room is refused and counted as lost.

    The newest is refused, not the oldest dropped: what is in the queue is the past without gaps.

    Args:
        wake: tells the taking thread that something is here; called at most once until it has looked.
        max_items: room for values.
        max_bulky: room for bulky ones among them (raw pictures).
    """

    def __init__(self, wake: Callable[[], None], *, max_items: int = 20_000, max_bulky: int = 30) -> None:
        self.lost = 0
        self.lost_bulky = 0
        self._wake = wake
        self._max_items = max_items
        self._max_bulky = max_bulky
        self._queue: deque[tuple[T, bool]] = deque()
        self._awake = False
        self._bulky_in = 0  # written by the offering thread only
        self._bulky_out = 0  # written by the taking thread only

    def offer(self, value: T, *, bulky: bool = False) -> bool:
        """Hand over a value; False where there was no room. Never waits. For the offering thread."""
        if bulky and self._bulky_in - self._bulky_out >= self._max_bulky:
            self.lost_bulky += 1
            return False
        if len(self._queue) >= self._max_items:
            self.lost += 1
            return False
        self._bulky_in += bulky
        self._queue.append((value, bulky))
        if not self._awake:  # a flag set late costs a second wake-up; it never costs one that is needed
            self._awake = True
            self._wake()
        return True

    def look(self) -> None:
        """Have the next offer wake the taking thread again. For that thread, before it takes."""
        self._awake = False

    def take(self) -> T | None:
        """Return the oldest value, None where there is none. For the taking thread."""
        if not self._queue:
            return None
        value, bulky = self._queue.popleft()
        self._bulky_out += bulky
        return value

    def __len__(self) -> int:
        """Count the values that wait."""
        return len(self._queue)
