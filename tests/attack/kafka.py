"""Attacks on a train by Kafka, over a broker that keeps the bytes that it is sent."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.chaos.trial import Trial
from tests.observers.kafka.listener import BROKEN, CODECS, KafkaMessage, order, send, send_raw
from tests.support.kafka_brokers import Tansu, mock_cluster

from .agent import Target, attacked

STOP_MS = 400.0
"""The attack's own batches go before the stop, each with a request of its own on this broker."""
FOLLOWED_MS = 4000.0
"""A topic that was made anew is noticed within two seconds, and the listener starts again."""

_SURROGATE = KafkaMessage(
    b"train-1",
    (("content-type", b"application/cloudevents+json"),),
    rb'{"specversion":"1.0","id":"1","source":"/x","type":"dev.edge-agent.order.v1","data":"\ud800"}',
)


async def stop_ms(train: Target, address: str, name: str) -> float:
    """Send a stop; return the time until the train has executed it."""
    started_s = time.monotonic()
    await asyncio.to_thread(send, address, order(name))
    await train.rig.until(lambda: name in train.ids(), name)
    return (time.monotonic() - started_s) * 1000


async def listens(train: Target, address: str) -> None:
    """Wait until the train has something to say to what is sent; it does not stop for it."""
    for number in range(200):
        await asyncio.to_thread(send, address, order(f"before-{number}", "drive"))
        await asyncio.sleep(0.1)
        if train.refused():
            return
    raise AssertionError("the train does not listen")


def slowest_stop_ms(attack: Callable[[str, int], Awaitable[None]]) -> Callable[[float], float | None]:
    """Send ten stops, each behind something of the attack; return the slowest."""

    def try_once(_slack: float) -> float | None:
        with mock_cluster() as address:
            send(address, order("before"))

            async def run(train: Target) -> float:
                await listens(train, address)
                slowest_ms = 0.0
                for number in range(10):
                    await attack(address, number)
                    slowest_ms = max(slowest_ms, await stop_ms(train, address, f"stop-{number}"))
                return slowest_ms

            return attacked(run, kafka=address)

    return try_once


async def send_undecodable(address: str, number: int) -> None:
    """Send one of each message that cannot be decoded, but for those that expand to hundreds of MB."""
    await send_raw(address, *(raw for raw in BROKEN.values() if 0 < len(raw) < 1000))
    await asyncio.to_thread(send, address, _SURROGATE, partition=number % 2)


async def send_compressed(address: str, number: int) -> None:
    """Send another train's commands, compressed, the codecs in turn."""
    messages = [order(f"x-{number}", "drive", "train-2")] * 50
    await asyncio.to_thread(send, address, *messages, codec=CODECS[number % len(CODECS)])


def followed_ms(_slack: float) -> float | None:
    """Make the topic anew behind the position of the listener; return the time until a stop has effect."""
    with tempfile.TemporaryDirectory() as folder, Tansu(Path(folder) / "tansu.log") as broker:
        # Of no train: this broker tells of a batch of fifty an end of one, so that the others count as new.
        send(broker.address, *[order("before", "stop", "")] * 50, partition=0)

        async def run(train: Target) -> float:
            await listens(train, broker.address)
            broker.kill()
            broker.start()  # with an empty memory
            return await stop_ms(train, broker.address, "stop")

        return attacked(run, kafka=broker.address)


TRIALS: tuple[Trial, ...] = (
    Trial(
        "Kafka: messages that cannot be decoded",
        "each of 10 stops among them stops it",
        STOP_MS,
        slowest_stop_ms(send_undecodable),
    ),
    Trial(
        "Kafka: what others send, in each codec",
        "each of 10 stops among it stops it",
        STOP_MS,
        slowest_stop_ms(send_compressed),
    ),
    Trial(
        "Kafka: the topic is made anew",
        "a stop stops it",
        FOLLOWED_MS,
        followed_ms,
    ),
)
