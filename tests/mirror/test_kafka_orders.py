"""Orders come through Kafka, go on coming after an outage, and nothing old is replayed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import confluent_kafka
import pytest

from edge_agent.mirror.kafka_orders import KafkaOrders, Order, capture_handler
from edge_agent.wire.compat import CAPTURE_TOPIC, CaptureOrder
from tests.mirror.rig import settings, until
from tests.support.kafka_brokers import Tansu, tansu_behind_proxy


def send(address: str, topic: str, *values: bytes) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "log_level": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


@contextlib.asynccontextmanager
async def listening(address: str, handlers: Mapping[str, Callable[[Order], None]]) -> AsyncIterator[KafkaOrders]:
    orders = KafkaOrders(settings(address), train_id="train-1", handlers=handlers)
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
    seen: list[CaptureOrder] = []
    with Tansu(tmp_path / "tansu.log") as broker:
        send(broker.address, CAPTURE_TOPIC, b'{"command":"start"}')  # sent before we listen: old
        async with listening(broker.address, {CAPTURE_TOPIC: capture_handler(seen.append)}) as orders:
            send(broker.address, CAPTURE_TOPIC, b"rubbish", b'{"command":"stop"}', b'{"command":"start"}')
            await until(lambda: orders.heard == 3, "all came")
            await until(lambda: len(seen) == 2, "those that are orders were obeyed")
    assert seen == [CaptureOrder("stop"), CaptureOrder("start")]


async def test_orders_come_again_after_the_link_was_cut(tmp_path: Path) -> None:
    seen: list[bytes] = []
    with tansu_behind_proxy(tmp_path) as (_broker, proxy):
        send(f"127.0.0.1:{proxy.port}", "orders", b"first")
        async with listening(f"127.0.0.1:{proxy.port}", {"orders": lambda order: seen.append(order.value)}) as orders:
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
    seen: list[CaptureOrder] = []
    order = Order(CAPTURE_TOPIC, None, (), b'{"command":"%s"}' % command.encode(), age_ms)
    capture_handler(seen.append)(order)
    assert bool(seen) is obeyed
