"""Queues between tasks and threads: a slot for the newest value, a bounded fan-out, ticks without drift, a ThreadQueue.

All but ThreadQueue belong to one event loop and are not thread-safe.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """A slot for the newest value; a value that is replaced before it was read is counted in `dropped`."""

    def __init__(self) -> None:
        self.dropped = 0
        self._slot: deque[T] = deque(maxlen=1)
        self._filled = asyncio.Event()

    def put(self, value: T) -> None:
        """Replace the value; never waits."""
        self.dropped += len(self._slot)
        self._slot.append(value)
        self._filled.set()

    async def get(self) -> T:
        """Wait for a value, remove and return it. One reader at a time."""
        await self._filled.wait()
        self._filled.clear()
        return self._slot.pop()


MAX_WAITING_BYTES = 192_000_000
"""What the pictures that wait for one observer may take: 200 of a camera of 640x480, 30 of one of 1920x1080."""


class Subscription(Generic[T]):
    """One observer's queue, bounded in values and, by their `nbytes`, in memory.

    When it is full, the oldest values are dropped and counted.
    """

    def __init__(self, name: str, size: int, only: tuple[type, ...] = (object,)) -> None:
        self.name = name
        self.only = only
        self.dropped = 0
        self._size = size
        self._bytes = 0
        self._queue: deque[T] = deque()
        self._filled = asyncio.Event()

    def put(self, value: T) -> None:
        """Add a value; never waits."""
        self._queue.append(value)
        self._bytes += getattr(value, "nbytes", 0)
        while len(self._queue) > self._size or (self._bytes > MAX_WAITING_BYTES and len(self._queue) > 1):
            self._take()
            self.dropped += 1
        self._filled.set()

    def _take(self) -> T:
        value = self._queue.popleft()
        self._bytes -= getattr(value, "nbytes", 0)
        return value

    async def get(self) -> T:
        """Wait for the oldest value, remove and return it. One reader at a time."""
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        return self._take()

    def __len__(self) -> int:
        return len(self._queue)


class Fanout(Generic[T]):
    """Publishes values to any number of subscriptions; the publisher never waits."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription[T]] = []

    def subscribe(self, name: str, size: int, only: tuple[type, ...] = (object,)) -> Subscription[T]:
        """Add a queue of at most `size` values, `only` of these classes, for the observer `name`."""
        subscription: Subscription[T] = Subscription(name, size, only)
        self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription[T]) -> None:
        """Remove a queue."""
        self._subscriptions.remove(subscription)

    def publish(self, value: T) -> None:
        """Put `value` into every queue that takes its class."""
        for subscription in self._subscriptions:
            if isinstance(value, subscription.only):
                subscription.put(value)

    def dropped(self) -> dict[str, int]:
        """Return how many values each observer has lost, by its name."""
        return {subscription.name: subscription.dropped for subscription in self._subscriptions}

    def waiting(self) -> dict[str, int]:
        """Return how many values wait for each observer, by its name."""
        return {subscription.name: len(subscription) for subscription in self._subscriptions}


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of `pace`: its number, when it was due, how late it came, and how many were skipped before it."""

    index: int
    due_s: float
    late_s: float
    missed: int


async def pace(period_s: float, clock: Callable[[], float] | None = None) -> AsyncIterator[Tick]:
    """Tick at absolute deadlines, `start + n * period_s`, so that lateness never adds up to drift.

    Ticks that are late by a whole period or more are skipped, not made up for in a burst. `clock`, in seconds, is the
    loop's own by default.
    """
    clock = clock or asyncio.get_running_loop().time
    start_s, index, missed = clock(), 0, 0
    while True:
        due_s = start_s + index * period_s
        if (wait_s := due_s - clock()) > 0:
            await asyncio.sleep(wait_s)
        late_s = max(0.0, clock() - due_s)
        yield Tick(index, due_s, late_s, missed)
        following = max(index + 1, int((clock() - start_s) / period_s))
        missed = following - index - 1
        index = following


class ThreadQueue(Generic[T]):
    """A bounded queue from one thread to another; when it is full, the newest value is refused and counted as lost.

    Args:
        wake: wakes the consumer; called by the producer, at most once until `arm_wakeup`.
        max_items: how many values may wait.
        max_bulky: how many of them may be bulky (raw pictures).
    """

    def __init__(self, wake: Callable[[], None], *, max_items: int = 20_000, max_bulky: int = 30) -> None:
        self.lost = 0
        self.lost_bulky = 0
        self._wake = wake
        self._max_items = max_items
        self._max_bulky = max_bulky
        self._queue: deque[tuple[T, bool]] = deque()
        self._awake = False
        self._bulky_in = 0  # written by the producer only
        self._bulky_out = 0  # written by the consumer only

    def put(self, value: T, *, bulky: bool = False) -> bool:
        """Add a value; return false where there was no room. Never waits. For the producer."""
        if bulky and self._bulky_in - self._bulky_out >= self._max_bulky:
            self.lost_bulky += 1
            return False
        if len(self._queue) >= self._max_items:
            self.lost += 1
            return False
        self._bulky_in += bulky
        self._queue.append((value, bulky))
        # No lock: where the consumer clears the flag just now, it is woken once too often, never too seldom.
        if not self._awake:
            self._awake = True
            self._wake()
        return True

    def arm_wakeup(self) -> None:
        """Let the next `put` wake the consumer again. For the consumer, before it empties the queue."""
        self._awake = False

    def pop(self) -> T | None:
        """Remove and return the oldest value, None where there is none. For the consumer."""
        if not self._queue:
            return None
        value, bulky = self._queue.popleft()
        self._bulky_out += bulky
        return value

    def __len__(self) -> int:
        return len(self._queue)
