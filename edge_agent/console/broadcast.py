"""Distributes changes of the store to all viewers, each serialized once.

Items and frames are sent when they come; a train's view only periodically, because it changes with every event. Runs in
one event loop; times are in ms since 1970.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.schemas import Train, Trouble, to_json
from edge_agent.console.store import BoxesSeen, Change, FrameTaken, ItemAdded, TrainChanged, TrainRemoved, TrainStore
from edge_agent.console.viewer_queue import FrameMessage, ViewerQueue
from edge_agent.runtime.queues import Latest, pace

PERIOD_S = 0.2
"""The view of a train is sent at most five times a second."""


class Subscriber:
    """A viewer's queue, and the event that wakes the task sending from it."""

    def __init__(self, train_id: str | None) -> None:
        self.queue = ViewerQueue(train_id)
        self.wake = asyncio.Event()


class LatestPicture:
    """Holds the newest picture of a train for one reader of a stream."""

    def __init__(self, train_id: str) -> None:
        self.train_id = train_id
        self._slot: Latest[StoredPicture] = Latest()
        self.put, self.get = self._slot.put, self._slot.get


class Broadcaster:
    """Sends changes to `subscribers` and pictures to `streams`.

    Args:
        make_thumbnail: returns a smaller encoding of a picture for the overview; called in the loop, at most twice a
            second per train while somebody has the overview open.
    """

    def __init__(
        self,
        store: TrainStore,
        now_ms: Callable[[], int],
        make_thumbnail: Callable[[StoredPicture], bytes] | None = None,
    ) -> None:
        self.subscribers: set[Subscriber] = set()
        self.streams: set[LatestPicture] = set()
        self._store = store
        self._now_ms = now_ms
        self._make_thumbnail = make_thumbnail
        self._sent_views: dict[str, Train] = {}
        self._changed: set[str] = set()
        self._overview_ms: dict[str, int] = {}

    def subscribe(self, train_id: str | None, api: dict[str, Any]) -> Subscriber:
        """Add a viewer and send it the current state."""
        subscriber, now_ms = Subscriber(train_id), self._now_ms()
        subscriber.queue.add_text(_hello_message(now_ms, self._store.trains(now_ms), api))
        self.subscribers.add(subscriber)
        self.send_newest(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a viewer."""
        self.subscribers.discard(subscriber)

    @contextlib.contextmanager
    def latest_picture(self, train_id: str) -> Iterator[LatestPicture]:
        """Yield a slot that receives each picture of a train."""
        latest = LatestPicture(train_id)
        self.streams.add(latest)
        try:
            yield latest
        finally:
            self.streams.discard(latest)

    def send_newest(self, subscriber: Subscriber) -> None:
        """Send the newest picture of each train that a viewer watches."""
        trains = self._store.trains(self._now_ms()) if subscriber.queue.train_id is None else ()
        for train_id in [train.id for train in trains] or [subscriber.queue.train_id or ""]:
            newest, train = self._store.newest(train_id), self._store.train(train_id)
            if newest is not None and train is not None:
                subscriber.queue.add_frame(_frame_message(newest, train.clock_offset.to_ours(newest.at_ms)))
        subscriber.wake.set()

    def send_trouble(self, trouble: Trouble | None) -> None:
        """Tell all viewers why no events arrive, or (None) that they do again."""
        text = to_json(trouble).decode() if trouble else "null"
        self._send(self.subscribers, f'{{"t":"trouble","trouble":{text}}}')

    def publish(self, changes: Iterable[Change]) -> None:
        """Send changes to the viewers that watch their train."""
        for change in changes:
            match change:
                case TrainChanged(train_id):
                    self._changed.add(train_id)
                case ItemAdded(train_id) if subscribers := self._watching(train_id):
                    item = to_json(change.item).decode()
                    self._send(subscribers, f'{{"t":"item","train":{json.dumps(train_id)},"item":{item}}}')
                case TrainRemoved(train_id):
                    self._sent_views.pop(train_id, None)
                    self._overview_ms.pop(train_id, None)
                    self._send(self.subscribers, json.dumps({"t": "gone", "id": train_id}))
                case BoxesSeen(train_id) if subscribers := self._watching(train_id):
                    self._send_boxes(subscribers, change)
                case FrameTaken(train_id):
                    self._send_frame(self._watching(train_id), change)

    def publish_periodic(self, *, scan_all: bool) -> None:
        """Send the views that have changed, and wake viewers that may receive another frame."""
        now_ms = self._now_ms()
        self.publish(self._store.expire(now_ms) if scan_all else ())
        views = self._store.trains(now_ms) if scan_all else self._changed_views(now_ms)
        self._changed.clear()
        for view in views:
            # `seen_ms` changes with every event; alone it is not worth a message.
            comparable = replace(view, seen_ms=0)
            if self._sent_views.get(view.id) == comparable:
                continue
            self._sent_views[view.id] = comparable
            if self.subscribers:
                text = f'{{"t":"train","train":{to_json(view).decode()}}}'
                for subscriber in self.subscribers:
                    subscriber.queue.set_state("train", view.id, text)
        for subscriber in self.subscribers:
            subscriber.wake.set()

    async def run(self) -> None:
        """Publish periodically until cancelled."""
        async for tick in pace(PERIOD_S):
            # Every so many periods all trains are checked, not only those with events: a silent one becomes stale.
            self.publish_periodic(scan_all=tick.index % 5 == 0)

    def _changed_views(self, now_ms: int) -> list[Train]:
        trains = (self._store.train(train_id) for train_id in self._changed)
        return [train.view(now_ms) for train in trains if train is not None]

    def _watching(self, train_id: str) -> list[Subscriber]:
        return [subscriber for subscriber in self.subscribers if subscriber.queue.watches(train_id)]

    @staticmethod
    def _send(subscribers: Iterable[Subscriber], text: str) -> None:
        for subscriber in subscribers:
            subscriber.queue.add_text(text)
            subscriber.wake.set()

    @staticmethod
    def _send_boxes(subscribers: list[Subscriber], change: BoxesSeen) -> None:
        body = to_json(replace(change.boxes, at_ms=change.at_ms)).decode()
        text = f'{{"t":"boxes","train":{json.dumps(change.train_id)},{body[1:]}'
        for subscriber in subscribers:
            # The overview shows few frames; boxes of the others would have nothing to be drawn on.
            in_overview = subscriber.queue.train_id is None
            if not in_overview or subscriber.queue.has_frame(change.train_id, change.boxes.frame_id):
                subscriber.queue.set_state("boxes", change.train_id, text)
                subscriber.wake.set()

    def _send_frame(self, subscribers: list[Subscriber], change: FrameTaken) -> None:
        for latest in self.streams:
            if latest.train_id == change.train_id:
                latest.put(change.picture)
        single = [subscriber for subscriber in subscribers if subscriber.queue.train_id is not None]
        if single:
            self._add_frame(single, _frame_message(change.picture, change.at_ms))
        now_ms, last_ms = change.picture.seen_ms, self._overview_ms.get(change.train_id)
        # The overview gets a frame of each train every 500 ms.
        if len(single) < len(subscribers) and (last_ms is None or not 0 <= now_ms - last_ms < 500):
            self._overview_ms[change.train_id] = now_ms
            data = self._make_thumbnail(change.picture) if self._make_thumbnail else None
            overview = [subscriber for subscriber in subscribers if subscriber.queue.train_id is None]
            self._add_frame(overview, _frame_message(change.picture, change.at_ms, data))

    @staticmethod
    def _add_frame(subscribers: list[Subscriber], frame: FrameMessage) -> None:
        for subscriber in subscribers:
            subscriber.queue.add_frame(frame)
            subscriber.wake.set()


def _hello_message(now_ms: int, trains: list[Train], api: dict[str, Any]) -> str:
    views = b",".join(to_json(view) for view in trains).decode()
    return f'{{"t":"hello","now_ms":{now_ms},"trains":[{views}],"api":{json.dumps(api)}}}'


def _frame_message(picture: StoredPicture, at_ms: int, data: bytes | None = None) -> FrameMessage:
    """Return a frame ready to be sent; `data` is another encoding of it, e.g. a smaller one."""
    head = {
        "train": picture.train_id,
        "frame_id": picture.frame_id,
        "sequence": picture.sequence,
        "at_ms": at_ms,
        "width": picture.width,
        "height": picture.height,
    }
    encoded = picture.data if data is None else data
    return FrameMessage(picture.train_id, picture.frame_id, json.dumps(head)[:-1], encoded)
