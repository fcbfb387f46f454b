"""Builds MQTT messages of events: topic, quality of service, retained or not, and the CloudEvents form of the payload.

QoS 1, so that a broker that does not acknowledge is noticed: availability, state, decision, fault, answer, telemetry
and reply. QoS 0, since the next one is better than a late one: prediction, command, image. Retained, so that a new
subscriber gets them at once: availability, state and decision.
"""

import json
from dataclasses import dataclass, field, replace

import uuid_utils

from edge_agent.config import MqttSettings
from edge_agent.events import CommandResult, Decision, Event, Fault, Frame, MotorCommand, Prediction, TrainState
from edge_agent.observers.cloudevents import EncodedImage, Envelope, EventContext, names, structured, to_cloudevent
from edge_agent.observers.cloudevents.envelope import SEQUENCE_DIGITS
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.observers.mqtt.payloads import ReplyData, TelemetryData, dump

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to a broker. The last three fields need MQTT 5 and are left out with 3.1.1.

    `kind` is that of the event in it; built once, a message that is sent twice keeps its CloudEvents id.
    """

    topic: str
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
    kind: str = ""
    content_type: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    correlation_data: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """The size of the packet, to within a few bytes."""
        properties = sum(len(name) + len(value) + 5 for name, value in self.user_properties)
        return len(self.payload) + len(self.topic) + properties


@dataclass(frozen=True, slots=True)
class Route:
    """How a kind of event is published: the last part of its topic, its QoS, and whether it is retained."""

    kind: str
    qos: int
    retain: bool = False


STATE = "state"
IMAGE = "image"

ROUTES: dict[type[Event], Route] = {
    TrainState: Route(STATE, 1, retain=True),
    Decision: Route("decision", 1, retain=True),
    Fault: Route("fault", 1),
    CommandResult: Route("answer", 1),
    Prediction: Route("prediction", 0),
    MotorCommand: Route("command", 0),
}
_IMAGE = Route(IMAGE, 0)
_TELEMETRY = Route("telemetry", 1)
_REPLY = Route("reply", 1)


class MqttMessageBuilder:
    """Builds the messages of one train.

    Args:
        settings: the topics' prefix, the protocol's version, the quality of pictures.
        train_id: the second part of each topic.
    """

    def __init__(self, settings: MqttSettings, train_id: str) -> None:
        self._root = f"{settings.topic_prefix}/{train_id}"
        self._train_id = train_id
        self._v5 = settings.version == "5"
        self.quality_percent = settings.jpeg_quality

    def topic(self, name: str) -> str:
        """Return the topic `name` of this train."""
        return f"{self._root}/{name}"

    def availability(self, *, online: bool) -> OutgoingMessage:
        """Return the message that the train is online or, also as the last will, offline."""
        return OutgoingMessage(self.topic("availability"), ONLINE if online else OFFLINE, qos=1, retain=True)

    def event(self, event: Event, context: EventContext) -> OutgoingMessage:
        """Return the message of any event but a frame."""
        return self._message(ROUTES[type(event)], to_cloudevent(event, context))

    def image(self, frame: Frame, picture: EncodedImage, context: EventContext) -> OutgoingMessage:
        """Return the message of a frame: the picture itself is the payload, with either version of MQTT."""
        if self._v5:
            return self._message(_IMAGE, to_cloudevent(frame, context, picture))
        return OutgoingMessage(self.topic(IMAGE), picture.data, kind=IMAGE)

    def telemetry(self, data: TelemetryData, context: EventContext, now_unix_s: float) -> OutgoingMessage:
        """Return the message with the figures of the last second."""
        return self._message(_TELEMETRY, self._envelope("telemetry", "agent", dump(data), context, now_unix_s))

    def reply(
        self, topic: str, data: ReplyData, context: EventContext, now_unix_s: float, correlation: bytes | None = None
    ) -> OutgoingMessage:
        """Return the reply to a command; its attribute `correlationid` is the command's id."""
        envelope = self._envelope("reply", data.command, dump(data), context, now_unix_s)
        message = replace(self._message(_REPLY, envelope), topic=topic)
        if self._v5:
            message = replace(message, correlation_data=correlation)
        return message if data.id is None else self._with_correlation_id(message, data.id)

    def _envelope(self, kind: str, subject: str, data: bytes, context: EventContext, now_unix_s: float) -> Envelope:
        return Envelope(
            id=str(uuid_utils.uuid7()),
            source=names.source_of(self._train_id),
            type=names.type_of(kind),
            data=data,
            subject=subject,
            time=to_rfc3339(now_unix_s),
            sequence=f"{context.sequence:0{SEQUENCE_DIGITS}d}",
            partitionkey=self._train_id,
        )

    def _message(self, route: Route, envelope: Envelope) -> OutgoingMessage:
        """Return a CloudEvent by the MQTT binding 1.0.2: binary mode with MQTT 5, structured mode with 3.1.1."""
        topic, qos, retain, kind = self.topic(route.kind), route.qos, route.retain, route.kind
        if not self._v5:
            return OutgoingMessage(topic, structured.write(envelope), qos, retain, kind)
        properties = tuple(envelope.attributes().items())
        return OutgoingMessage(topic, envelope.data, qos, retain, kind, envelope.datacontenttype, properties)

    def _with_correlation_id(self, message: OutgoingMessage, correlation_id: str) -> OutgoingMessage:
        if self._v5:
            return replace(message, user_properties=(*message.user_properties, ("correlationid", correlation_id)))
        head = json.dumps({"correlationid": correlation_id}, ensure_ascii=False).encode()
        return replace(message, payload=head[:-1] + b"," + message.payload[1:])
