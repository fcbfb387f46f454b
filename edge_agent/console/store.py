"""All trains of a console, folded from CloudEvents within fixed memory budgets.

One code path for the train's own events and for Kafka's messages. Performs no I/O; times are arguments, in ms since
1970.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.console.picture_history import PictureHistory, StoredPicture, image_size
from edge_agent.console.schemas import Boxes, FrameView, Item, Links, Train
from edge_agent.console.train_state import EventRef, TrainProjection
from edge_agent.events import CommandKind
from edge_agent.observers.cloudevents import (
    AnswerData,
    CommandData,
    DecisionData,
    EncodedImage,
    Envelope,
    FaultData,
    MalformedMessageError,
    Payload,
    PredictionData,
    StateData,
    from_cloudevent,
)
from edge_agent.observers.cloudevents.payloads import from_rfc3339

MAX_TRAINS = 200
MAX_PIXELS = 16_000_000
MAX_PICTURE_BYTES = 4_000_000
"""Larger pictures are rejected: no train takes them, and decoding one could exhaust the memory."""

_REPLACEABLE_MS = 60_000
_MAX_ID_LENGTH = 128


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """A new item of a train's timeline."""

    train_id: str
    item: Item


@dataclass(frozen=True, slots=True)
class BoxesSeen:
    """The detections of a frame. `at_ms` is the exposure time on our clock."""

    train_id: str
    boxes: Boxes
    at_ms: int


@dataclass(frozen=True, slots=True)
class FrameTaken:
    """A new picture. `at_ms` is the exposure time on our clock."""

    train_id: str
    picture: StoredPicture
    at_ms: int


@dataclass(frozen=True, slots=True)
class TrainChanged:
    """The view of a train may have changed."""

    train_id: str


@dataclass(frozen=True, slots=True)
class TrainRemoved:
    """A train was removed."""

    train_id: str


Change = ItemAdded | BoxesSeen | FrameTaken | TrainChanged | TrainRemoved


