"""Envelope <-> headers and value of a Kafka message: the CloudEvents Kafka protocol binding 1.0.2.

The key of a message is the train's id, the envelope's `partitionkey`: a train's events stay in one partition, in order.
"""

from collections.abc import Iterable

from edge_agent.observers.cloudevents import names, structured
from edge_agent.observers.cloudevents.envelope import Envelope
from edge_agent.observers.cloudevents.names import MalformedMessageError

_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"

Headers = tuple[tuple[str, bytes], ...]


def binary(envelope: Envelope) -> tuple[Headers, bytes]:
    """Return headers and value of the message in binary mode: attributes as `ce_` headers, the value as it is."""
    headers = [(_CONTENT_TYPE, envelope.datacontenttype.encode())]
    headers += [(_PREFIX + name, value.encode()) for name, value in envelope.attributes().items()]
    return tuple(headers), envelope.data


def structured_json(envelope: Envelope) -> tuple[Headers, bytes]:
    """Return headers and value of the message in structured mode: one JSON object as the value."""
    return ((_CONTENT_TYPE, names.STRUCTURED.encode()),), structured.write(envelope)


def read(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> Envelope:
    """Read a message of either mode; raises MalformedMessageError."""
    texts = _texts(headers)
    content_type = texts.get(_CONTENT_TYPE, "")
    if content_type.lower().startswith("application/cloudevents"):
        return structured.read(value or b"")
    attributes = {name[len(_PREFIX) :]: text for name, text in texts.items() if name.startswith(_PREFIX)}
    if content_type:
        attributes["datacontenttype"] = content_type
    return structured.envelope_from(attributes, value or b"")


def _texts(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    try:
        return {name.lower(): (raw or b"").decode() for name, raw in headers}
    except UnicodeDecodeError:
        raise MalformedMessageError("a header is not UTF-8") from None
