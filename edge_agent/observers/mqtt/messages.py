"""Events -> MQTT messages: which topic, which quality of service, retained or not.

Knows the names of topics and the CloudEvents forms of wire/. Knows nothing of connections.

QoS 1, and so noticed when the broker does not take it: availability, state, decision, fault, answer, telemetry and
reply. QoS 0, since the next one is better than a late one: prediction, command, image. Retained, so that a newcomer
knows at once: availability, state and decision.
"""

import json
from dataclasses import dataclass, field

import uuid_utils

from edge_agent.config import MqttSettings
from edge_agent.events import CommandResult, Decision, Event, Fault, Frame, MotorCommand, Prediction, TrainState
from edge_agent.observers.cloudevents import EncodedImage, Envelope, EventContext, MqttMessage, names, to_cloudevent
from edge_agent.observers.cloudevents import mqtt as binding
from edge_agent.observers.cloudevents.envelope import SEQUENCE_DIGITS
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.observers.mqtt.payloads import ReplyData, TelemetryData, dump

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to a broker. The last three fields need MQTT 5 and are left out with 3.1.1."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
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
    """Where a kind of event goes."""

    name: str
    qos: int
    retain: bool = False


STATE = "state"

ROUTES: dict[type[Event], Route] = {
    TrainState: Route(STATE, 1, retain=True),
    Decision: Route("decision", 1, retain=True),
    Fault: Route("fault", 1),
    CommandResult: Route("answer", 1),
    Prediction: Route("prediction", 0),
    MotorCommand: Route("command", 0),
}
_IMAGE = Route("image", 0)
_TELEMETRY = Route("telemetry", 1)


class MqttMessageBuilder:
    """Writes the messages of one train.

    Args:
        settings: the topics' prefix, the protocol's version, the quality of pictures.
        train_id: the second part of each topic.
    """

    def __init__(self, settings: MqttSettings, train_id: str) -> None:
        self._root = f"{settings.topic_prefix}/{train_id}"
        self._train_id = train_id
        self._modern = settings.version == "5"
        self.quality_percent = settings.jpeg_quality

    def topic(self, name: str) -> str:
        """Return the topic `name` of this train."""
        return f"{self._root}/{name}"

    def availability(self, *, online: bool) -> OutgoingMessage:
        """Say that the train is there, or (as a last will too) that it is not."""
        return OutgoingMessage(self.topic("availability"), ONLINE if online else OFFLINE, qos=1, retain=True)

    def event(self, event: Event, stamp: EventContext) -> OutgoingMessage:
        """Write any event but a frame."""
        return self._routed(ROUTES[type(event)], self._formed(to_cloudevent(event, stamp)))

    def image(self, frame: Frame, picture: EncodedImage, stamp: EventContext) -> OutgoingMessage:
        """Write a frame: the picture itself is the payload, with either version of MQTT."""
        message = binding.binary(to_cloudevent(frame, stamp, picture)) if self._modern else MqttMessage(picture.data)
        return self._routed(_IMAGE, message)

    def telemetry(self, data: TelemetryData, stamp: EventContext, now_unix_s: float) -> OutgoingMessage:
        """Write the figures of the last second."""
        envelope = self._envelope("telemetry", "agent", dump(data), stamp, now_unix_s)
        return self._routed(_TELEMETRY, self._formed(envelope))

    def reply(
        self, topic: str, data: ReplyData, stamp: EventContext, now_unix_s: float, correlation: bytes | None = None
    ) -> OutgoingMessage:
        """Write the reply to a command; its `correlationid` is the command's id."""
        message = self._formed(self._envelope("reply", data.command, dump(data), stamp, now_unix_s), data.id)
        return OutgoingMessage(
            topic,
            message.payload,
            1,
            content_type=message.content_type,
            user_properties=message.user_properties,
            correlation_data=correlation if self._modern else None,
        )

    def _envelope(self, kind: str, subject: str, data: bytes, stamp: EventContext, now_unix_s: float) -> Envelope:
        return Envelope(
            id=str(uuid_utils.uuid7()),
            source=names.source_of(self._train_id),
            type=names.type_of(kind),
            data=data,
            subject=subject,
            time=to_rfc3339(now_unix_s),
            sequence=f"{stamp.sequence:0{SEQUENCE_DIGITS}d}",
            partitionkey=self._train_id,
        )

    def _formed(self, envelope: Envelope, correlationid: str | None = None) -> MqttMessage:
        """Choose the CloudEvents form: binary with MQTT 5, structured with 3.1.1."""
        if self._modern:
            message = binding.binary(envelope)
            if correlationid is None:
                return message
            extra = (*message.user_properties, ("correlationid", correlationid))
            return MqttMessage(message.payload, message.content_type, extra)
        message = binding.structured_json(envelope)
        if correlationid is None:
            return message
        head = json.dumps({"correlationid": correlationid}, ensure_ascii=False).encode()
        return MqttMessage(head[:-1] + b"," + message.payload[1:])

    def _routed(self, route: Route, message: MqttMessage) -> OutgoingMessage:
        return OutgoingMessage(
            self.topic(route.name),
            message.payload,
            route.qos,
            route.retain,
            message.content_type,
            message.user_properties,
        )
