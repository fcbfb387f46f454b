"""What happened on one train, in order, and what led to what.

Knows items and their links. Knows nothing of pictures or of the train's state. Pure.
"""

from collections import deque
from collections.abc import Callable, Iterator

from edge_agent.console.schemas import Item

MAX_ITEMS = 1000
"""Items of one train that are kept; some 0.5 kB each."""


class Timeline:
    """The newest items, at most MAX_ITEMS of them; one that comes twice is kept once."""

    def __init__(self, max_items: int = MAX_ITEMS) -> None:
        self._items: deque[Item] = deque()
        self._by_id: dict[str, Item] = {}
        self._max_items = max_items

    def add(self, item: Item) -> bool:
        """Add an item; False where it is here already."""
        if item.id in self._by_id:
            return False
        self._items.append(item)
        self._by_id[item.id] = item
        if len(self._items) > self._max_items:
            gone = self._items.popleft()
            del self._by_id[gone.id]
        return True

    def get(self, item_id: str | None) -> Item | None:
        """Return an item by its id."""
        return self._by_id.get(item_id) if item_id is not None else None

    def last(self, fits: Callable[[Item], bool]) -> Item | None:
        """Return the newest item that fits."""
        return next(filter(fits, reversed(self._items)), None)

    def between(self, since_ms: int | None, before_ms: int | None, limit: int) -> list[Item]:
        """Return at most `limit` items, the newest of those from `since_ms` on and before `before_ms`; oldest first."""
        found = (
            item
            for item in self._items
            if (before_ms is None or item.at_ms < before_ms) and (since_ms is None or item.at_ms >= since_ms)
        )
        return sorted(found, key=lambda item: item.at_ms)[-limit:]  # some come late: an outbox was draining

    def chain(self, frame_id: str) -> tuple[Item, ...]:
        """Return what a frame led to, and what led to that: sign, decision, command; oldest first."""
        wanted = {item.id for item in self._items if item.frame_id == frame_id}
        for item_id in tuple(wanted):
            wanted.update(self._ancestors(item_id))
        for item in self._items:  # causes stand before what they led to: one pass finds the descendants
            if item.cause in wanted:
                wanted.add(item.id)
        return tuple(item for item in self._items if item.id in wanted)

    def _ancestors(self, item_id: str) -> Iterator[str]:
        seen = {item_id}
        item = self._by_id.get(item_id)
        while item is not None and (item := self.get(item.cause)) is not None and item.id not in seen:
            seen.add(item.id)
            yield item.id
