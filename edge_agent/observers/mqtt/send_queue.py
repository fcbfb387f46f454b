"""Events become messages and wait here until they are published: queues that drop their oldest and count it.

Everything here belongs to the mirror's thread, but for three attributes of EventEncoder that the train's loop writes.
"""

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from edge_agent.events import Event, Frame, Prediction, TrainState
from edge_agent.observers.cloudevents import EventContext
from edge_agent.observers.crazy_train.pictures import FrameMatcher
from edge_agent.observers.mqtt.messages import IMAGE, ROUTES, MqttMessageBuilder, OutgoingMessage
from edge_agent.observers.mqtt.payloads import TelemetryData, TelemetryMeter
from edge_agent.runtime.queues import ThreadQueue

MAX_REPLIES = 64
ORIGINAL = "original"
"""The kind, in `dropped`, of what goes to the original demo's consumers."""


@dataclass(frozen=True, slots=True)
class FrameWithPrediction:
    """A prediction and its frame, for the original demo's consumers."""

    prediction: Prediction
    frame: Frame


class SendQueue:
    """What waits to be published by one mirror.

    `assured` messages have QoS 1 and stay until the broker has acknowledged them; those of the `stream` have QoS 0. Of
    frames and of telemetry only the newest waits: they are worthless once there is a newer one.

    Args:
        size: of the assured messages and of the stream each.
    """

    def __init__(self, size: int) -> None:
        self.dropped: Counter[str] = Counter()
        self.replies: deque[OutgoingMessage] = deque(maxlen=MAX_REPLIES)
        self.telemetry: OutgoingMessage | None = None
        self.assured_news = asyncio.Event()
        self.stream_news = asyncio.Event()
        self._size = size
        self._assured: deque[OutgoingMessage] = deque()
        self._stream: deque[OutgoingMessage] = deque()
        self._frame: Frame | None = None
        self._original: FrameWithPrediction | None = None

    def add(self, message: OutgoingMessage) -> None:
        """Add a message of an event; where there is no room, the oldest of its QoS is dropped."""
        if message.qos:
            self._append(self._assured, message)
            self.assured_news.set()
        else:
            self._append(self._stream, message)
            self.stream_news.set()

    def put_frame(self, frame: Frame) -> None:
        """Replace the frame that waits to be encoded and published."""
        if self._frame is not None:
            self.dropped[IMAGE] += 1
        self._frame = frame
        self.stream_news.set()

    def put_original(self, pair: FrameWithPrediction) -> None:
        """Replace the prediction and frame that wait for the original demo's consumers."""
        if self._original is not None:
            self.dropped[ORIGINAL] += 1
        self._original = pair
        self.stream_news.set()

    def reply(self, message: OutgoingMessage) -> None:
        """Add the reply to a command."""
        self.replies.append(message)
        self.assured_news.set()

    def put_telemetry(self, message: OutgoingMessage) -> None:
        """Replace the telemetry that waits."""
        self.telemetry = message
        self.assured_news.set()

    def first(self) -> OutgoingMessage | None:
        """Return the oldest assured message; it stays until `acknowledge`."""
        return self._assured[0] if self._assured else None

    def acknowledge(self, message: OutgoingMessage) -> None:
        """Remove the message that `first` returned; does nothing where it was dropped meanwhile."""
        if self._assured and self._assured[0] is message:
            self._assured.popleft()

    def take(self) -> OutgoingMessage | FrameWithPrediction | Frame | None:
        """Remove and return the oldest message of the stream, or what has a picture where nothing else waits."""
        if self._stream:
            return self._stream.popleft()
        if self._original is not None:
            pair, self._original = self._original, None
            return pair
        frame, self._frame = self._frame, None
        return frame

    def discard(self, kind: str) -> None:
        """Remove the assured messages of a kind, without counting them as dropped."""
        self._assured = deque(message for message in self._assured if message.kind != kind)

    def __len__(self) -> int:
        """Count the messages that wait."""
        return len(self._assured) + len(self._stream)

    def _append(self, queue: deque[OutgoingMessage], message: OutgoingMessage) -> None:
        if len(queue) >= self._size:
            self.dropped[queue.popleft().kind] += 1
        queue.append(message)


