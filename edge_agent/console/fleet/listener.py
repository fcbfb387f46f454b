"""The events of all trains, read from Kafka for as long as the console runs.

Knows how to go on listening through every failure, in a thread and a loop of its own, since a consumer that hangs is
cancelled with all it had started. Knows nothing of what events mean: they are brought in batches to one function in
the console's loop. Who cannot follow skips: the live picture is worth more than the one of ten seconds ago.
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
from edge_agent.observers.kafka.client import KafkaLinkError, client_arguments, link_error, reason
from edge_agent.observers.kafka.consumer import consume_forever
from edge_agent.runtime.threads import LoopThread
from edge_agent.runtime.timeouts import with_timeout

_log = structlog.get_logger(__name__)

MAX_BEHIND = 5000
"""Messages of one partition that may wait at Kafka; with more the listener goes on with the newest."""

SILENT_S = 20.0
"""Without an answer of the brokers for this long the link is made anew."""

STARTING = Trouble("Kafka is not reached yet", "wait some seconds")
"""What is to be told until `tell` is called for the first time."""

_CLIENT = "edge-agent-console"
_MAX_RECORDS = 500
_POLL_MS = 1000
_LOOK_S = 5.0
_FETCH_MS = 50
"""A broker answers a fetch when something is there, or after this time; some look no more often than that."""


@dataclass(frozen=True, slots=True)
class EventMessage:
    """What came: headers and value, as bytes."""

    headers: Sequence[tuple[str, bytes]]
    value: bytes | None = field(repr=False)


class FleetListener:
    """Listens for ever.

    Args:
        settings: how to reach Kafka.
        history_s: begin so many seconds back; 0 begins with what comes next.
        hear: is called in the console's loop with each batch; until it returns no other is read.
        tell: is called in the console's loop with what is wrong, and with None when it is over.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        history_s: float,
        hear: Callable[[Sequence[EventMessage]], None],
        tell: Callable[[Trouble | None], None],
    ) -> None:
        self.skipped = 0
        self._settings = settings
        self._history_s = history_s
        self._hear = hear
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: Trouble | None = STARTING
        self._thread = LoopThread("fleet-listener", self._listen_for_ever, lambda: None)

    async def run(self) -> None:
        """Listen until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._loop = None
            self._thread.cancel()

    async def _listen_for_ever(self) -> None:
        await consume_forever(self._settings, self._make, self._listen, self._say_why)

    def _make(self) -> Any:
        arguments = client_arguments(self._settings, _CLIENT) | {"metadata_max_age_ms": 10_000}
        return AIOKafkaConsumer(
            self._settings.topic,
            **arguments,
            auto_offset_reset="latest",
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_MS,
            max_partition_fetch_bytes=max(1_048_576, self._settings.max_message_bytes * 2),
        )

    async def _begin(self, consumer: Any) -> None:
        """Go back in time where that is asked for; a broker that cannot tell offsets by time begins with the newest."""
        parts = consumer.assignment()
        if self._history_s <= 0 or not parts:
            return
        since_ms = round((time.time() - self._history_s) * 1000)
        try:
            found = await with_timeout(
                consumer.offsets_for_times(dict.fromkeys(parts, since_ms)), self._settings.send_timeout_s
            )
        except Exception as error:  # noqa: BLE001 - history is a favour
            _log.info("no_history", why=type(error).__name__)
            return
        for part, offset in found.items():
            if offset is not None:
                consumer.seek(part, offset.offset)
        self._history_s = 0  # after an outage what was missed is not made up: the picture is live

    async def _listen(self, consumer: Any, well: Callable[[], None]) -> None:
        await self._begin(consumer)
        well()
        self._say(None)
        looked_s = 0.0
        quiet_since_s = time.monotonic()
        while True:
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            messages = [
                EventMessage(tuple(record.headers), record.value) for records in batches.values() for record in records
            ]
            now_s = time.monotonic()
            if messages:
                quiet_since_s = now_s
                await self._hand_over(messages)
            elif now_s - quiet_since_s > SILENT_S:
                quiet_since_s = now_s
                await self._probe(consumer)
            if now_s - looked_s > _LOOK_S:
                looked_s = now_s
                await self._catch_up(consumer)

    async def _probe(self, consumer: Any) -> None:
        """Ask the brokers something where nothing has come for long; raises where they do not answer."""
        parts = consumer.assignment()
        if parts:
            await with_timeout(consumer.end_offsets(list(parts)), self._settings.send_timeout_s)
        else:
            await with_timeout(consumer._client.force_metadata_update(), self._settings.send_timeout_s)

    async def _catch_up(self, consumer: Any) -> None:
        for part in consumer.assignment():
            newest = consumer.highwater(part)
            behind = newest - await consumer.position(part) if newest is not None else 0
            if behind > MAX_BEHIND:
                self.skipped += behind
                _log.warning("console_skips", partition=part.partition, messages=behind)
                consumer.seek(part, newest)

    async def _hand_over(self, messages: Sequence[EventMessage]) -> None:
        """Have a batch taken in the console's loop, and wait until it has been."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        here, taken = asyncio.get_running_loop(), asyncio.Event()

        def take() -> None:
            try:
                self._hear(messages)
            finally:
                here.call_soon_threadsafe(taken.set)

        loop.call_soon_threadsafe(take)
        await taken.wait()

    async def _say_why(self, error: Exception) -> None:
        link = error if isinstance(error, KafkaLinkError) else link_error(await self._behind(error), self._settings)
        self._say(Trouble(link.words.message, link.words.remedy.partition(";")[0]))

    async def _behind(self, error: Exception) -> Exception:
        """Return what is behind an error that says no more than that there is no connection."""
        try:
            return await with_timeout(reason(self._settings, _CLIENT), self._settings.send_timeout_s) or error
        except Exception:  # noqa: BLE001 - the first error says enough then
            return error

    def _say(self, trouble: Trouble | None) -> None:
        if trouble == self._told:
            return
        self._told = trouble
        if trouble is not None:
            _log.warning("kafka_away", error=trouble.error, remedy=trouble.remedy)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._tell, trouble)
