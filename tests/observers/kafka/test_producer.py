"""A producer that hangs in any of its calls is given up in time, and leaves nothing behind."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors as kafka_errors

from edge_agent.observers.kafka.client import KafkaLinkError
from edge_agent.observers.kafka.producer import Producer, TooLargeError
from tests.observers.kafka.rig import settings
from tests.observers.outbox.records import record


class Batch:
    def __init__(self, limit: int) -> None:
        self.values: list[bytes] = []
        self._limit = limit

    def append(self, *, key: bytes, value: bytes, timestamp: int, headers: list[Any]) -> object | None:
        if self.values and self.size() + len(value) > self._limit:
            return None
        self.values.append(value)
        return object()

    def size(self) -> int:
        return sum(map(len, self.values))


class Fake:
    """Stands for aiokafka's producer: hangs in the call named `hang`, refuses batches over `broker_limit`."""

    def __init__(self, made: "Made", **arguments: Any) -> None:
        self.arguments = arguments
        self._made = made
        self.stopped = self.closed = False
        self.client = SimpleNamespace(close=self._close, fetch_all_metadata=self._metadata)
        self.straggler: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.straggler = asyncio.create_task(self._forever())
        await self._call("start")
        if self.arguments["enable_idempotence"] and self._made.refuses_ids:
            raise kafka_errors.UnknownError

    async def stop(self) -> None:
        await self._call("stop")
        self.stopped = True

    async def partitions_for(self, _topic: str) -> set[int]:
        await self._call("partitions_for")
        return {0, 1, 2}

    def create_batch(self) -> Batch:
        return Batch(self.arguments["max_batch_size"])

    async def send_batch(self, batch: Batch, _topic: str, *, partition: int) -> "asyncio.Future[None]":
        await self._call("send_batch")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._made.hang == "arrival":
            return future
        if batch.size() > self._made.broker_limit:
            future.set_exception(kafka_errors.MessageSizeTooLargeError())
        else:
            self._made.arrived.append([int(value[:8]) for value in batch.values])
            future.set_result(None)
        return future

    async def _call(self, name: str) -> None:
        if self._made.hang == name:
            await self._forever()
        if self._made.fail == name:
            raise KeyError("an error that is not aiokafka's own")

    async def _metadata(self) -> Any:
        if self._made.topics is None:
            await self._forever()
        return SimpleNamespace(partitions_for_topic=(self._made.topics or {}).get)

    async def _forever(self) -> None:
        await asyncio.Event().wait()

    async def _close(self) -> None:
        self.closed = True


class Made:
    """Makes producers, and remembers what became of them."""

    def __init__(self) -> None:
        self.hang = self.fail = ""
        self.refuses_ids = False
        self.topics: dict[str, set[int]] | None = None  # None: brokers do not answer
        self.broker_limit = 10**9
        self.arrived: list[list[int]] = []
        self.producers: list[Fake] = []

    def __call__(self, **arguments: Any) -> Any:
        self.producers.append(Fake(self, **arguments))
        return self.producers[-1]


def producer(made: Made, **changes: Any) -> Producer:
    return Producer(settings("broker:9092", send_timeout_s=0.05, **changes), "client", make=made)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.observers.kafka.producer._ABANDON_S", 0.05)
    monkeypatch.setattr("edge_agent.observers.kafka.producer.NO_TOPIC_S", 0.0)


async def test_records_go_out_as_one_batch_to_one_partition() -> None:
    made = Made()
    one = producer(made)
    await one.open()
    assert one.idempotent
    assert await one.send([record(number) for number in range(5)]) == 5
    assert made.arrived == [[0, 1, 2, 3, 4]]
    await one.abandon()
    assert made.producers[0].stopped