class TrainStore:
    """Folds the CloudEvents of any number of trains.

    `unreadable` counts what is not an event of a train, `refused` events with invalid ids or of more than MAX_TRAINS.

    Args:
        budget_bytes: for the pictures of all trains together.
        history_s: how long pictures are kept if the budget allows it.
    """

    def __init__(self, budget_bytes: int, history_s: float) -> None:
        self.unreadable = 0
        self.refused = 0
        self.pictures = PictureHistory(budget_bytes, round(history_s * 1000))
        self._trains: dict[str, TrainProjection] = {}
        self._newest: dict[str, StoredPicture] = {}

    def fold(self, envelope: Envelope, now_ms: int) -> list[Change]:
        """Apply an event that arrived at `now_ms` and return what it changed; never raises for its content."""
        try:
            return self._fold(envelope, now_ms)
        except (MalformedMessageError, ValueError, OverflowError):  # not an event of a train, or an impossible date
            self.unreadable += 1
            return []

    def _fold(self, envelope: Envelope, now_ms: int) -> list[Change]:
        value = from_cloudevent(envelope)
        ref = EventRef(envelope.id, envelope.causationid, from_rfc3339(envelope.time or ""))
        train_id = envelope.train_id
        valid = train_id and len(envelope.id) <= _MAX_ID_LENGTH and envelope.id.isprintable()
        train = self._get_or_add(train_id, now_ms) if train_id and valid else None
        if train is None:
            self.refused += 1
            return []
        train.seen_ms = now_ms
        train.clock_offset.observe(ref.at_ms, now_ms)
        if isinstance(value, EncodedImage):
            return [*self._fold_frame(train, ref, value, envelope, now_ms), TrainChanged(train.train_id)]
        return [*self._fold_event(train, ref, value), TrainChanged(train.train_id)]

    def update_facts(
        self, train_id: str, now_ms: int, *, name: str, links: Links, speed_mm_s: float | None
    ) -> list[Change]:
        """Set what a train's events do not contain; known only on the train itself."""
        train = self._get_or_add(train_id, now_ms)
        if train is None:
            return []
        train.name, train.links, train.speed_mm_s = name, links, speed_mm_s
        return [TrainChanged(train_id)]

    def expire(self, now_ms: int) -> list[Change]:
        """Drop pictures and trains that are too old."""
        self.pictures.expire(now_ms)
        # A train without events for a day is removed.
        gone = [train_id for train_id, train in self._trains.items() if now_ms - train.seen_ms > 24 * 3600 * 1000]
        return [self._remove(train_id) for train_id in gone]

    def trains(self, now_ms: int) -> list[Train]:
        """Return the state of every train, ordered by id."""
        return [self._trains[train_id].view(now_ms) for train_id in sorted(self._trains)]

    def train(self, train_id: str) -> TrainProjection | None:
        """Return one train, None if it is unknown."""
        return self._trains.get(train_id)

    def newest(self, train_id: str) -> StoredPicture | None:
        """Return the newest picture of a train."""
        return self._newest.get(train_id)

    def picture(self, train_id: str, frame_id: str) -> StoredPicture | None:
        """Return the picture of a frame, None if it is not stored (any more)."""
        newest = self.newest(train_id)
        if newest is not None and newest.frame_id == frame_id:
            return newest
        return self.pictures.get(train_id, frame_id)

    def frame(self, train_id: str, frame_id: str) -> FrameView | None:
        """Return what is known about a frame, None if nothing is."""
        train = self.train(train_id)
        if train is None:
            return None
        picture = self.picture(train_id, frame_id)
        boxes = picture.boxes if picture is not None and picture.boxes is not None else train.boxes(frame_id)
        chain = train.timeline.chain(frame_id)
        if picture is None and boxes is None and not chain:
            return None
        at_ms = picture.at_ms if picture else boxes.at_ms if boxes else chain[0].at_ms
        source = boxes or picture
        width, height = (source.width, source.height) if source else (0, 0)
        detections = boxes.detections if boxes else ()
        return FrameView(frame_id, at_ms, width, height, picture is not None, detections, chain)

    def _get_or_add(self, train_id: str, now_ms: int) -> TrainProjection | None:
        """Return a train, added if there is room for it."""
        train = self._trains.get(train_id)
        if train is None and len(train_id) <= _MAX_ID_LENGTH and train_id.isprintable():
            if len(self._trains) >= MAX_TRAINS:
                # Only a silent train is replaced: invented ids must not push out trains that send events.
                oldest = min(self._trains.values(), key=lambda each: each.seen_ms)
                if now_ms - oldest.seen_ms < _REPLACEABLE_MS:
                    return None
                self._remove(oldest.train_id)
            train = self._trains[train_id] = TrainProjection(train_id)
            train.seen_ms = now_ms
        return train

    def _remove(self, train_id: str) -> TrainRemoved:
        del self._trains[train_id]
        self._newest.pop(train_id, None)
        self.pictures.remove_train(train_id)
        return TrainRemoved(train_id)

    def _fold_frame(
        self, train: TrainProjection, ref: EventRef, image: EncodedImage, envelope: Envelope, now_ms: int
    ) -> Iterator[FrameTaken]:
        size = image_size(image.data)
        if size is None or size[0] * size[1] > MAX_PIXELS or len(image.data) > MAX_PICTURE_BYTES:
            self.unreadable += 1
            return
        newest = self._newest.get(train.train_id)
        if newest is not None and newest.frame_id == ref.event_id:
            return
        digits = envelope.sequence or ""
        sequence = int(digits) if digits.isascii() and digits.isdecimal() else 0
        picture = StoredPicture(train.train_id, ref.event_id, sequence, ref.at_ms, now_ms, *size, image.data)
        self.pictures.put(picture)
        if not train.on_frame(ref.at_ms):
            return
        self._newest[train.train_id] = picture
        yield FrameTaken(train.train_id, picture, train.clock_offset.to_ours(ref.at_ms))

    def _fold_event(self, train: TrainProjection, ref: EventRef, value: Payload) -> Iterator[Change]:
        items: list[Item | None] = []
        match value:
            case StateData():
                train.on_state(value, ref)
            case PredictionData():
                boxes, current, signs = train.on_prediction(value, ref)
                items += signs
                # Kept with the picture, so that they are known as long as the picture is.
                if (picture := self.picture(train.train_id, boxes.frame_id)) is not None:
                    picture.boxes = boxes
                if current:
                    yield BoxesSeen(train.train_id, boxes, train.clock_offset.to_ours(boxes.at_ms))
            case DecisionData():
                items.append(train.on_decision(value, ref))
            case CommandData():
                items.append(train.on_command(value, ref))
            case FaultData():
                items.append(train.on_fault(value, ref))
            case AnswerData():
                items.append(train.on_command_result(value, ref))
        for item in items:
            if item is not None:
                self._mark_picture(train, item)
                yield ItemAdded(train.train_id, item)

    def _mark_picture(self, train: TrainProjection, item: Item) -> None:
        """Keep the picture that an item is based on; for a brake without a frame, the newest one."""
        newest = self._newest.get(train.train_id)
        brake = isinstance(item.data, CommandData) and item.data.kind is CommandKind.BRAKE
        frame_id = item.frame_id or (newest.frame_id if newest is not None and brake else None)
        if frame_id is not None:
            self.pictures.mark(train.train_id, frame_id)
