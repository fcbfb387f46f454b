"""Kafka messages without a topic, as a producer sends them."""

from typing import NamedTuple

from edge_agent.observers.cloudevents import Envelope, kafka


class KafkaMessage(NamedTuple):
    """Key, headers and value of a message."""

    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


def message_of(envelope: Envelope, *, structured: bool = False) -> KafkaMessage:
    """Return the message that carries a CloudEvent."""
    headers, value = (kafka.structured_json if structured else kafka.binary)(envelope)
    return KafkaMessage(envelope.partitionkey.encode() if envelope.partitionkey else None, headers, value)
