"""Orders come through Kafka, go on coming after an outage, and nothing old is replayed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import confluent_kafka
import pytest
from aiokafka import errors

from edge_agent.faults import FaultReport
from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC, CaptureCommand
from edge_agent.observers.kafka.commands import (
    AT_ONCE,
    CaptureHandler,
    KafkaCommandConsumer,
    TopicHandler,
    TopicMessage,
)
from tests.observers.kafka.rig import settings, until
from tests.support.kafka_brokers import Tansu, tansu_behind_proxy


def send(address: str, topic: str, *values: bytes) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "log_level": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


class Keeper:
    """Keeps what it is handed; what begins with `stop` is one."""

    def __init__(self, seen: list[bytes]) -> None:
        self._seen = seen

    def ours(self, message: TopicMessage) -> bool:
        return not message.value.startswith(b"other")

    def stop(self, message: TopicMessage) -> str | None:
        return message.value.split(b" ")[0].decode() if message.value.startswith(b"stop") else None

    def handle(self, message: TopicMessage) -> Callable[[], object]:
        return lambda: self._seen.append(message.value)


@contextlib.asynccontextmanager
async def listening(address: str, topic: str, handler: TopicHandler) -> AsyncIterator[KafkaCommandConsumer]:
    orders = KafkaCommandConsumer(settings(address), train_id="train-1", topic=topic, handler=handler)
    task = asyncio.create_task(orders.run())
    try:
        await until(lambda: orders.listening, "it listens")
        yield orders
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(orders.join)


async def test_originals_console_starts_and_stops_the_capture(tmp_path: Path) -> None:
    seen: list[CaptureCommand] = []
    with Tansu(tmp_path / "tansu.log") as broker:
        send(broker.address, CAPTURE_TOPIC, b'{"command":"start"}')  # sent before we listen: old
        async with listening(broker.address, CAPTURE_TOPIC, CaptureHandler(seen.append)) as orders:
            send(broker.address, CAPTURE_TOPIC, b"rubbish", b'{"command":"stop"}', b'{"command":"start"}')
            await until(lambda: orders.heard == 3, "all came")
            await until(lambda: len(seen) == 2, "those that are orders were obeyed")
    assert sorted(wish.command for wish in seen) == ["start", "stop"]


async def test_orders_come_again_after_the_link_was_cut(tmp_path: Path) -> None:
    seen: list[bytes] = []
    with tansu_behind_proxy(tmp_path) as (_broker, proxy):
        send(f"127.0.0.1:{proxy.port}", "orders", b"first")
        async with listening(f"127.0.0.1:{proxy.port}", "orders", Keeper(seen)) as orders:
            send(f"127.0.0.1:{proxy.port}", "orders", b"one")
            await until(lambda: seen == [b"one"], "the first came")
            for trouble in (proxy.reset, proxy.refuse):
                trouble()
                await asyncio.sleep(0.3)
                proxy.mend()
            await until(lambda: orders.listening, "it listens again")
            number = 0
            while len(seen) < 2:  # what is sent while it finds its way back may be missed: that is a stale order
                number += 1
                send(f"127.0.0.1:{proxy.port}", "orders", b"again")
                await asyncio.sleep(0.1)
                assert number < 200
    assert set(seen) == {b"one", b"again"}


@pytest.mark.parametrize(
    ("command", "age_ms", "obeyed"),
    [("start", 100.0, True), ("start", 60_000.0, False), ("stop", 100.0, True), ("stop", 60_000.0, True)],
)
def test_stop_is_obeyed_at_any_age_and_start_only_while_fresh(command: str, age_ms: float, obeyed: bool) -> None:
    seen: list[CaptureCommand] = []
    message = TopicMessage(CAPTURE_TOPIC, None, (), b'{"command":"%s"}' % command.encode(), age_ms)
    work = CaptureHandler(seen.append).handle(message)
    assert (work is not None) is obeyed


def heard(*values: bytes) -> tuple[list[bytes], KafkaCommandConsumer]:
    """Return what comes of messages that are heard at once, and who heard them."""
    seen: list[bytes] = []
    orders = KafkaCommandConsumer(settings("nowhere:1"), train_id="train-1", topic="orders", handler=Keeper(seen))
    orders._in_loop = lambda work: work()  # type: ignore[method-assign]
    orders._take([TopicMessage("orders", None, (), value, 0.0) for value in values])
    return seen, orders


def test_stop_overtakes_what_came_with_it() -> None:
    assert heard(b"drive", b"power", b"stop")[0] == [b"stop", b"drive", b"power"]


def test_of_a_flood_only_the_beginning_is_looked_at_and_every_kind_of_stop() -> None:
    flood = [b"drive %d" % number for number in range(400)]
    seen, orders = heard(*flood, *[b"stop-a"] * 50, b"stop-b", b"stop-c")
    assert seen[:3] == [b"stop-a", b"stop-b", b"stop-c"]
    assert seen[AT_ONCE:] == flood[:AT_ONCE]
    assert orders.discarded == 400 + 52 - 2 * AT_ONCE


def test_messages_for_other_trains_are_no_flood() -> None:
    assert heard(*[b"other"] * 400, b"drive")[0] == [b"drive"]


class Consumer:
    """Stands in for aiokafka's: fails as it is told to, then hears nothing."""

    def __init__(self, failures: list[Exception]) -> None:
        self._failures = failures
        self._client = self

    async def start(self) -> None:
        if self._failures:
            raise self._failures.pop()

    async def getmany(self, **_: int) -> dict[str, list[object]]:
        await asyncio.sleep(0.01)
        return {}

    async def stop(self) -> None:
        pass

    close = stop


@pytest.mark.parametrize(
    ("failure", "word"),
    [(errors.TopicAuthorizationFailedError, "does not let us read"), (errors.UnknownTopicOrPartitionError, "no topic")],
)
async def test_topic_that_cannot_be_read_is_told_once_and_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception], word: str
) -> None:
    faults: list[FaultReport] = []
    failures: list[Exception] = [failure(), errors.KafkaConnectionError(), failure()]
    monkeypatch.setattr(KafkaCommandConsumer, "_make", lambda _: Consumer(failures))
    orders = KafkaCommandConsumer(
        settings("nowhere:1"), train_id="train-1", topic="orders", handler=Keeper([]), report_fault=faults.append
    )
    task = asyncio.create_task(orders.run())
    await until(lambda: len(faults) == 2, "told that it is over")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.to_thread(orders.join)
    assert [(fault.code, fault.active) for fault in faults] == [
        ("kafka_commands_unheard", True),
        ("kafka_commands_unheard", False),
    ]
    assert word in faults[0].message
    assert faults[0].remedy
