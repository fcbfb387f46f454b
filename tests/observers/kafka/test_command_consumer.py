"""Commands come through Kafka, go on coming after an outage, and nothing old is replayed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import confluent_kafka
import pytest
import structlog
from aiokafka import TopicPartition, errors

from edge_agent.control.commands import Channel, CommandMessage, Verb
from edge_agent.faults import FaultReport
from edge_agent.observers.cloudevents import MalformedMessageError
from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC
from edge_agent.observers.kafka.commands import (
    MAX_PER_WINDOW,
    MAX_STOPS_PER_WINDOW,
    KafkaCommandConsumer,
    ReadMessage,
    Record,
    capture_messages,
)
from tests.observers.kafka.rig import settings, until
from tests.support.commands import RecordingExecutor, command_handler
from tests.support.kafka_brokers import Tansu, tansu_behind_proxy


def send(address: str, topic: str, *values: bytes) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "log_level": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


def read(record: Record) -> CommandMessage | None:
    """Read `name` or `name id`; what is called `other` is for another train."""
    name, _, message_id = record.value.decode().partition(" ")
    if name == "other":
        return None
    return CommandMessage(Channel.KAFKA, name, b"{}", vouched=True, message_id=message_id, issued_at=time.time())


@contextlib.asynccontextmanager
async def listening(
    address: str, topic: str, read: ReadMessage, executor: RecordingExecutor
) -> AsyncIterator[KafkaCommandConsumer]:
    consumer = KafkaCommandConsumer(
        settings(address), train_id="train-1", topic=topic, read=read, commands=command_handler(executor)
    )
    task = asyncio.create_task(consumer.run())
    try:
        await until(lambda: consumer.listening, "it listens")
        yield consumer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(consumer.join)


async def test_originals_console_starts_and_stops_the_capture(tmp_path: Path) -> None:
    executor = RecordingExecutor()
    with Tansu(tmp_path / "tansu.log") as broker:
        send(broker.address, CAPTURE_TOPIC, b'{"command":"start"}')  # sent before we listen: old
        async with listening(broker.address, CAPTURE_TOPIC, capture_messages(), executor):
            send(broker.address, CAPTURE_TOPIC, b"rubbish", b'{"command":"start"}', b'{"command":"stop"}')
            await until(lambda: len(executor.results) == 3, "each that was sent since has a result")
    assert Verb.CAPTURE_STOP in [command.verb for command in executor.executed]
    assert sorted(result.verb for result in executor.results) in (
        ["capture", "capture", "capture_stop"],  # the stop came first, and holds the start
        ["capture", "capture_start", "capture_stop"],
    )


async def test_commands_come_again_after_the_link_was_cut(tmp_path: Path) -> None:
    executor = RecordingExecutor()

    def seen() -> list[str | None]:
        return [result.command_id for result in executor.results]

    with tansu_behind_proxy(tmp_path) as (_broker, proxy):
        send(f"127.0.0.1:{proxy.port}", "orders", b"stop first")
        async with listening(f"127.0.0.1:{proxy.port}", "orders", read, executor) as consumer:
            send(f"127.0.0.1:{proxy.port}", "orders", b"stop one")
            await until(lambda: seen() == ["one"], "the first came")
            for trouble in (proxy.reset, proxy.refuse):
                trouble()
                await asyncio.sleep(0.3)
                proxy.mend()
            await until(lambda: consumer.listening, "it listens again")
            number = 0
            while len(seen()) < 2:  # what is sent while it finds its way back may be missed: that is a stale command
                number += 1
                send(f"127.0.0.1:{proxy.port}", "orders", b"stop again")
                await asyncio.sleep(0.1)
                assert number < 200
    assert set(seen()) == {"one", "again"}


def record_of(value: bytes) -> Record:
    fields = {"topic": "orders", "partition": 0, "offset": 0, "key": None, "headers": (), "timestamp": 0}
    return SimpleNamespace(value=value, **fields)  # type: ignore[return-value]


async def received(*values: str) -> tuple[list[str], KafkaCommandConsumer]:
    """Return names and ids of what is submitted of messages that come in one batch, and the consumer."""
    executor = RecordingExecutor()
    consumer = KafkaCommandConsumer(
        settings("nowhere:1"), train_id="train-1", topic="orders", read=read, commands=command_handler(executor)
    )
    consumer._submit([record_of(value.encode()) for value in values])
    await asyncio.sleep(0)
    return [f"{result.verb} {result.command_id or ''}".strip() for result in executor.results], consumer


async def test_stop_overtakes_what_came_with_it() -> None:
    assert (await received("drive", "power", "stop"))[0] == ["stop", "drive", "power"]


async def test_of_a_flood_only_the_beginning_is_looked_at_and_every_kind_of_stop() -> None:
    flood = [f"drive {number}" for number in range(400)]
    seen, consumer = await received(*flood, *["stop"] * 50, "emergency_stop", "disarm")
    assert seen[:3] == ["stop", "emergency_stop", "disarm"]
    assert seen[MAX_STOPS_PER_WINDOW:] == flood[:MAX_PER_WINDOW]
    assert consumer.discarded == 400 + 52 - MAX_PER_WINDOW - MAX_STOPS_PER_WINDOW


async def test_messages_for_other_trains_are_no_flood() -> None:
    assert (await received(*["other"] * 400, "drive"))[0] == ["drive"]


async def test_flood_of_unreadable_messages_is_logged_once_and_keeps_no_command_out() -> None:
    def fail(record: Record) -> CommandMessage | None:
        if record.value == b"rubbish":
            raise MalformedMessageError("no CloudEvent")
        return read(record)

    executor = RecordingExecutor()
    consumer = KafkaCommandConsumer(
        settings("nowhere:1"), train_id="train-1", topic="orders", read=fail, commands=command_handler(executor)
    )
    values = [*[b"rubbish"] * 400, b"stop"]
    with structlog.testing.capture_logs() as logs:
        consumer._submit([record_of(value) for value in values])
        await asyncio.sleep(0)
    assert [log["event"] for log in logs] == ["command_unreadable", "command"]
    assert [command.verb for command in executor.executed] == [Verb.STOP]


class Consumer:
    """Stands in for aiokafka's: fails as the test wants, then receives nothing."""

    def __init__(self, failures: list[Exception]) -> None:
        self._failures = failures
        self._client = self

    async def start(self) -> None:
        if self._failures:
            raise self._failures.pop()

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({TopicPartition("orders", 0)})

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, None]:
        return dict.fromkeys(times)

    def highwater(self, _: TopicPartition) -> int:
        return 0

    def get_random_node(self) -> int:
        return 1

    async def send(self, *_: object) -> bytes:
        raise errors.IncompatibleBrokerVersion("tells no ids")

    def seek(self, *_: object) -> None:
        pass

    async def getmany(self, **_: int) -> dict[str, list[object]]:
        await asyncio.sleep(0.01)
        return {}

    async def stop(self) -> None:
        pass

    close = stop


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (errors.TopicAuthorizationFailedError, "not allow us to read the topic orders"),
        (errors.UnknownTopicOrPartitionError, "no topic orders"),
    ],
)
async def test_topic_that_cannot_be_read_is_reported_once_and_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception], word: str
) -> None:
    faults: list[FaultReport] = []
    failures: list[Exception] = [failure(), errors.KafkaConnectionError(), failure()]
    monkeypatch.setattr(KafkaCommandConsumer, "_make", lambda _: Consumer(failures))
    orders = KafkaCommandConsumer(
        settings("nowhere:1"),
        train_id="train-1",
        topic="orders",
        read=read,
        commands=command_handler(RecordingExecutor()),
        report_fault=faults.append,
    )
    task = asyncio.create_task(orders.run())
    await until(lambda: len(faults) == 2, "its end is reported")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.to_thread(orders.join)
    assert [(fault.code, fault.active) for fault in faults] == [
        ("kafka_commands_unheard", True),
        ("kafka_commands_unheard", False),
    ]
    assert word in faults[0].message
    assert faults[0].remedy
