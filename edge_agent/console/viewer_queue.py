"""What is sent to one viewer and when, so that its delay never grows.

At most WINDOW frames of a train are in flight: sent, and not yet acknowledged as drawn. Meanwhile only the newest frame
waits, and the next one sent says how many were skipped. States (boxes, a train's view) are replaced by newer ones too;
timeline items are not, and a viewer with too many unsent ones is disconnected. Performs no I/O; times are arguments.
"""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 2
"""Frames of one train in flight: one that is being drawn and one that follows it at once."""

ACK_TIMEOUT_MS = 2000
"""A frame counts as drawn after this time: hidden browser tabs do not draw and so acknowledge nothing."""

MAX_TEXTS = 500
"""Items that may wait: several seconds of the busiest train. With more, the viewer does not read at all."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameMessage:
    """A frame ready to be sent: `head` is the JSON header without its closing brace, `data` the encoded picture."""

    train_id: str
    frame_id: str
    head: str = field(repr=False)
    data: bytes = field(repr=False)

    def message(self, sent_ms: int, skipped: int) -> bytes:
        """Return the binary message: the length of the header in 4 bytes, the header, the picture."""
        header = f'{self.head},"sent_ms":{sent_ms},"skipped":{skipped}}}'.encode()
        return b"".join((len(header).to_bytes(4, "big"), header, self.data))


@dataclass(slots=True)
class _TrainQueue:
    """The frames of one train; `in_flight` maps ids to the time they were sent, oldest first."""

    waiting: FrameMessage | None = None
    skipped: int = 0
    last_sent: str | None = None
    in_flight: dict[str, int] = field(default_factory=dict)

    def expire(self, now_ms: int) -> None:
        for frame_id, sent_ms in list(self.in_flight.items()):
            if not 0 <= now_ms - sent_ms < ACK_TIMEOUT_MS:
                del self.in_flight[frame_id]


class ViewerQueue:
    """The queue of one viewer. `train_id` is the train it watches, None for all."""

    def __init__(self, train_id: str | None) -> None:
        self.train_id = train_id
        self.overflowed = False
        self._texts: deque[str] = deque()
        self._states: dict[tuple[str, str], str] = {}
        self._trains: dict[str, _TrainQueue] = {}

    def watch(self, train_id: str | None) -> None:
        """Watch another train, or all; waiting frames and boxes are dropped."""
        self.train_id = train_id
        self._trains.clear()
        self._states = {key: text for key, text in self._states.items() if key[0] != "boxes"}

    def watches(self, train_id: str) -> bool:
        """Return whether the viewer watches this train."""
        return self.train_id is None or self.train_id == train_id

    def add_text(self, text: str) -> None:
        """Add a message that must not be lost."""
        if len(self._texts) >= MAX_TEXTS:
            self.overflowed = True
        else:
            self._texts.append(text)

    def set_state(self, kind: str, train_id: str, text: str) -> None:
        """Add a message that replaces an unsent one of the same kind and train."""
        self._states[kind, train_id] = text

    def add_frame(self, frame: FrameMessage) -> None:
        """Add a frame; it replaces the one that waits."""
        queue = self._trains.setdefault(frame.train_id, _TrainQueue())
        queue.skipped += queue.waiting is not None
        queue.waiting = frame

    def acknowledge(self, train_id: str, frame_id: str) -> None:
        """Record that the viewer has drawn a frame; those sent before it count as drawn too."""
        queue = self._trains.get(train_id)
        if queue is None or frame_id not in queue.in_flight:
            return
        for sent in list(queue.in_flight):
            del queue.in_flight[sent]
            if sent == frame_id:
                break

    def has_frame(self, train_id: str, frame_id: str) -> bool:
        """Return whether a frame was the last one sent, or waits."""
        queue = self._trains.get(train_id)
        if queue is None:
            return False
        return queue.last_sent == frame_id or (queue.waiting is not None and queue.waiting.frame_id == frame_id)

    def pop(self, now_ms: int) -> str | bytes | None:
        """Remove and return the next message; None if there is none, or none may be sent yet."""
        if self._texts:
            return self._texts.popleft()
        if self._states:
            return self._states.pop(next(iter(self._states)))
        for train_id, queue in self._trains.items():
            if queue.waiting is None:
                continue
            queue.expire(now_ms)
            if len(queue.in_flight) < WINDOW:
                self._trains[train_id] = self._trains.pop(train_id)  # round robin: the others come first next time
                return self._pop_frame(queue, queue.waiting, now_ms)
        return None

    def _pop_frame(self, queue: _TrainQueue, frame: FrameMessage, now_ms: int) -> bytes:
        skipped, queue.skipped, queue.waiting = queue.skipped, 0, None
        queue.last_sent = frame.frame_id
        queue.in_flight[frame.frame_id] = now_ms
        return frame.message(now_ms, skipped)
