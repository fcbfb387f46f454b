"""What waits to be published: bounded lanes that drop their oldest and count it.

Knows which messages must arrive and which are only worth something while they are new. Knows nothing of brokers. For
one event loop.
"""

import asyncio
import itertools
from collections import Counter, deque
from dataclasses import dataclass, replace

import structlog

from edge_agent.events import Event, Frame, Prediction, TrainState
from edge_agent.observers.cloudevents import Stamp
from edge_agent.observers.crazy_train.pictures import Pairs
from edge_agent.observers.mqtt.messages import ROUTES, Messages, Outgoing
from edge_agent.observers.mqtt.payloads import Meter, TelemetryData
from edge_agent.runtime.queues import Handover

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


_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Handed:
    """An event on its way into the thread.

    `shown` tells that a frame is wanted as a picture, `speed_mm_s` comes with a state where it is known.
    """

    event: Event
    offset_s: float
    shown: bool = False
    speed_mm_s: float | None = None


class Intake:
    """Takes events in.

    Args:
        handover: where they come from.
        lanes: where they wait.
        messages: writes them.
        train_id: whose events they are.
        first_sequence: the number of the first; larger than any of an earlier run.
        compat: also match frames and predictions for the original demo's consumers.
    """

    def __init__(
        self,
        handover: Handover[Handed],
        lanes: Lanes,
        messages: Messages,
        *,
        train_id: str,
        first_sequence: int,
        compat: bool,
    ) -> None:
        self.frames = 0
        """Frames that the camera gave; counted by the train's loop."""
        self.state: Outgoing | None = None
        """The newest state of the train."""
        self._handover = handover
        self._lanes = lanes
        self._messages = messages
        self._train_id = train_id
        self._sequence = itertools.count(first_sequence)
        self._meter = Meter()
        self._told: TrainState | None = None
        self._pairs = Pairs() if compat else None

    def stamp(self, offset_s: float = 0.0) -> Stamp:
        """Return the stamp of the next message."""
        return Stamp(self._train_id, next(self._sequence), offset_s)

    def take(self) -> None:
        """Take in what was handed over."""
        self._handover.look()
        while (handed := self._handover.take()) is not None:
            try:
                self._take_in(handed)
            except Exception:  # noqa: BLE001 - an event that cannot be written must not take the others with it
                self._lanes.dropped[type(handed.event).__name__.lower()] += 1
                _log.exception("event_not_written")

    def telemetry(self, period_s: float) -> TelemetryData:
        """Return the figures of the last `period_s` and start the next."""
        dropped = sum(self._lanes.dropped.values()) + self._handover.lost
        return self._meter.read(self.frames, period_s, waiting=len(self._lanes), dropped=dropped)

    def _take_in(self, handed: Handed) -> None:
        event, stamp = handed.event, self.stamp(handed.offset_s)
        if self._pairs is not None and (pair := self._pairs.match(event)) is not None:
            self._lanes.show_original(Pair(*pair))
        if isinstance(event, Frame):
            if handed.shown:
                self._lanes.show(Picture(event, stamp))
            return
        parcel = Parcel(ROUTES[type(event)].name, self._messages.event(event, stamp))
        if isinstance(event, TrainState):
            self._meter.state(event, handed.speed_mm_s)
            lasting, self.state = _lasting(event), parcel.message
            if lasting == self._told:
                return
            self._told = lasting
        elif isinstance(event, Prediction):
            self._meter.prediction(event)
        self._lanes.add(parcel)


def _lasting(state: TrainState) -> TrainState:
    """Return a state without what changes all the time, which telemetry tells."""
    hub = replace(state.hub, voltage_mv=None, current_ma=None, rssi_dbm=None)
    return replace(state, hub=hub, at_s=0.0, at_unix_s=0.0)
