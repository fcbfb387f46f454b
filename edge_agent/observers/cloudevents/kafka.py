"""Envelope <-> Kafka message: the CloudEvents Kafka protocol binding, binary and structured mode.

Knows headers and keys. Knows nothing of topics or brokers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.observers.cloudevents import names, structured
from edge_agent.observers.cloudevents.envelope import Envelope
from edge_agent.observers.cloudevents.names import MalformedMessageError

_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"


@dataclass(frozen=True, slots=True)
class KafkaMessage:
    """A message without its topic. The key is the train's id: its events stay in one partition, in order."""

    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes = field(repr=False)


def binary(envelope: Envelope) -> KafkaMessage:
    """Return the message of binary mode: attributes as `ce_` headers, the value as it is."""
    headers = [(_CONTENT_TYPE, envelope.datacontenttype.encode())]
    headers += [(_PREFIX + name, value.encode()) for name, value in envelope.attributes().items()]
    return KafkaMessage(_key(envelope), tuple(headers), envelope.data)


def structured_json(envelope: Envelope) -> KafkaMessage:
    """Return the message of structured mode: one JSON object as the value."""
    headers = ((_CONTENT_TYPE, names.STRUCTURED.encode()),)
    return KafkaMessage(_key(envelope), headers, structured.write(envelope))


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


def _key(envelope: Envelope) -> bytes | None:
    return envelope.partitionkey.encode() if envelope.partitionkey is not None else None


def _texts(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    try:
        return {name.lower(): (raw or b"").decode() for name, raw in headers}
    except UnicodeDecodeError:
        raise MalformedMessageError("a header is not UTF-8") from None
