"""One life of an aiokafka producer: opened, used batch by batch, abandoned at the first failure.

aiokafka's start, send, flush and stop may hang forever, so each call has a time limit, and a producer that failed once
is never used again. It needs an event loop of its own: what a hanging producer leaves running is found there and
cancelled.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, errors as kafka_errors
from aiokafka.partitioner import DefaultPartitioner

from edge_agent.config import KafkaSettings
from edge_agent.errors import EdgeAgentError
from edge_agent.observers.kafka.client import (
    NO_TOPIC_S,
    KafkaLinkError,
    client_arguments,
    connection_cause,
    link_error,
)
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.runtime.timeouts import close_client, with_timeout

_ABANDON_S = 1.0
_OTHER_TOPIC_S = 1.0  # what a missing topic beside the events' own may cost those
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_CONNECTION = (
    kafka_errors.KafkaConnectionError,
    kafka_errors.KafkaTimeoutError,
    kafka_errors.AuthenticationFailedError,
)


class TooLargeError(EdgeAgentError):
    """The broker (or our own limit) does not accept a batch of this size; `count` is its number of records."""

    def __init__(self, message: str, *, count: int, by_broker: bool) -> None:
        super().__init__(message)
        self.count = count
        self.by_broker = by_broker


class Producer:
    """A producer that sends one batch at a time and waits until each has been acknowledged.

    With one batch in flight, appended to the log as a whole or not at all, everything before a batch has arrived when
    it is sent. So a duplicate after a failure arrives behind its first copy, and a consumer that drops ids it has seen
    finds every event once and in order.
    """

    def __init__(
        self, settings: KafkaSettings, client_id: str, make: Callable[..., AIOKafkaProducer] = AIOKafkaProducer
    ) -> None:
        self.idempotent = False
        self._settings = settings
        self._client_id = client_id
        self._make = make
        self._timeout_s = settings.send_timeout_s
        self._limit_bytes = settings.max_message_bytes  # of a batch, which is what a broker limits
        self._others = asyncio.all_tasks()
        self._producer: Any = None
        self._partitions: dict[str, tuple[int, ...]] = {}

    async def open(self) -> None:
        """Connect; raises KafkaLinkError. `idempotent` then says whether the broker allows an idempotent producer.

        If it refuses InitProducerId, a plain producer is used: consumers can drop duplicates by the events' ids.
        """
        try:
            self.idempotent = await self._start(idempotent=True)
            if not self.idempotent:
                await self._start(idempotent=False)
        except kafka_errors.KafkaConnectionError as error:
            await self.abandon()
            cause = await connection_cause(error, self._settings, self._client_id)
            raise link_error(cause, self._settings, self._settings.topic) from error
        except Exception as error:
            await self.abandon()
            raise link_error(error, self._settings, self._settings.topic) from error

    async def send(self, records: Sequence[OutboxRecord]) -> int:
        """Send the first records as one batch, as many as fit; return how many were acknowledged.

        They belong to one topic and key, so to one partition. Raises KafkaLinkError, with the producer abandoned, and
        TooLargeError when the first record does not fit into a message.
        """
        try:
            while True:
                try:
                    return await self._send(records)
                except TooLargeError as error:
                    if error.by_broker:  # the refused batch has left a gap in an idempotent producer's sequence
                        await self.abandon()
                        await self.open()
                    if error.count == 1:
                        raise
                    records = records[: error.count // 2]
        except (TooLargeError, KafkaLinkError):
            raise
        except Exception as error:  # also KeyError for an unexpected SCRAM reply, AssertionError for a lost connection
            await self.abandon()
            raise link_error(error, self._settings, records[0].topic) from error
        except asyncio.CancelledError:
            await self.abandon()
            raise

    async def abandon(self) -> None:
        """Close the connection and cancel everything that the producer had started, within 3 s."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # If stop hangs, its sockets must still be closed.
        await close_client((producer.stop, producer.client.close), self._others, _ABANDON_S)

    async def _start(self, *, idempotent: bool) -> bool:
        """Start a producer; return False if an idempotent one was asked for and refused."""
        arguments = client_arguments(self._settings, self._client_id)
        self._producer = self._make(
            **arguments,
            acks="all",
            enable_idempotence=idempotent,
            max_batch_size=self._limit_bytes,
            max_request_size=self._settings.max_message_bytes * 2,
        )
        try:
            await with_timeout(self._producer.start(), self._timeout_s)
        except kafka_errors.KafkaError as error:
            await self.abandon()
            if not idempotent or isinstance(error, _CONNECTION):
                raise
            return False
        return True

    async def _send(self, records: Sequence[OutboxRecord]) -> int:
        topic, key = records[0].topic, records[0].key
        partition = await self._partition(topic, key)
        batch = self._producer.create_batch()
        count = 0
        for record in records:
            if (record.topic, record.key) != (topic, key):
                break
            added = batch.append(
                key=record.key, value=record.value, timestamp=record.at_ms, headers=list(record.headers)
            )
            if added is None:
                break
            count += 1
        if count == 0 or (count == 1 and batch.size() > self._settings.max_message_bytes):
            raise TooLargeError("it is larger than kafka.max_message_bytes", count=1, by_broker=False)
        await self._deliver(batch, topic, partition, count)
        return count

    async def _deliver(self, batch: Any, topic: str, partition: int, count: int) -> None:
        try:
            sent = await with_timeout(self._producer.send_batch(batch, topic, partition=partition), self._timeout_s)
            await with_timeout(sent, self._timeout_s)
        except _TOO_LARGE:
            if count > 1:
                self._limit_bytes = min(self._limit_bytes, batch.size() * 3 // 4)
            raise TooLargeError("the broker accepts no message of its size", count=count, by_broker=True) from None

    async def _partition(self, topic: str, key: bytes | None) -> int:
        """Return the partition that Kafka's own clients would choose for the key."""
        if topic not in self._partitions:
            self._partitions[topic] = tuple(sorted(await self._find_topic(topic)))
        partitions = list(self._partitions[topic])
        return int(DefaultPartitioner()(key, partitions, partitions))

    async def _find_topic(self, topic: str) -> set[int]:
        """Return a topic's partitions; raises UnknownTopicOrPartitionError if it does not exist and is not created."""
        own = topic in (self._settings.topic, self._settings.command_topic)
        limit_s = self._timeout_s + NO_TOPIC_S if own else min(_OTHER_TOPIC_S, self._timeout_s)
        try:
            return set(await with_timeout(self._producer.partitions_for(topic), limit_s))
        except TimeoutError:
            if own:
                raise
        # aiokafka has not given up on it yet; brokers that answer a request for all topics would have named it.
        found = (await with_timeout(self._producer.client.fetch_all_metadata(), self._timeout_s)).partitions_for_topic
        if not (partitions := found(topic)):
            raise kafka_errors.UnknownTopicOrPartitionError
        return set(partitions)
