"""The uplink without a broker: what it asks of the outbox."""

import asyncio
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, cast

from edge_agent.config import KafkaSettings
from edge_agent.faults import FaultReporter
from edge_agent.observers.kafka.producer import Producer
from edge_agent.observers.kafka.uplink import Uplink
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.status import OutboxStats
from tests.observers.kafka.rig import until
from tests.observers.outbox.records import number_of, record


class Outbox:
    """Gives rows and counts how often it is asked."""

    def __init__(self) -> None:
        self.rows: list[OutboxRecord] = []
        self.asked: list[int] = []
        self.arrived_seq = 0

    @property
    def stats(self) -> OutboxStats:
        return OutboxStats(last_seq=self.rows[-1].seq if self.rows else 0)

    def add(self, number: int) -> None:
        self.rows.append(replace(record(number), seq=number))

    def read(self, after_seq: int, max_rows: int, max_bytes: int) -> "Future[list[OutboxRecord]]":
        self.asked.append(after_seq)
        answer: Future[list[OutboxRecord]] = Future()
        answer.set_result([row for row in self.rows if row.seq > after_seq][:max_rows])
        return answer

    def acknowledge(self, seq: int) -> None:
        self.arrived_seq = seq

    def dead_letter(self, seq: int, reason: str) -> "Future[None]":
        raise NotImplementedError


class Cluster:
    """A producer whose records arrive at once."""

    idempotent = True

    def __init__(self) -> None:
        self.numbers: list[int] = []

    async def open(self) -> None: ...

    async def abandon(self) -> None: ...

    async def send(self, records: Any) -> int:
        self.numbers += [number_of(one) for one in records]
        return len(records)


async def test_outbox_is_asked_only_when_it_has_told_of_rows_behind_the_last() -> None:
    outbox, cluster = Outbox(), Cluster()
    outbox.add(1)
    uplink = Uplink(
        KafkaSettings(),
        outbox,
        "test",
        faults=FaultReporter(lambda _: None, time.monotonic),
        connect=lambda settings, name: cast("Producer", cluster),
    )
    task = asyncio.create_task(uplink.run())
    try:
        await until(lambda: outbox.arrived_seq == 1, "the row has arrived")
        for number in (2, 3):
            outbox.add(number)
            uplink._wake.set()
            await until(lambda: outbox.arrived_seq == outbox.rows[-1].seq, "the row has arrived")
        uplink._wake.set()  # without new rows
        for _ in range(10):
            await asyncio.sleep(0)
        assert cluster.numbers == [1, 2, 3]
        assert outbox.asked == [0, 1, 2]
    finally:
        task.cancel()
        await asyncio.wait({task})