async def test_broker_that_refuses_producer_ids_gets_a_plain_producer() -> None:
    made = Made()
    made.refuses_ids = True
    one = producer(made)
    await one.open()
    assert not one.idempotent
    assert [fake.arguments["enable_idempotence"] for fake in made.producers] == [True, False]
    assert [fake.arguments["acks"] for fake in made.producers] == ["all", "all"]
    assert made.producers[0].stopped
    await one.abandon()


@pytest.mark.parametrize("call", ["start", "partitions_for", "send_batch", "arrival"])
async def test_call_that_hangs_is_given_up_and_nothing_is_left_behind(call: str) -> None:
    before = asyncio.all_tasks()
    made = Made()
    one = producer(made)
    made.hang = call
    with pytest.raises(KafkaLinkError, match="does not answer"):
        await use(one)
    assert made.producers[0].stopped
    assert asyncio.all_tasks() == before


async def test_stop_that_hangs_is_given_up_and_the_sockets_are_closed() -> None:
    before = asyncio.all_tasks()
    made = Made()
    one = producer(made)
    await one.open()
    made.hang = "stop"
    await one.abandon()
    assert (made.producers[0].stopped, made.producers[0].closed) == (False, True)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("call", ["start", "partitions_for", "send_batch", "stop"])
async def test_error_of_any_class_means_that_the_link_does_not_work(call: str) -> None:
    made = Made()
    one = producer(made)
    made.fail = call
    if call == "stop":
        await one.open()
        await one.abandon()
        return
    with pytest.raises(KafkaLinkError):
        await use(one)


async def test_sending_that_is_cancelled_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    made = Made()
    one = Producer(settings("broker:9092", send_timeout_s=60), "client", make=made)
    await one.open()
    made.hang = "arrival"
    task = asyncio.create_task(one.send([record(1)]))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before


async def test_batch_that_the_broker_finds_too_large_is_halved_with_a_new_producer() -> None:
    """The refused batch has left a gap in an idempotent producer's sequence numbers."""
    made = Made()
    made.broker_limit = 500
    one = producer(made)
    await one.open()
    records = [record(number) for number in range(16)]
    sent = 0
    while sent < 16:
        sent += await one.send(records[sent:])
    assert [number for batch in made.arrived for number in batch] == list(range(16))
    assert len(made.producers) <= 5
    learnt = len(made.producers)
    assert await one.send(records) >= 2
    assert len(made.producers) == learnt
    await one.abandon()


@pytest.mark.parametrize(("limits", "by_broker"), [({"max_message_bytes": 1000}, False), ({}, True)])
async def test_single_message_that_is_too_large_is_named_and_the_next_goes_on(
    limits: dict[str, int], by_broker: bool
) -> None:
    made = Made()
    if by_broker:
        made.broker_limit = 1000
    one = producer(made, **limits)
    await one.open()
    with pytest.raises(TooLargeError) as caught:
        await one.send([record(1, size=2000), record(2)])
    assert (caught.value.count, caught.value.by_broker) == (1, by_broker)
    assert await one.send([record(2)]) == 1
    await one.abandon()


async def test_batch_ends_where_the_topic_changes() -> None:
    made = Made()
    one = producer(made)
    await one.open()
    mixed: list[Any] = [record(0), record(1)]
    mixed.append(type(mixed[0])(mixed[0].kind, "another", mixed[0].key, (), b"00000002", 1))
    assert await one.send(mixed) == 2
    assert await one.send(mixed[2:]) == 1
    await one.abandon()


async def use(one: Producer) -> None:
    await one.open()
    await one.send([record(1)])


async def test_missing_topic_beside_the_events_own_is_named_within_seconds() -> None:
    made = Made()
    made.hang = "partitions_for"  # as aiokafka does for `request_timeout_ms`
    made.topics = {"edge-agent-events": {0}}
    one = producer(made)
    await one.open()
    with pytest.raises(KafkaLinkError, match="no topic topic") as caught:
        await one.send([record(1)])
    assert (caught.value.kind.code, caught.value.topic) == ("kafka_topic_missing", "topic")
