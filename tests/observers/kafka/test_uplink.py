"""The uplink without a broker: what it asks of the outbox."""

import asyncio
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, cast

from aiokafka import errors as kafka_errors

from edge_agent.config import KafkaSettings
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.observers.kafka.client import link_error
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


async def test_topic_of_the_compatibility_mode_that_is_missing_holds_up_nothing_and_is_named() -> None:
    outbox, cluster, faults = Outbox(), Cluster(), list[FaultReport]()
    now_s = [0.0]
    missing = link_error(kafka_errors.UnknownTopicOrPartitionError(), KafkaSettings(), "train-monitoring")

    class Partial(Cluster):
        exists = False

        async def send(self, records: Any) -> int:
            if records[0].topic == "train-monitoring" and not self.exists:
                raise missing
            await cluster.send(records[:1])
            return 1

    partial = Partial()
    uplink = Uplink(
        KafkaSettings(topic="topic"),
        outbox,
        "test",
        faults=FaultReporter(faults.append, lambda: now_s[0]),
        connect=lambda settings, name: cast("Producer", partial),
        clock=lambda: now_s[0],
    )

    async def pass_through(*numbers: int) -> None:
        for number in numbers:
            outbox.add(number)
            if number % 2 == 0:
                outbox.rows[-1] = replace(outbox.rows[-1], topic="train-monitoring")
        uplink._wake.set()
        await until(lambda: outbox.arrived_seq == numbers[-1], "all rows are done with")

    task = asyncio.create_task(uplink.run())
    try:
        await pass_through(1, 2, 3, 4, 5)
        assert (cluster.numbers, uplink.stats.dropped, uplink.stats.failures) == ([1, 3, 5], 2, 0)
        assert [fault.code for fault in faults] == ["kafka_compat_unsent"]
        assert "no topic train-monitoring" in faults[0].message
        partial.exists = True
        now_s[0] = 61.0
        await pass_through(6, 7)
        assert cluster.numbers == [1, 3, 5, 6, 7]
        assert (faults[-1].code, faults[-1].active) == ("kafka_compat_unsent", False)
    finally:
        task.cancel()
        await asyncio.wait({task})
