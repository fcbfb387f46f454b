"""What waits to be published: bounded lanes that drop their oldest and count it.

Knows which messages must arrive and which are only worth something while they are new. Knows nothing of brokers. For
one event loop.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from edge_agent.events import Frame, Prediction
from edge_agent.mirror.mqtt_messages import Outgoing
from edge_agent.wire import Stamp

MAX_REPLIES = 64


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message on its way out, and the kind of event in it. Written once: sent twice, it keeps its id."""

    kind: str
    message: Outgoing


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame on its way out, not yet encoded."""

    frame: Frame
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction and its frame, for the original demo's consumers."""

    prediction: Prediction
    frame: Frame


class Lanes:
    """The waiting room of one mirror.

    `assured` holds what is published at QoS 1 and stays until the broker has it, `stream` what is published at QoS 0.
    Of pictures and of telemetry only the newest waits: they are worth nothing once there is a newer one.

    Args:
        size: of each lane, in messages.
    """

    def __init__(self, size: int) -> None:
        self.dropped: Counter[str] = Counter()
        self.replies: deque[Outgoing] = deque(maxlen=MAX_REPLIES)
        self.telemetry: Outgoing | None = None
        self.assured_news = asyncio.Event()
        self.stream_news = asyncio.Event()
        self._size = size
        self._assured: deque[Parcel] = deque()
        self._stream: deque[Parcel] = deque()
        self._picture: Picture | None = None
        self._pair: Pair | None = None

    def add(self, parcel: Parcel) -> None:
        """Take a message in."""
        if parcel.message.qos:
            self._append(self._assured, parcel)
            self.assured_news.set()
        else:
            self._append(self._stream, parcel)
            self.stream_news.set()

    def show(self, picture: Picture) -> None:
        """Take a picture in; it replaces the one that waits."""
        if self._picture is not None:
            self.dropped["image"] += 1
        self._picture = picture
        self.stream_news.set()

    def show_original(self, pair: Pair) -> None:
        """Take a prediction with its frame in; it replaces the one that waits."""
        if self._pair is not None:
            self.dropped["original"] += 1
        self._pair = pair
        self.stream_news.set()

    def reply(self, message: Outgoing) -> None:
        """Take a reply in."""
        self.replies.append(message)
        self.assured_news.set()

    def measure(self, message: Outgoing) -> None:
        """Take telemetry in; it replaces what waits."""
        self.telemetry = message
        self.assured_news.set()

    def first(self) -> Parcel | None:
        """Return the oldest message that must arrive; it stays until `arrived`."""
        return self._assured[0] if self._assured else None

    def arrived(self, parcel: Parcel) -> None:
        """Let go of the message that `first` gave; nothing happens where it was dropped meanwhile."""
        if self._assured and self._assured[0] is parcel:
            self._assured.popleft()

    def take(self) -> Parcel | Pair | Picture | None:
        """Take the oldest of the stream, or what has a picture where nothing else waits."""
        if self._stream:
            return self._stream.popleft()
        if self._pair is not None:
            pair, self._pair = self._pair, None
            return pair
        picture, self._picture = self._picture, None
        return picture

    def forget(self, kind: str) -> None:
        """Forget the messages of a kind that wait and must arrive, without counting them as dropped."""
        self._assured = deque(parcel for parcel in self._assured if parcel.kind != kind)

    def __len__(self) -> int:
        """Count the messages that wait."""
        return len(self._assured) + len(self._stream)

    def _append(self, lane: deque[Parcel], parcel: Parcel) -> None:
        if len(lane) >= self._size:
            self.dropped[lane.popleft().kind] += 1
        lane.append(parcel)
