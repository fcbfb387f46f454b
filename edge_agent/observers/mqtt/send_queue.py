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
from edge_agent.observers.cloudevents import EventContext
from edge_agent.observers.crazy_train.pictures import FrameMatcher
from edge_agent.observers.mqtt.messages import ROUTES, MqttMessageBuilder, OutgoingMessage
from edge_agent.observers.mqtt.payloads import TelemetryData, TelemetryMeter
from edge_agent.runtime.queues import ThreadQueue

MAX_REPLIES = 64


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message on its way out, and the kind of event in it. Written once: sent twice, it keeps its id."""

    kind: str
    message: OutgoingMessage


@dataclass(frozen=True, slots=True)
class QueuedFrame:
    """A frame on its way out, not yet encoded."""

    frame: Frame
    stamp: EventContext


@dataclass(frozen=True, slots=True)
class FrameWithPrediction:
    """A prediction and its frame, for the original demo's consumers."""

    prediction: Prediction
    frame: Frame


class SendQueue:
    """The waiting room of one mirror.

    `assured` holds what is published at QoS 1 and stays until the broker has it, `stream` what is published at QoS 0.
    Of pictures and of telemetry only the newest waits: they are worth nothing once there is a newer one.

    Args:
        size: of each lane, in messages.
    """

    def __init__(self, size: int) -> None:
        self.dropped: Counter[str] = Counter()
        self.replies: deque[OutgoingMessage] = deque(maxlen=MAX_REPLIES)
        self.telemetry: OutgoingMessage | None = None
        self.assured_news = asyncio.Event()
        self.stream_news = asyncio.Event()
        self._size = size
        self._assured: deque[QueuedMessage] = deque()
        self._stream: deque[QueuedMessage] = deque()
        self._picture: QueuedFrame | None = None
        self._pair: FrameWithPrediction | None = None

    def add(self, parcel: QueuedMessage) -> None:
        """Take a message in."""
        if parcel.message.qos:
            self._append(self._assured, parcel)
            self.assured_news.set()
        else:
            self._append(self._stream, parcel)
            self.stream_news.set()

    def show(self, picture: QueuedFrame) -> None:
        """Take a picture in; it replaces the one that waits."""
        if self._picture is not None:
            self.dropped["image"] += 1
        self._picture = picture
        self.stream_news.set()

    def show_original(self, pair: FrameWithPrediction) -> None:
        """Take a prediction with its frame in; it replaces the one that waits."""
        if self._pair is not None:
            self.dropped["original"] += 1
        self._pair = pair
        self.stream_news.set()

    def reply(self, message: OutgoingMessage) -> None:
        """Take a reply in."""
        self.replies.append(message)
        self.assured_news.set()

    def measure(self, message: OutgoingMessage) -> None:
        """Take telemetry in; it replaces what waits."""
        self.telemetry = message
        self.assured_news.set()

    def first(self) -> QueuedMessage | None:
        """Return the oldest message that must arrive; it stays until `arrived`."""
        return self._assured[0] if self._assured else None

    def arrived(self, parcel: QueuedMessage) -> None:
        """Let go of the message that `first` gave; nothing happens where it was dropped meanwhile."""
        if self._assured and self._assured[0] is parcel:
            self._assured.popleft()

    def take(self) -> QueuedMessage | FrameWithPrediction | QueuedFrame | None:
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

    def _append(self, lane: deque[QueuedMessage], parcel: QueuedMessage) -> None:
        if len(lane) >= self._size:
            self.dropped[lane.popleft().kind] += 1
        lane.append(parcel)


_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event on its way into the thread.

    `shown` tells that a frame is wanted as a picture, `speed_mm_s` comes with a state where it is known.
    """

    event: Event
    offset_s: float
    shown: bool = False
    speed_mm_s: float | None = None


class EventEncoder:
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
        handover: ThreadQueue[QueuedEvent],
        lanes: SendQueue,
        messages: MqttMessageBuilder,
        *,
        train_id: str,
        first_sequence: int,
        compat: bool,
    ) -> None:
        self.frames = 0
        """Frames that the camera gave; counted by the train's loop."""
        self.state: OutgoingMessage | None = None
        """The newest state of the train."""
        self._handover = handover
        self._lanes = lanes
        self._messages = messages
        self._train_id = train_id
        self._sequence = itertools.count(first_sequence)
        self._meter = TelemetryMeter()
        self._told: TrainState | None = None
        self._pairs = FrameMatcher() if compat else None

    def stamp(self, offset_s: float = 0.0) -> EventContext:
        """Return the stamp of the next message."""
        return EventContext(self._train_id, next(self._sequence), offset_s)

    def take(self) -> None:
        """Take in what was handed over."""
        self._handover.look()
        while (handed := self._handover.take()) is not None:
            try:
                self._take_in(handed)
            except Exception:  # noqa: BLE001 - an event that cannot be written must not take the others with it
                self._lanes.dropped[_kind(handed.event)] += 1
                _log.exception("event_not_written")

    def telemetry(self, period_s: float) -> TelemetryData:
        """Return the figures of the last `period_s` and start the next."""
        dropped = sum(self._lanes.dropped.values()) + self._handover.lost
        return self._meter.read(self.frames, period_s, waiting=len(self._lanes), dropped=dropped)

    def _take_in(self, handed: QueuedEvent) -> None:
        event, stamp = handed.event, self.stamp(handed.offset_s)
        if self._pairs is not None and (pair := self._pairs.match(event)) is not None:
            self._lanes.show_original(FrameWithPrediction(*pair))
        if isinstance(event, Frame):
            if handed.shown:
                self._lanes.show(QueuedFrame(event, stamp))
            return
        parcel = QueuedMessage(ROUTES[type(event)].name, self._messages.event(event, stamp))
        if isinstance(event, TrainState):
            self._meter.state(event, handed.speed_mm_s)
            lasting, self.state = _lasting(event), parcel.message
            if lasting == self._told:
                return
            self._told = lasting
        elif isinstance(event, Prediction):
            self._meter.prediction(event)
        self._lanes.add(parcel)


def _kind(event: Event) -> str:
    return ROUTES[type(event)].name if type(event) in ROUTES else "image"


def _lasting(state: TrainState) -> TrainState:
    """Return a state without what changes all the time, which telemetry tells."""
    hub = replace(state.hub, voltage_mv=None, current_ma=None, rssi_dbm=None)
    return replace(state, hub=hub, at_s=0.0, at_unix_s=0.0)
