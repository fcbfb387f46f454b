"""The uplink: reads records from the outbox in order and sends them to Kafka, at least once, until stopped.

It decides when to connect, to wait and to give up a producer. It runs in a thread with an event loop of its own, so
that nothing it waits for or leaves behind concerns the train.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Protocol

from edge_agent.config import KafkaSettings
from edge_agent.faults import (
    KAFKA_COMPAT_UNSENT,
    KAFKA_DEAD_LETTER,
    KAFKA_FAILED,
    KAFKA_UNREACHABLE,
    FaultReporter,
)
from edge_agent.observers.kafka.client import KafkaLinkError
from edge_agent.observers.kafka.producer import Producer, TooLargeError
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.status import OutboxStats
from edge_agent.observers.outbox.writer import OutboxUnavailableError
from edge_agent.runtime.backoff import Backoff
from edge_agent.runtime.rate_limit import RateLimiter
from edge_agent.runtime.threads import LoopThread

_MAX_ROWS = 500
_LIVE_MS = 5000.0  # younger records are live, and not limited by the catch-up rate
_IDLE_S = 5.0
_OUTBOX_RETRY_S = 0.5
_POLL_S = 0.2
_BLOCKED_S = 60.0  # a topic beside the events' own that cannot be used is tried again after this time


class OutboxReader(Protocol):
    """The outbox, as the uplink sees it."""

    @property
    def stats(self) -> OutboxStats:
        """Statistics after the last commit."""
        ...

    def read(self, after_seq: int, max_rows: int, max_bytes: int) -> "Future[list[OutboxRecord]]":
        """Request committed rows after `after_seq`, in order."""
        ...

    def acknowledge(self, seq: int) -> None:
        """Delete the rows up to `seq`."""
        ...

    def dead_letter(self, seq: int, reason: str) -> "Future[None]":
        """Move a row to the dead letters."""
        ...


@dataclass(frozen=True, slots=True)
class UplinkStats:
    """Statistics of the uplink; counters since its start. `dropped` are messages for a topic that cannot be used."""

    connected: bool = False
    idempotent: bool = False
    attempts: int = 0
    failures: int = 0
    sent: int = 0
    batches: int = 0
    dead: int = 0
    dropped: int = 0
    send_ms: float = 0.0
    error: str = ""


class Uplink:
    """Sends what waits in the outbox: `run` does the work, `start` and `stop` give it a thread of its own.

    Args:
        settings: how to reach Kafka and how fast to catch up.
        outbox: where the records come from.
        client_id: the name in the brokers' logs.
        faults: by a monotonic clock; used in the uplink's thread.
        connect: makes a producer; replaced in tests.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        outbox: OutboxReader,
        client_id: str,
        *,
        faults: FaultReporter,
        connect: Callable[[KafkaSettings, str], Producer] = Producer,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.stats = UplinkStats()
        self._settings = settings
        self._outbox = outbox
        self._client_id = client_id
        self._faults = faults
        self._connect = connect
        self._clock = clock
        self._wall = wall
        self._backoff = Backoff(settings.retry_max_s)
        self._rate = RateLimiter(settings.outbox.drain_events_per_s, clock)
        self._bytes_rate = RateLimiter(settings.outbox.drain_mb_per_s * 1e6, clock)
        self._cursor = 0
        self._seen_seq = 0
        self._blocked_until_s: dict[str, float] = {}
        self._until_empty = False
        self._wake = asyncio.Event()
        self._thread = LoopThread("kafka", self.run, self._failed)

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread.start()

    def wake(self) -> None:
        """Signal that there are new rows. From any thread."""
        self._thread.call(self._wake.set)

    def finish(self) -> None:
        """Request an end once nothing waits any more. From any thread."""
        self._until_empty = True
        self._thread.call(self._wake.set)

    def stop(self, timeout_s: float) -> bool:
        """Stop now; return False if that takes longer (the thread ends with the process). From any other thread."""
        self._until_empty = True
        self._thread.cancel()
        return self.join(timeout_s)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; return False if it takes longer."""
        return self._thread.join(timeout_s)

    async def run(self) -> None:
        """Connect, send, and start again after each failure, until asked to end."""
        while True:
            producer = self._connect(self._settings, self._client_id)
            self._update_stats(attempts=self.stats.attempts + 1)
            try:
                await producer.open()
                self._update_stats(idempotent=producer.idempotent)
                if await self._pump(producer):
                    return
            except KafkaLinkError as error:
                self._on_link_error(error)
            finally:
                self._update_stats(connected=False)
                await producer.abandon()
            await self._pause(self._backoff.next_s())

    async def _pump(self, producer: Producer) -> bool:
        """Send rows as they come; return True once asked to end and nothing waits. Raises KafkaLinkError."""
        self._update_stats(connected=True)
        while True:
            ending = self._until_empty  # read first: rows committed before the request to end must still be sent
            rows = await self._next_rows()
            if rows:
                await self._send(producer, rows)
            elif ending:
                return True

    async def _next_rows(self) -> list[OutboxRecord]:
        """Return the rows to send now; waits if there are none, or if the rate requires it."""
        self._wake.clear()
        if self._bytes_rate.allowed(0) < 0:  # the last batch used more than its share
            await asyncio.sleep(self._bytes_rate.wait_s(0))
        allowed = self._rate.allowed(self._appended())
        try:
            rows = await self._read(allowed)
        except OutboxUnavailableError:
            await asyncio.sleep(_OUTBOX_RETRY_S)
            return []
        if not rows and not self._until_empty:
            await self._pause(_IDLE_S)
        elif len(rows) > allowed:  # a backlog: a small part of it, after a pause
            await asyncio.sleep(self._rate.wait_s(len(rows)))
        return rows

    async def _read(self, allowed: int) -> list[OutboxRecord]:
        """Read the next rows; the outbox is not asked if its statistics show none after the cursor."""
        if self._cursor and self._cursor >= self._outbox.stats.last_seq:
            return []
        smallest = min(_MAX_ROWS, max(1, self._settings.outbox.drain_events_per_s // 20))
        max_rows = min(max(allowed, smallest), _MAX_ROWS)
        return await asyncio.wrap_future(self._outbox.read(self._cursor, max_rows, self._settings.max_message_bytes))

    def _appended(self) -> int:
        """Count the rows since the last call: live ones, which no rate limits."""
        last_seq = self._outbox.stats.last_seq
        seen_seq, self._seen_seq = self._seen_seq, last_seq
        return min(max(0, last_seq - seen_seq), _MAX_ROWS) if seen_seq else 0  # 0: the outbox was not open yet

    async def _send(self, producer: Producer, rows: list[OutboxRecord]) -> None:
        started_s = self._clock()
        if blocked := self._count_blocked(rows):
            self._drop(rows[:blocked])
            return
        try:
            sent = await producer.send(rows)
        except TooLargeError as error:
            await self._dead_letter(rows[0], error)
            return
        except KafkaLinkError as error:
            if error.topic in ("", self._settings.topic):
                raise
            self._blocked_until_s[error.topic] = started_s + _BLOCKED_S
            message = f"{error.message}: what is for it is dropped, all else is sent"
            self._faults.report(KAFKA_COMPAT_UNSENT, message, error.remedy)
            await producer.open()  # it has abandoned its connection
            return
        if rows[0].topic != self._settings.topic:
            self._faults.clear(KAFKA_COMPAT_UNSENT)
        self._rate.take(sent)
        self._bytes_rate.take(sum(row.size for row in rows[:sent] if self._waited(row)))
        self._cursor = rows[sent - 1].seq
        self._outbox.acknowledge(self._cursor)
        self._backoff.reset()
        self._on_sent()
        send_ms = round((self._clock() - started_s) * 1000, 2)
        self._update_stats(sent=self.stats.sent + sent, batches=self.stats.batches + 1, send_ms=send_ms)

    def _count_blocked(self, rows: list[OutboxRecord]) -> int:
        """Count the first rows, up to one that can be sent."""
        now_s = self._clock()
        sendable = (i for i, row in enumerate(rows) if self._blocked_until_s.get(row.topic, now_s) <= now_s)
        return next(sendable, len(rows))

    def _drop(self, rows: list[OutboxRecord]) -> None:
        """Drop rows whose topic cannot be used: kept, they would hold back all that came after them."""
        self._cursor = rows[-1].seq
        self._outbox.acknowledge(self._cursor)
        self._update_stats(dropped=self.stats.dropped + len(rows))

    def _waited(self, row: OutboxRecord) -> bool:
        """Return whether a row is of the backlog, not live."""
        return abs(self._wall() * 1000 - row.at_ms) > _LIVE_MS

    async def _dead_letter(self, row: OutboxRecord, error: TooLargeError) -> None:
        try:
            await asyncio.wrap_future(self._outbox.dead_letter(row.seq, error.message))
        except OutboxUnavailableError:
            await asyncio.sleep(_OUTBOX_RETRY_S)  # it is still the first in line, and will be tried again
            return
        self._cursor = row.seq
        self._update_stats(dead=self.stats.dead + 1)
        message = f"a message of {row.size} bytes was moved to the dead letters: {error.message}"
        self._faults.report(KAFKA_DEAD_LETTER, message)

    async def _pause(self, wait_s: float) -> None:
        """Wait, at most until there are new rows (while connected) or a request to end."""
        if self.stats.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            return
        until_s = self._clock() + wait_s  # new rows do not repair a link: only a request to end cuts this short
        while (left_s := until_s - self._clock()) > 0:
            await asyncio.sleep(min(left_s, _POLL_S))
            if self._until_empty:
                return

    def _on_link_error(self, error: KafkaLinkError) -> None:
        self._update_stats(connected=False, failures=self.stats.failures + 1, error=error.message)
        self._faults.report(error.kind, error.message, error.remedy)

    def _on_sent(self) -> None:
        self._faults.clear(KAFKA_UNREACHABLE)  # or whichever fault of its group is active
        if self.stats.error:
            self._update_stats(error="")

    def _update_stats(self, **changes: object) -> None:
        self.stats = replace(self.stats, **changes)  # type: ignore[arg-type]  # the fields of UplinkStats

    def _failed(self) -> None:
        self._faults.report(KAFKA_FAILED, "the uplink has failed; events wait in the outbox")
