"""How values travel between tasks: one slot for the newest, a bounded fan-out for observers, ticks that never drift.

Knows the event loop's clock. Knows nothing of frames, trains or observers. Everything here is for one event loop and
is not thread-safe.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """One slot that holds the newest value; a value that was never read is dropped and counted."""

    def __init__(self) -> None:
        self.dropped = 0
        self._slot: deque[T] = deque(maxlen=1)
        self._filled = asyncio.Event()

    def put(self, value: T) -> None:
        """Replace what is in the slot; never waits."""
        self.dropped += len(self._slot)
        self._slot.append(value)
        self._filled.set()

    async def get(self) -> T:
        """Wait for a value and take it out of the slot. One reader at a time."""
        await self._filled.wait()
        self._filled.clear()
        return self._slot.pop()


class Subscription(Generic[T]):
    """One observer's bounded queue. The oldest value falls out when it is full, and is counted in `dropped`."""

    def __init__(self, name: str, size: int, only: tuple[type, ...] = (object,)) -> None:
        self.name = name
        self.only = only
        self.dropped = 0
        self._queue: deque[T] = deque(maxlen=size)
        self._filled = asyncio.Event()

    def offer(self, value: T) -> None:
        """Add a value; never waits."""
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(value)
        self._filled.set()

    async def get(self) -> T:
        """Wait for the oldest value that is still here. One reader at a time."""
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        return self._queue.popleft()

    def __len__(self) -> int:
        """Count the values that wait."""
        return len(self._queue)


class Fanout(Generic[T]):
    """Hands every published value to every subscription; the publisher never waits for any of them."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription[T]] = []

    def subscribe(self, name: str, size: int, only: tuple[type, ...] = (object,)) -> Subscription[T]:
        """Open a queue of at most `size` values, `only` of these classes, for the observer `name`."""
        subscription: Subscription[T] = Subscription(name, size, only)
        self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription[T]) -> None:
        """Close a queue; what waits in it is gone."""
        self._subscriptions.remove(subscription)

    def publish(self, value: T) -> None:
        """Offer `value` to every subscription that takes its class."""
        for subscription in self._subscriptions:
            if isinstance(value, subscription.only):
                subscription.offer(value)

    def dropped(self) -> dict[str, int]:
        """Tell how many values each observer has lost, by its name."""
        return {subscription.name: subscription.dropped for subscription in self._subscriptions}

    def waiting(self) -> dict[str, int]:
        """Tell how many values wait for each observer, by its name."""
        return {subscription.name: len(subscription) for subscription in self._subscriptions}


@dataclass(frozen=True, slots=True)
class Tick:
    """One beat of a pace: its number, when it was due, how late it came, and how many beats were missed before it."""

    index: int
    due_s: float
    late_s: float
    missed: int


async def pace(period_s: float, clock: Callable[[], float] | None = None) -> AsyncIterator[Tick]:
    """Tick at absolute deadlines, `start + n * period_s`, so that lateness never adds up to drift.

    A tick that comes later than a whole period skips the beats it missed instead of making them up in a burst.
    `clock` is the loop's own by default.
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
