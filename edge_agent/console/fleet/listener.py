"""Reads the events of all trains from Kafka, reconnecting after every failure, in a thread with its own event loop.

Events are passed to the console's loop in batches. A console that cannot keep up skips: live pictures matter more than
those of ten seconds ago.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer

from edge_agent.config import KafkaSettings
from edge_agent.console.schemas import Trouble
from edge_agent.faults import KAFKA_AWAY, FaultReport, FaultReporter
from edge_agent.observers.kafka.client import client_arguments, connection_cause, consume_forever, link_error
from edge_agent.observers.kafka.reader import CHECK_S, RecordReader, TopicChangedError
from edge_agent.runtime.threads import LoopThread

_log = structlog.get_logger(__name__)


STARTING = Trouble("not connected to Kafka yet", "wait a few seconds")
"""The trouble to show until `on_trouble` is called for the first time."""

_CLIENT = "edge-agent-console"
_MAX_RECORDS = 500
_POLL_MS = 1000


@dataclass(frozen=True, slots=True)
class EventMessage:
    """Headers and value of a Kafka message, as bytes."""

    headers: Sequence[tuple[str, bytes]]
    value: bytes | None = field(repr=False)


class FleetListener:
    """Reads the topic of events until cancelled.

    Args:
        settings: how to reach Kafka, and the topic.
        history_s: start so many seconds in the past; 0 starts with the next message.
        on_messages: called in the console's loop with each batch; the next one is read when it has returned.
        on_trouble: called in the console's loop with what is wrong, and with None when it is over.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        history_s: float,
        on_messages: Callable[[Sequence[EventMessage]], None],
        on_trouble: Callable[[Trouble | None], None],
    ) -> None:
        self.skipped = 0
        self.undecodable = 0
        self._settings = settings
        self._history_s = history_s
        self._on_messages = on_messages
        self._on_trouble = on_trouble
        self._loop: asyncio.AbstractEventLoop | None = None
        self._faults = FaultReporter(self._publish, time.monotonic)
        self._faults.report(KAFKA_AWAY, STARTING.error, STARTING.remedy)
        self._thread = LoopThread("fleet-listener", self._consume_forever, lambda: None)

    async def run(self) -> None:
        """Read until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._loop = None
            self._thread.cancel()

    async def _consume_forever(self) -> None:
        await consume_forever(self._settings, self._make_consumer, self._consume, self._report_error)

    def _make_consumer(self) -> Any:
        arguments = client_arguments(self._settings, _CLIENT) | {"metadata_max_age_ms": 10_000}
        # `fetch_max_wait_ms`: some brokers check for new messages no more often than they hold back a fetch.
        return AIOKafkaConsumer(
            self._settings.topic,
            **arguments,
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=max(1_048_576, self._settings.max_message_bytes * 2),
        )

    async def _consume(self, consumer: Any, on_connected: Callable[[], None]) -> None:
        reader = RecordReader(consumer, self._settings.send_timeout_s, self._count_undecodable)
        await reader.seek(round((time.time() - self._history_s) * 1000) if self._history_s > 0 else None)
        # After an outage the listener continues live instead of reading what it has missed.
        self._history_s = 0
        lag_checked_s = 0.0
        while True:
            records = await reader.read(_POLL_MS, _MAX_RECORDS)
            on_connected()
            self._faults.clear(KAFKA_AWAY)
            if records:
                await self._hand_over([EventMessage(tuple(record.headers), record.value) for record in records])
            if time.monotonic() - lag_checked_s > 5.0:
                lag_checked_s = time.monotonic()
                await self._catch_up(consumer)

    def _count_undecodable(self, count: int, reason: str) -> None:
        self.undecodable += count
        _log.warning("console_unreadable", topic=self._settings.topic, messages=count, reason=reason)

    async def _catch_up(self, consumer: Any) -> None:
        for partition in consumer.assignment():
            newest = consumer.highwater(partition)
            lag = newest - await consumer.position(partition) if newest is not None else 0
            # Messages of one partition that may wait in Kafka; with more, the listener jumps to the newest.
            if lag > 5000:
                self.skipped += lag
                _log.warning("console_skips", partition=partition.partition, messages=lag)
                consumer.seek(partition, newest)

    async def _hand_over(self, messages: Sequence[EventMessage]) -> None:
        """Pass a batch to the console's loop, and wait until it has been processed."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        own_loop, processed = asyncio.get_running_loop(), asyncio.Event()

        def process() -> None:
            try:
                self._on_messages(messages)
            finally:
                own_loop.call_soon_threadsafe(processed.set)

        loop.call_soon_threadsafe(process)
        await processed.wait()

    async def _report_error(self, error: Exception) -> None:
        if isinstance(error, TopicChangedError):
            self._history_s = CHECK_S * 2  # what came since the topic is new
            _log.info("kafka_topic_changed", topic=self._settings.topic)
            return
        cause = await connection_cause(error, self._settings, _CLIENT)
        link = link_error(cause, self._settings, self._settings.topic, reads=True)
        remedy = link.remedy.partition(";")[0]
        if self._faults.report(KAFKA_AWAY, link.message, remedy):
            _log.warning("kafka_away", error=link.message, remedy=remedy)

    def _publish(self, report: FaultReport) -> None:
        """Bring a report into the console's loop."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            trouble = Trouble(report.message, report.remedy) if report.active else None
            loop.call_soon_threadsafe(self._on_trouble, trouble)
