"""Attacks on a train's listener for commands from Kafka, over a broker that keeps the bytes that it is sent."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from edge_agent.runtime.queues import pace
from tests.chaos.trial import Trial
from tests.observers.kafka.listener import BROKEN, CODECS, KafkaMessage, ids, listening, order, send, send_raw
from tests.support.commands import RecordingExecutor
from tests.support.kafka_brokers import Tansu, mock_cluster

STOP_MS = 400.0
"""The attack's own batches go before the stop, each with a request of its own on this broker."""
FOLLOWED_MS = 4000.0
"""A topic that was made anew is noticed within two seconds, and the listener starts again."""

_SURROGATE = KafkaMessage(
    b"train-1",
    (("content-type", b"application/cloudevents+json"),),
    rb'{"specversion":"1.0","id":"1","source":"/x","type":"dev.edge-agent.order.v1","data":"\ud800"}',
)


@contextlib.asynccontextmanager
async def heard(address: str) -> AsyncIterator[RecordingExecutor]:
    """Listen; the block starts when the listener does."""
    await asyncio.to_thread(send, address, order("before"))
    async with listening(address) as (consumer, executor, _faults):
        async with asyncio.timeout(20):
            async for _ in pace(0.05):
                if consumer.listening:
                    break
        yield executor


async def stop_ms(address: str, executor: RecordingExecutor, name: str, limit_s: float = 20.0) -> float:
    """Send a stop; return the time until the train has executed it."""
    started_s = time.monotonic()
    await asyncio.to_thread(send, address, order(name))
    async with asyncio.timeout(limit_s):
        async for _ in pace(0.005):
            if name in ids(executor):
                return (time.monotonic() - started_s) * 1000
    raise AssertionError(name)


async def slowest_stop_ms(attack: Callable[[str, int], Awaitable[None]]) -> float:
    """Send ten stops, each behind something of the attack; return the slowest."""
    with mock_cluster() as address:
        async with heard(address) as executor:
            slowest_ms = 0.0
            for number in range(10):
                await attack(address, number)
                slowest_ms = max(slowest_ms, await stop_ms(address, executor, f"stop-{number}"))
            return slowest_ms


async def send_undecodable(address: str, number: int) -> None:
    """Send one of each message that cannot be decoded, but for those that expand to hundreds of MB."""
    await send_raw(address, *(raw for raw in BROKEN.values() if 0 < len(raw) < 1000))
    await asyncio.to_thread(send, address, _SURROGATE, partition=number % 2)


async def send_compressed(address: str, number: int) -> None:
    """Send another train's commands, compressed, the codecs in turn."""
    messages = [order(f"x-{number}", "drive", "train-2")] * 50
    await asyncio.to_thread(send, address, *messages, codec=CODECS[number % len(CODECS)])


async def followed_ms() -> float:
    """Make the topic anew behind the position of the listener; return the time until a stop has effect."""
    with tempfile.TemporaryDirectory() as folder, Tansu(Path(folder) / "tansu.log") as broker:
        await asyncio.to_thread(send, broker.address, *[order("before")] * 50, partition=0)
        async with heard(broker.address) as executor:
            broker.kill()
            broker.start()  # with an empty memory
            return await stop_ms(broker.address, executor, "stop")


TRIALS: tuple[Trial, ...] = (
    Trial(
        "Kafka: messages that cannot be decoded",
        "each of 10 stops among them stops it",
        STOP_MS,
        lambda _slack: asyncio.run(slowest_stop_ms(send_undecodable)),
    ),
    Trial(
        "Kafka: what others send, in each codec",
        "each of 10 stops among it stops it",
        STOP_MS,
        lambda _slack: asyncio.run(slowest_stop_ms(send_compressed)),
    ),
    Trial(
        "Kafka: the topic is made anew",
        "a stop stops it",
        FOLLOWED_MS,
        lambda _slack: asyncio.run(followed_ms()),
    ),
)
