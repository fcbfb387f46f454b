"""Everything the console knows of its trains, folded from envelopes, within fixed budgets.

Knows how an envelope becomes a change of a train. Knows nothing of where envelopes come from and who looks. Pure: the
clock is an argument, in milliseconds since 1970. One code path for the agent's own events and for Kafka's messages.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.console.image_size import size_of
from edge_agent.console.picture_history import PictureHistory, StoredPicture
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
"""A picture that claims to be larger is not one that a train of ours takes; decoding it could take all the memory."""

GONE_MS = 24 * 3600 * 1000
"""A train that was silent for a day is taken off the list."""

_SILENT_MS = 60_000
_MAX_ID = 128


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """A new line of a train's timeline."""

    train_id: str
    item: Item


@dataclass(frozen=True, slots=True)
class BoxesSeen:
    """What the detector saw in a frame. `at_ms` is the exposure on our clock."""

    train_id: str
    boxes: Boxes
    at_ms: int


@dataclass(frozen=True, slots=True)
class FrameTaken:
    """A new picture. `at_ms` is the exposure on our clock."""

    train_id: str
    picture: StoredPicture
    at_ms: int


@dataclass(frozen=True, slots=True)
class TrainChanged:
    """Something of a train's view may have changed."""

    train_id: str


@dataclass(frozen=True, slots=True)
class TrainRemoved:
    """A train was taken off the list."""

    train_id: str


Change = ItemAdded | BoxesSeen | FrameTaken | TrainChanged | TrainRemoved