_log = structlog.get_logger(__name__)


class EventEncoder:
    """Makes messages of events.

    Args:
        events: handed over by the train's loop.
        send_queue: where they wait to be published.
        messages: builds messages.
        train_id: the train that the events belong to.
        first_sequence: of the first event; larger than any of an earlier run.
        image_wanted: returns whether a frame that is handed over is to be published.
        compat: also match frames and predictions for the original demo's consumers.
    """

    def __init__(
        self,
        events: ThreadQueue[Event],
        send_queue: SendQueue,
        messages: MqttMessageBuilder,
        *,
        train_id: str,
        first_sequence: int,
        image_wanted: Callable[[], bool],
        compat: bool,
    ) -> None:
        # The train's loop writes these three before it hands an event over; whole values, so no lock is needed.
        self.frames = 0
        self.offset_s = 0.0
        self.speed_mm_s: float | None = None
        self.state: OutgoingMessage | None = None
        """The newest state of the train."""
        self._events = events
        self._send_queue = send_queue
        self._messages = messages
        self._train_id = train_id
        self._sequence = itertools.count(first_sequence)
        self._image_wanted = image_wanted
        self._meter = TelemetryMeter()
        self._lasting: TrainState | None = None
        self._pairs = FrameMatcher() if compat else None

    def context(self) -> EventContext:
        """Return the context of the next CloudEvent: train, sequence number and clock."""
        return EventContext(self._train_id, next(self._sequence), self.offset_s)

    def drain(self) -> None:
        """Encode the events that were handed over."""
        self._events.arm_wakeup()
        while (event := self._events.pop()) is not None:
            try:
                self._encode(event)
            except Exception:  # noqa: BLE001 - an event that cannot be encoded must not stop the others
                self._send_queue.dropped[ROUTES[type(event)].kind if type(event) in ROUTES else IMAGE] += 1
                _log.exception("event_not_written")

    def image(self, frame: Frame) -> OutgoingMessage:
        """Encode a frame as JPEG and return its message; takes milliseconds. From any thread. Raises EdgeAgentError."""
        from edge_agent.observers.cloudevents.images import encode_jpeg  # noqa: PLC0415 - OpenCV takes long to load

        picture = encode_jpeg(frame.image, self._messages.quality_percent)
        return self._messages.image(frame, picture, self.context())

    def telemetry(self, period_s: float) -> TelemetryData:
        """Return the figures of the last `period_s` and start the next."""
        dropped = sum(self._send_queue.dropped.values()) + self._events.lost
        return self._meter.read(self.frames, period_s, waiting=len(self._send_queue), dropped=dropped)

    def _encode(self, event: Event) -> None:
        if self._pairs is not None and (pair := self._pairs.match(event)) is not None:
            self._send_queue.put_original(FrameWithPrediction(*pair))
        if isinstance(event, Frame):
            if self._image_wanted():
                self._send_queue.put_frame(event)
            return
        message = self._messages.event(event, self.context())
        if isinstance(event, TrainState):
            self._meter.state(event, self.speed_mm_s)
            lasting, self.state = _lasting(event), message
            if lasting == self._lasting:
                return
            self._lasting = lasting
        elif isinstance(event, Prediction):
            self._meter.prediction(event)
        self._send_queue.add(message)


def _lasting(state: TrainState) -> TrainState:
    """Return a state without what changes all the time, which telemetry reports."""
    hub = replace(state.hub, voltage_mv=None, current_ma=None, rssi_dbm=None)
    return replace(state, hub=hub, at_s=0.0, at_unix_s=0.0)
