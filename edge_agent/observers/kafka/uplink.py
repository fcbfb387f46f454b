"""The uplink: takes rows out of the outbox in order and brings them to Kafka, at least once, for ever.

Knows when to connect, to wait and to give a producer up. Knows nothing of events: rows are bytes to it. Runs in an
event loop and a thread of its own, so that nothing it waits for or leaves behind is the train's concern.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Protocol

from edge_agent.config import KafkaSettings
from edge_agent.faults import KAFKA_DEAD_LETTER, KAFKA_FAILED, KAFKA_UNREACHABLE, FaultReporter
from edge_agent.observers.kafka.client import KafkaLinkError
from edge_agent.observers.kafka.producer import Producer, TooLargeError
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.status import OutboxStats
from edge_agent.observers.outbox.writer import OutboxUnavailableError
from edge_agent.runtime.backoff import Backoff
from edge_agent.runtime.rate_limit import RateLimiter
from edge_agent.runtime.threads import LoopThread

_MAX_ROWS = 500
_LIVE_MS = 5000.0  # what is younger is live, and no rate holds it back
_IDLE_S = 5.0
_AWAY_S = 0.5
_ENDING_S = 0.2


class OutboxReader(Protocol):
    """The outbox, as the uplink sees it."""

    @property
    def stats(self) -> OutboxStats:
        """What it knew of itself after the last commit."""
        ...

    def read(self, after_seq: int, max_rows: int, max_bytes: int) -> "Future[list[OutboxRecord]]":
        """Ask for committed rows behind `after_seq`, in order."""
        ...

    def acknowledge(self, seq: int) -> None:
        """Forget the rows up to `seq`."""
        ...

    def dead_letter(self, seq: int, reason: str) -> "Future[None]":
        """Move a row to the dead letters."""
        ...


@dataclass(frozen=True, slots=True)
class UplinkStats:
    """What the uplink knows of itself; counters since its start."""

    connected: bool = False
    idempotent: bool = False
    attempts: int = 0
    failures: int = 0
    sent: int = 0
    batches: int = 0
    dead: int = 0
    send_ms: float = 0.0
    error: str = ""


class Uplink:
    """Sends what waits. `run` is the work; `start` and `stop` put it into a thread of its own.

    Args:
        settings: how to reach Kafka and how fast to catch up.
        outbox: where rows come from.
        client_id: how the brokers' logs call us.
        faults: by a monotonic clock; used in the uplink's thread.
        connect: makes a producer; for tests.
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
        self._until_empty = False
        self._news = asyncio.Event()
        self._thread = LoopThread("kafka", self.run, self._failed)

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there are new rows. From any thread."""
        self._thread.call(self._news.set)

    def finish(self) -> None:
        """End as soon as nothing waits any more. From any thread."""
        self._until_empty = True
        self._thread.call(self._news.set)

    def stop(self, timeout_s: float) -> bool:
        """End now; False when that takes longer (the thread ends with the process). From any other thread."""
        self._until_empty = True
        self._thread.cancel()
        return self.join(timeout_s)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it takes longer."""
        return self._thread.join(timeout_s)

    async def run(self) -> None:
        """Connect, send, and start again after each failure, until asked to end."""
        while True:
            producer = self._connect(self._settings, self._client_id)
            self._note(attempts=self.stats.attempts + 1)
            try:
                await producer.open()
                self._note(idempotent=producer.idempotent)
                if await self._pump(producer):
                    return
            except KafkaLinkError as error:
                self._went_down(error)
            finally:
                self._note(connected=False)
                await producer.abandon()
            await self._pause(self._backoff.next_s())

    async def _pump(self, producer: Producer) -> bool:
        """Send rows as they come; True when asked to end and nothing waits. Raises LinkError."""
        self._note(connected=True)
        while True:
            ending = self._until_empty  # before looking: what was committed before we were asked to end must be seen
            rows = await self._next_rows()
            if rows:
                await self._send(producer, rows)
            elif ending:
                return True

    async def _next_rows(self) -> list[OutboxRecord]:
        """Return the rows to send now; waits where there are none, or where the rate asks for it."""
        self._news.clear()
        if self._bytes_rate.allowed(0) < 0:  # the last batch took more than its time
            await asyncio.sleep(self._bytes_rate.wait_s(0))
        allowed = self._rate.allowed(self._appended())
        try:
            rows = await self._read(allowed)
        except OutboxUnavailableError:
            await asyncio.sleep(_AWAY_S)
            return []
        if not rows and not self._until_empty:
            await self._pause(_IDLE_S)
        elif len(rows) > allowed:  # more waits than may be sent now: a small part of it, after a while
            await asyncio.sleep(self._rate.wait_s(len(rows)))
        return rows

    async def _read(self, allowed: int) -> list[OutboxRecord]:
        """Ask for the next rows; where the outbox has told of none behind the cursor, it need not be asked."""
        if self._cursor and self._cursor >= self._outbox.stats.last_seq:
            return []
        smallest = min(_MAX_ROWS, max(1, self._settings.outbox.drain_events_per_s // 20))
        max_rows = min(max(allowed, smallest), _MAX_ROWS)
        return await asyncio.wrap_future(self._outbox.read(self._cursor, max_rows, self._settings.max_message_bytes))

    def _appended(self) -> int:
        """Count the rows that came since the last call: the live ones, which no rate holds back."""
        last_seq = self._outbox.stats.last_seq
        seen_seq, self._seen_seq = self._seen_seq, last_seq
        return min(max(0, last_seq - seen_seq), _MAX_ROWS) if seen_seq else 0  # 0: the outbox was not open yet

    async def _send(self, producer: Producer, rows: list[OutboxRecord]) -> None:
        begun_s = self._clock()
        try:
            sent = await producer.send(rows)
        except TooLargeError as error:
            await self._dead_letter(rows[0], error)
            return
        self._rate.take(sent)
        self._bytes_rate.take(sum(row.size for row in rows[:sent] if self._waited(row)))
        self._cursor = rows[sent - 1].seq
        self._outbox.acknowledge(self._cursor)
        self._backoff.reset()
        self._came_up()
        send_ms = round((self._clock() - begun_s) * 1000, 2)
        self._note(sent=self.stats.sent + sent, batches=self.stats.batches + 1, send_ms=send_ms)

    def _waited(self, row: OutboxRecord) -> bool:
        """Tell a row of the backlog from a live one."""
        return abs(self._wall() * 1000 - row.at_ms) > _LIVE_MS

    async def _dead_letter(self, row: OutboxRecord, error: TooLargeError) -> None:
        try:
            await asyncio.wrap_future(self._outbox.dead_letter(row.seq, error.message))
        except OutboxUnavailableError:
            await asyncio.sleep(_AWAY_S)  # it is still the first in line, and will be met again
            return
        self._cursor = row.seq
        self._note(dead=self.stats.dead + 1)
        message = f"a message of {row.size} bytes was set aside as a dead letter: {error.message}"
        self._faults.report(KAFKA_DEAD_LETTER, message)

    async def _pause(self, wait_s: float) -> None:
        """Wait, at most until there is news that matters."""
        if self.stats.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            return
        until_s = self._clock() + wait_s  # new rows do not mend a link: only being asked to end cuts this short
        while (left_s := until_s - self._clock()) > 0:
            await asyncio.sleep(min(left_s, _ENDING_S))
            if self._until_empty:
                return

    def _went_down(self, error: KafkaLinkError) -> None:
        self._note(connected=False, failures=self.stats.failures + 1, error=error.message)
        self._faults.report(error.kind, error.message, error.remedy)

    def _came_up(self) -> None:
        self._faults.clear(KAFKA_UNREACHABLE)  # or whichever fault the link had
        if self.stats.error:
            self._note(error="")

    def _note(self, **changes: object) -> None:
        self.stats = replace(self.stats, **changes)  # type: ignore[arg-type]  # names and types are those above

    def _failed(self) -> None:
        self._faults.report(KAFKA_FAILED, "the uplink has failed; events wait in the outbox")
