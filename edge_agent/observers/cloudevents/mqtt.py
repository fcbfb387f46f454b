"""Envelope <-> MQTT message: the CloudEvents MQTT protocol binding; binary mode with MQTT 5, structured with 3.1.1."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.observers.cloudevents import names, structured
from edge_agent.observers.cloudevents.envelope import Envelope


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A message without its topic. MQTT 3.1.1 has neither content type nor user properties: None and empty."""

    payload: bytes = field(repr=False)
    content_type: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


def binary(envelope: Envelope) -> MqttMessage:
    """Return the MQTT 5 message of binary mode: attributes as user properties without a prefix."""
    return MqttMessage(envelope.data, envelope.datacontenttype, tuple(envelope.attributes().items()))


def structured_json(envelope: Envelope, *, version: str = "3.1.1") -> MqttMessage:
    """Return the message of structured mode: one JSON object; `version` 5 names its content type."""
    return MqttMessage(structured.write(envelope), names.STRUCTURED if version == "5" else None)


def read(payload: bytes, content_type: str | None = None, user_properties: Iterable[tuple[str, str]] = ()) -> Envelope:
    """Read a message of either mode; raises MalformedMessageError."""
    attributes = dict(user_properties)
    if not attributes or (content_type or "").lower().startswith("application/cloudevents"):
        return structured.read(payload)
    if content_type:
        attributes["datacontenttype"] = content_type
    return structured.envelope_from(attributes, payload)
