"""All viewers of a console: who gets which change of the store, and the beat of what changes all the time.

Knows viewers and messages. Knows nothing of HTTP. Lives in one event loop; the clock is in milliseconds since 1970.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from edge_agent.console import messages
from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.schemas import Train
from edge_agent.console.store import BoxesSeen, Change, FrameTaken, ItemAdded, TrainChanged, TrainRemoved, TrainStore
from edge_agent.console.viewer_queue import FrameMessage, ViewerQueue
from edge_agent.runtime.queues import Latest, pace

BEAT_S = 0.2
"""A train's view is told five times a second at most."""

OVERVIEW_MS = 500
"""In the overview a train has a new frame this often."""

_EVERY = 5
"""In every so many beats all trains are looked at: one that has become silent changes by itself."""


class Subscriber:
    """A viewer, and what wakes the task that sends to it."""

    def __init__(self, train_id: str | None) -> None:
        self.queue = ViewerQueue(train_id)
        self.wake = asyncio.Event()


class LatestPicture:
    """One slot for the newest picture of a train, for who wants nothing else."""

    def __init__(self, train_id: str) -> None:
        self.train_id = train_id
        self._slot: Latest[StoredPicture] = Latest()
        self.put, self.get = self._slot.put, self._slot.get


class Broadcaster:
    """Hands changes to viewers.

    Args:
        store: what hello and views are made of.
        small: makes a smaller encoding of a picture for the overview; called in the loop, at most twice a second for a
            train while somebody looks at all of them.
        now_ms: our clock.
    """

    def __init__(
        self, store: TrainStore, now_ms: Callable[[], int], small: Callable[[StoredPicture], bytes] | None = None
    ) -> None:
        self.guests: set[Subscriber] = set()
        self.taps: set[LatestPicture] = set()
        self._store = store
        self._now_ms = now_ms
        self._small = small
        self._told: dict[str, Train] = {}
        self._dirty: set[str] = set()
        self._overview_ms: dict[str, int] = {}

    def enter(self, train_id: str | None, api: dict[str, Any]) -> Subscriber:
        """Add a viewer, with all it has to know at first."""
        guest, now_ms = Subscriber(train_id), self._now_ms()
        guest.queue.tell(messages.hello(now_ms, self._store.trains(now_ms), api))
        self.guests.add(guest)
        self.look(guest)
        return guest

    def leave(self, guest: Subscriber) -> None:
        """Take a viewer off."""
        self.guests.discard(guest)

    @contextlib.contextmanager
    def tapped(self, train_id: str) -> Iterator[LatestPicture]:
        """Yield a tap that gets each picture of a train."""
        tap = LatestPicture(train_id)
        self.taps.add(tap)
        try:
            yield tap
        finally:
            self.taps.discard(tap)

    def look(self, guest: Subscriber) -> None:
        """Have a viewer see the newest picture of each train that it watches now."""
        trains = self._store.trains(self._now_ms()) if guest.queue.train_id is None else ()
        for train_id in [train.id for train in trains] or [guest.queue.train_id or ""]:
            kept, book = self._store.newest(train_id), self._store.book(train_id)
            if kept is not None and book is not None:
                guest.queue.show(messages.picture(kept, book.ahead.to_ours(kept.at_ms)))
        guest.wake.set()

    def tell_all(self, text: str) -> None:
        """Tell every viewer."""
        self._tell(list(self.guests), text)

    def publish(self, changes: Iterable[Change]) -> None:
        """Hand changes to those who watch."""
        for change in changes:
            match change:
                case TrainChanged(train_id):
                    self._dirty.add(train_id)
                case ItemAdded(train_id) if guests := self._watching(train_id):
                    self._tell(guests, messages.item(change))
                case TrainRemoved(train_id):
                    self._told.pop(train_id, None)
                    self._overview_ms.pop(train_id, None)
                    self._tell(list(self.guests), messages.gone(change))
                case BoxesSeen(train_id) if guests := self._watching(train_id):
                    self._boxes(guests, change)
                case FrameTaken(train_id):
                    self._frame(self._watching(train_id), change)

    def beat(self, *, everybody: bool) -> None:
        """Tell the views that have changed, and wake those who may get another frame."""
        now_ms = self._now_ms()
        self.publish(self._store.tick(now_ms) if everybody else ())
        views = self._store.trains(now_ms) if everybody else self._views(now_ms)
        self._dirty.clear()
        for view in views:
            known = replace(view, seen_ms=0)
            if self._told.get(view.id) == known:
                continue
            self._told[view.id] = known
            if self.guests:
                text = messages.train(view)
                for guest in self.guests:
                    guest.queue.state("train", view.id, text)
        for guest in self.guests:
            guest.wake.set()

    async def run(self) -> None:
        """Beat until cancelled."""
        async for tick in pace(BEAT_S):
            self.beat(everybody=tick.index % _EVERY == 0)

    def _views(self, now_ms: int) -> list[Train]:
        books = (self._store.book(train_id) for train_id in self._dirty)
        return [book.view(now_ms) for book in books if book is not None]

    def _watching(self, train_id: str) -> list[Subscriber]:
        return [guest for guest in self.guests if guest.queue.wants(train_id)]

    def _tell(self, guests: list[Subscriber], text: str) -> None:
        for guest in guests:
            guest.queue.tell(text)
            guest.wake.set()

    def _boxes(self, guests: list[Subscriber], change: BoxesSeen) -> None:
        text = messages.boxes(change)
        for guest in guests:
            if guest.queue.train_id is not None or guest.queue.has(change.train_id, change.boxes.frame_id):
                guest.queue.state("boxes", change.train_id, text)
                guest.wake.set()

    def _frame(self, guests: list[Subscriber], change: FrameTaken) -> None:
        for tap in self.taps:
            if tap.train_id == change.train_id:
                tap.put(change.picture)
        large = [guest for guest in guests if guest.queue.train_id is not None]
        if large:
            self._show(large, messages.picture(change.picture, change.at_ms))
        now_ms, last_ms = change.picture.seen_ms, self._overview_ms.get(change.train_id)
        if len(large) < len(guests) and (last_ms is None or not 0 <= now_ms - last_ms < OVERVIEW_MS):
            self._overview_ms[change.train_id] = now_ms
            data = self._small(change.picture) if self._small else None
            others = [guest for guest in guests if guest.queue.train_id is None]
            self._show(others, messages.picture(change.picture, change.at_ms, data))

    @staticmethod
    def _show(guests: list[Subscriber], picture: FrameMessage) -> None:
        for guest in guests:
            guest.queue.show(picture)
            guest.wake.set()
