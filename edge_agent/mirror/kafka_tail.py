"""The live stream of events, read back from Kafka.

Knows how to consume and to read what comes. Knows nothing of terminals.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer

from edge_agent.config import Kafka
from edge_agent.errors import ConfigError
from edge_agent.mirror.bounded import bounded
from edge_agent.mirror.kafka_client import client_arguments, link_error
from edge_agent.wire import Envelope, MalformedMessageError, kafka


@dataclass(frozen=True, slots=True)
class Heard:
    """One message: its envelope, or why it is no event of ours."""

    envelope: Envelope | None
    problem: str
    bytes: int


async def tail(settings: Kafka, *, from_start: bool) -> AsyncGenerator[Heard, None]:
    """Yield each message of the events' topic as it comes, for ever. Raises LinkError when Kafka cannot be reached."""
    arguments = client_arguments(settings, "edge-agent-tail")
    offset = "earliest" if from_start else "latest"
    consumer = AIOKafkaConsumer(settings.topic, **arguments, auto_offset_reset=offset, enable_auto_commit=False)
    try:
        await _start(consumer, settings)
        async for message in consumer:
            size = len(message.value or b"")
            try:
                yield Heard(kafka.read(message.headers, message.value), "", size)
            except MalformedMessageError as error:
                yield Heard(None, error.message, size)
    finally:
        with_time = asyncio.ensure_future(bounded(consumer.stop(), settings.send_timeout_s))
        await asyncio.wait({with_time})


async def _start(consumer: AIOKafkaConsumer, settings: Kafka) -> None:
    try:
        await bounded(consumer.start(), settings.send_timeout_s)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - aiokafka lets more than its own errors out; each means no link
        raise link_error(error, settings) from None
