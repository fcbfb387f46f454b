"""Envelope <-> MQTT message: the CloudEvents MQTT protocol binding 1.0.2.

Binary mode needs MQTT 5: the payload is the envelope's `data`, the content type its `datacontenttype`, and attributes
are user properties without a prefix. In structured mode, the only one of MQTT 3.1.1, the payload is one JSON object.
"""

from collections.abc import Iterable

from edge_agent.observers.cloudevents import structured
from edge_agent.observers.cloudevents.envelope import Envelope


def user_properties(envelope: Envelope) -> tuple[tuple[str, str], ...]:
    """Return the user properties of the message in binary mode."""
    return tuple(envelope.attributes().items())


def structured_json(envelope: Envelope) -> bytes:
    """Return the payload of the message in structured mode."""
    return structured.write(envelope)


def read(payload: bytes, content_type: str | None = None, user_properties: Iterable[tuple[str, str]] = ()) -> Envelope:
    """Read a message of either mode; raises MalformedMessageError."""
    attributes = dict(user_properties)
    if not attributes or (content_type or "").lower().startswith("application/cloudevents"):
        return structured.read(payload)
    if content_type:
        attributes["datacontenttype"] = content_type
    return structured.envelope_from(attributes, payload)
