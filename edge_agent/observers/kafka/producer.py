"""One life of an aiokafka producer: opened, used batch by batch, abandoned at the first doubt.

Knows aiokafka's traps: start, send, flush and stop may hang for ever, so each call is bounded and a producer that
failed once is never used again. Beside its own errors it lets others out (KeyError for a SCRAM answer it did not
expect, AssertionError for a lost connection), so every exception means the same here: this link does not work.
Knows nothing of the outbox or of when to try again. Needs an event loop of its own: what a hanging producer leaves
running is found there and cancelled.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors
from aiokafka.partitioner import DefaultPartitioner

from edge_agent.config import KafkaSettings
from edge_agent.errors import EdgeAgentError
from edge_agent.observers.kafka.client import KafkaLinkError, client_arguments, link_error, reason
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.runtime.timeouts import close_client, with_timeout

_ABANDON_S = 1.0
_NO_TOPIC_S = 1.0  # aiokafka gives up on a missing topic after the same time as we; its word says more
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_CONNECTION = (
    kafka_errors.KafkaConnectionError,
    kafka_errors.KafkaTimeoutError,
    kafka_errors.AuthenticationFailedError,
)


class TooLargeError(EdgeAgentError):
    """The broker (or our own limit) admits no batch of this size. `count` is how many records are in it."""

    def __init__(self, message: str, *, count: int, by_broker: bool) -> None:
        super().__init__(message)
        self.count = count
        self.by_broker = by_broker


class Producer:
    """A producer that sends one batch at a time and knows when each has arrived.

    One batch in flight, appended to the log as a whole or not at all: everything before a batch has arrived when it is
    sent. So whatever arrives twice after a failure arrives behind its first copy, and a consumer that drops ids it has
    seen finds every event once and in order.
    """

    def __init__(
        self, settings: KafkaSettings, client_id: str, make: Callable[..., AIOKafkaProducer] = AIOKafkaProducer
    ) -> None:
        self.idempotent = False
        self._settings = settings
        self._client_id = client_id
        self._make = make
        self._timeout_s = settings.send_timeout_s
        self._limit_bytes = settings.max_message_bytes  # of a batch: that is what a broker limits
        self._others = asyncio.all_tasks()
        self._producer: Any = None
        self._partitions: dict[str, tuple[int, ...]] = {}

    async def open(self) -> None:
        """Connect; raises LinkError. `idempotent` tells afterwards whether the broker admits an idempotent producer.

        A broker that refuses InitProducerId gets a plain producer: ids in the events allow consumers to drop what
        arrives twice.
        """
        try:
            self.idempotent = await self._start(idempotent=True)
            if not self.idempotent:
                await self._start(idempotent=False)
        except kafka_errors.KafkaConnectionError as error:
            await self.abandon()
            raise link_error(await self._reason(error), self._settings) from error
        except Exception as error:
            await self.abandon()
            raise link_error(error, self._settings) from error

    async def send(self, records: Sequence[OutboxRecord]) -> int:
        """Send the first records as one batch, as many as fit; return how many have arrived.

        They belong to one topic and key, so to one partition. Raises LinkError (the producer is abandoned then) and
        TooLargeError when the first record does not fit a message.
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
        except Exception as error:
            await self.abandon()
            raise link_error(error, self._settings) from error
        except asyncio.CancelledError:
            await self.abandon()
            raise

    async def abandon(self) -> None:
        """Let go of the connection and of everything the producer had started; takes 3 s at the most."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # Where stop hangs, the sockets are still to be closed.
        await close_client((producer.stop, producer.client.close), self._others, _ABANDON_S)

    async def _reason(self, error: Exception) -> Exception:
        """Return what is behind an error that says no more than that there is no connection."""
        try:
            return await with_timeout(reason(self._settings, self._client_id), self._timeout_s) or error
        except TimeoutError as late:
            return late

    async def _start(self, *, idempotent: bool) -> bool:
        """Start a producer; False where it cannot be idempotent and was asked to be."""
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
            raise TooLargeError("the broker admits no message of its size", count=count, by_broker=True) from None

    async def _partition(self, topic: str, key: bytes | None) -> int:
        """Return the partition that Kafka's own clients would choose for the key."""
        if topic not in self._partitions:
            found = await with_timeout(self._producer.partitions_for(topic), self._timeout_s + _NO_TOPIC_S)
            self._partitions[topic] = tuple(sorted(found))
        partitions = list(self._partitions[topic])
        return int(DefaultPartitioner()(key, partitions, partitions))
