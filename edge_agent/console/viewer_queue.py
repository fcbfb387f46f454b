"""What one viewer gets, and when: never a growing delay.

Knows how much may be under way to a viewer. Knows nothing of sockets or of what messages say. Pure: clocks are
arguments. At most WINDOW frames of a train are sent that the viewer has not shown yet; while it waits, the newest frame
replaces the one that waits, and the next one that is sent tells how many were skipped. What is only worth its newest
state (boxes, a train's view) is replaced too; timeline items are not, and a viewer that lets too many wait has to begin
anew.
"""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 2
"""Frames of one train under way: one that is drawn, one that follows it at once."""

FORGIVE_MS = 2000
"""A frame that was not shown in this time counts as shown: the tab is hidden, or the viewer tells nothing."""

MAX_TEXTS = 500
"""Items that may wait. Seconds of the busiest train; more means that nobody reads."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameMessage:
    """A frame ready to be sent: `head` is the JSON header without its end, `data` the encoded picture."""

    train_id: str
    frame_id: str
    head: str = field(repr=False)
    data: bytes = field(repr=False)

    def message(self, sent_ms: int, skipped: int) -> bytes:
        """Return the binary message: the header's length in 4 bytes, the header, the picture."""
        header = f'{self.head},"sent_ms":{sent_ms},"skipped":{skipped}}}'.encode()
        return b"".join((len(header).to_bytes(4, "big"), header, self.data))


@dataclass(slots=True)
class _TrainQueue:
    """The frames of one train on their way."""

    waiting: FrameMessage | None = None
    skipped: int = 0
    last_sent: str | None = None
    unshown: dict[str, int] = field(default_factory=dict)

    def expire(self, now_ms: int) -> None:
        for frame_id, sent_ms in list(self.unshown.items()):
            if not 0 <= now_ms - sent_ms < FORGIVE_MS:
                del self.unshown[frame_id]


class ViewerQueue:
    """The queue of one viewer. `train_id` is the train it watches, None for all."""

    def __init__(self, train_id: str | None) -> None:
        self.train_id = train_id
        self.overflown = False
        self._texts: deque[str] = deque()
        self._states: dict[tuple[str, str], str] = {}
        self._lanes: dict[str, _TrainQueue] = {}

    def watch(self, train_id: str | None) -> None:
        """Watch another train, or all; what waits of the others is dropped."""
        self.train_id = train_id
        self._lanes.clear()
        self._states = {key: text for key, text in self._states.items() if key[0] != "boxes"}

    def wants(self, train_id: str) -> bool:
        """Tell whether the train is among those watched."""
        return self.train_id is None or self.train_id == train_id

    def tell(self, text: str) -> None:
        """Add a message that must not be missed."""
        if len(self._texts) >= MAX_TEXTS:
            self.overflown = True
        else:
            self._texts.append(text)

    def state(self, kind: str, train_id: str, text: str) -> None:
        """Add a message that replaces an older one of the same kind and train that still waits."""
        self._states[kind, train_id] = text

    def show(self, picture: FrameMessage) -> None:
        """Have a frame wait; the one that waited is skipped."""
        lane = self._lanes.setdefault(picture.train_id, _TrainQueue())
        lane.skipped += lane.waiting is not None
        lane.waiting = picture

    def shown(self, train_id: str, frame_id: str) -> None:
        """Take note that the viewer has drawn a frame: those sent before it are over too."""
        lane = self._lanes.get(train_id)
        if lane is None or frame_id not in lane.unshown:
            return
        for sent in list(lane.unshown):
            del lane.unshown[sent]
            if sent == frame_id:
                break

    def has(self, train_id: str, frame_id: str) -> bool:
        """Tell whether a frame was the last one sent, or waits."""
        lane = self._lanes.get(train_id)
        if lane is None:
            return False
        return lane.last_sent == frame_id or (lane.waiting is not None and lane.waiting.frame_id == frame_id)

    def take(self, now_ms: int) -> str | bytes | None:
        """Return what is to be sent next, None where nothing is, or may be."""
        if self._texts:
            return self._texts.popleft()
        if self._states:
            return self._states.pop(next(iter(self._states)))
        for train_id, lane in self._lanes.items():
            if lane.waiting is None:
                continue
            lane.expire(now_ms)
            if len(lane.unshown) < WINDOW:
                self._lanes[train_id] = self._lanes.pop(train_id)  # the others come first the next time
                return self._send(lane, lane.waiting, now_ms)
        return None

    def _send(self, lane: _TrainQueue, picture: FrameMessage, now_ms: int) -> bytes:
        skipped, lane.skipped, lane.waiting = lane.skipped, 0, None
        lane.last_sent = picture.frame_id
        lane.unshown[picture.frame_id] = now_ms
        return picture.message(now_ms, skipped)