class TrainStore:
    """Folds envelopes of any number of trains; `unreadable` counts what was no event of a train.

    Args:
        budget_bytes: for the pictures of all trains together.
        history_s: how long pictures are kept where the budget allows it.
    """

    def __init__(self, budget_bytes: int, history_s: float) -> None:
        self.unreadable = 0
        self.refused = 0
        self.pictures = PictureHistory(budget_bytes, round(history_s * 1000))
        self._books: dict[str, TrainProjection] = {}
        self._newest: dict[str, StoredPicture] = {}

    def fold(self, envelope: Envelope, now_ms: int) -> list[Change]:
        """Take in one envelope, heard at `now_ms`, and return what it changed; whatever it says, nothing is raised."""
        try:
            return self._fold(envelope, now_ms)
        except (MalformedMessageError, ValueError, OverflowError):  # no event of ours, or a moment that there is not
            self.unreadable += 1
            return []

    def _fold(self, envelope: Envelope, now_ms: int) -> list[Change]:
        value = from_cloudevent(envelope)
        stamp = EventRef(envelope.id, envelope.causationid, from_rfc3339(envelope.time or ""))
        train_id = envelope.train_id
        fits = train_id and len(envelope.id) <= _MAX_ID and envelope.id.isprintable()
        book = self._book(train_id, now_ms) if train_id and fits else None
        if book is None:
            self.refused += 1
            return []
        book.seen_ms = now_ms
        book.ahead.hear(stamp.at_ms, now_ms)
        if isinstance(value, EncodedImage):
            return [*self._frame(book, stamp, value, envelope, now_ms), TrainChanged(book.train_id)]
        return [*self._event(book, stamp, value), TrainChanged(book.train_id)]

    def note(self, train_id: str, now_ms: int, *, name: str, links: Links, speed_mm_s: float | None) -> list[Change]:
        """Take note of what a train's events do not tell, on the train itself."""
        book = self._book(train_id, now_ms)
        if book is None:
            return []
        book.name, book.links, book.speed_mm_s = name, links, speed_mm_s
        return [TrainChanged(train_id)]

    def tick(self, now_ms: int) -> list[Change]:
        """Let time pass: drop what is too old."""
        self.pictures.expire(now_ms)
        gone = [train_id for train_id, book in self._books.items() if now_ms - book.seen_ms > GONE_MS]
        return [self._forget(train_id) for train_id in gone]

    def trains(self, now_ms: int) -> list[Train]:
        """Return every train, by its id."""
        return [self._books[train_id].view(now_ms) for train_id in sorted(self._books)]

    def book(self, train_id: str) -> TrainProjection | None:
        """Return what is known of a train, None for one that was never heard of."""
        return self._books.get(train_id)

    def newest(self, train_id: str) -> StoredPicture | None:
        """Return the last picture of a train."""
        return self._newest.get(train_id)

    def picture(self, train_id: str, frame_id: str) -> StoredPicture | None:
        """Return a picture, None where it is not kept (any more)."""
        newest = self.newest(train_id)
        if newest is not None and newest.frame_id == frame_id:
            return newest
        return self.pictures.get(train_id, frame_id)

    def frame(self, train_id: str, frame_id: str) -> FrameView | None:
        """Return what is known of a frame, None where nothing is."""
        book = self.book(train_id)
        if book is None:
            return None
        kept = self.picture(train_id, frame_id)
        boxes = kept.boxes if kept is not None and kept.boxes is not None else book.boxes(frame_id)
        chain = book.timeline.chain(frame_id)
        if kept is None and boxes is None and not chain:
            return None
        at_ms = kept.at_ms if kept else boxes.at_ms if boxes else chain[0].at_ms
        width, height = (boxes.width, boxes.height) if boxes else (kept.width, kept.height) if kept else (0, 0)
        detections = boxes.detections if boxes else ()
        return FrameView(frame_id, at_ms, width, height, kept is not None, detections, chain)

    def _book(self, train_id: str, now_ms: int) -> TrainProjection | None:
        """Return a train's book, a new one where there is room: none that speaks is pushed out."""
        book = self._books.get(train_id)
        if book is None and len(train_id) <= _MAX_ID and train_id.isprintable():
            if len(self._books) >= MAX_TRAINS:
                silent = min(self._books.values(), key=lambda each: each.seen_ms)
                if now_ms - silent.seen_ms < _SILENT_MS:
                    return None
                self._forget(silent.train_id)
            book = self._books[train_id] = TrainProjection(train_id)
            book.seen_ms = now_ms
        return book

    def _forget(self, train_id: str) -> TrainRemoved:
        del self._books[train_id]
        self._newest.pop(train_id, None)
        self.pictures.forget(train_id)
        return TrainRemoved(train_id)

    def _frame(
        self, book: TrainProjection, stamp: EventRef, value: EncodedImage, envelope: Envelope, now_ms: int
    ) -> Iterator[FrameTaken]:
        size = size_of(value.data)
        if size is None or size[0] * size[1] > MAX_PIXELS or len(value.data) > MAX_PICTURE_BYTES:
            self.unreadable += 1
            return
        newest = self._newest.get(book.train_id)
        if newest is not None and newest.frame_id == stamp.event_id:
            return
        digits = envelope.sequence or ""
        sequence = int(digits) if digits.isascii() and digits.isdecimal() else 0
        picture = StoredPicture(
            book.train_id, stamp.event_id, sequence, stamp.at_ms, now_ms, size[0], size[1], value.data
        )
        self.pictures.put(picture)
        if not book.on_frame(stamp.at_ms):
            return
        self._newest[book.train_id] = picture
        yield FrameTaken(book.train_id, picture, book.ahead.to_ours(stamp.at_ms))

    def _event(
        self,
        book: TrainProjection,
        stamp: EventRef,
        value: Payload,
    ) -> Iterator[Change]:
        items: list[Item | None] = []
        match value:
            case StateData():
                book.on_state(value, stamp)
            case PredictionData():
                boxes, fresh, signs = book.on_prediction(value, stamp)
                items += signs
                if (kept := self.picture(book.train_id, boxes.frame_id)) is not None:
                    kept.boxes = boxes
                if fresh:
                    yield BoxesSeen(book.train_id, boxes, book.ahead.to_ours(boxes.at_ms))
            case DecisionData():
                items.append(book.on_decision(value, stamp))
            case CommandData():
                items.append(book.on_command(value, stamp))
            case FaultData():
                items.append(book.on_fault(value, stamp))
            case AnswerData():
                items.append(book.on_answer(value, stamp))
        for item in items:
            if item is not None:
                self._mark(book, item)
                yield ItemAdded(book.train_id, item)

    def _mark(self, book: TrainProjection, item: Item) -> None:
        """Have the picture behind an item stay; a stop without one keeps what was seen last."""
        newest = self._newest.get(book.train_id)
        stop = isinstance(item.data, CommandData) and item.data.kind is CommandKind.BRAKE
        frame_id = item.frame_id or (newest.frame_id if newest is not None and stop else None)
        if frame_id is not None:
            self.pictures.mark(book.train_id, frame_id)
