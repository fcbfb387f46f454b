"""1,000 commands a second on all channels of a running train, and stops among them: each has to be executed in time.

`python -m tests.attack.channels --seconds 60` prints how long the stops of each channel took.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import confluent_kafka

from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC, MONITORING_TOPIC
from edge_agent.runtime.queues import pace
from tests.browser.dry_run import DryRun
from tests.chaos.table import percentile
from tests.chaos.trial import Trial
from tests.observers.kafka.listener import TOPIC, order
from tests.observers.mqtt.rig import ROOT
from tests.support.kafka_brokers import Consumed, Tansu
from tests.support.mosquitto import Mosquitto, Subscriber, subscriber, until

STOP_MS = 150.0
"""Bound of the p99, from sending a stop to its answer, which follows the order to the driver."""

PER_S = 1000
SECONDS = 3.0
STOPS_PER_S = 5
LEAD_S = 1.0
"""Time for the flood to begin before the first stop; the last one is as long before its end."""

EVENTS = "edge-agent-events"
CHANNELS = ("mqtt", "kafka", "crazy-train", "console")
_ANSWER = b"dev.edge-agent.answer.v1"


@dataclass
class Train:
    """A running train, and when each stop was sent by a channel; the original's have no id."""

    run: DryRun
    operator: Subscriber
    producer: confluent_kafka.Producer
    answers: Consumed
    sent_s: dict[str, list[float]]

    async def stop(self, channel: str) -> None:
        """Send a stop."""
        self.sent_s[channel].append(time.time())
        match channel:
            case "mqtt":
                await self.operator.client.publish(f"{ROOT}/stop/set", qos=1, timeout=30)
            case "kafka":
                message = order("stop")
                self.producer.produce(TOPIC, message.value, message.key, headers=list(message.headers))
            case "crazy-train":
                self.producer.produce(CAPTURE_TOPIC, b'{"command":"stop"}')
            case "console":
                answer = await self.run.command("stop")
                assert answer["accepted"], answer
        self.producer.poll(0)

    def answered_s(self, channel: str) -> list[float]:
        """Return when the train had executed the stops that came by a channel, in order."""
        found = [(dict(message.headers() or ()), message.value()) for message in list(self.answers.messages)]
        answers = [(head["ce_time"], json.loads(value)) for head, value in found if head.get("ce_type") == _ANSWER]
        times = [at for at, data in answers if data["channel"] == channel and data["accepted"]]
        return sorted(datetime.fromisoformat(at.decode()).timestamp() for at in times)

    async def hears(self) -> None:
        """Wait until a stop has effect by every channel, then forget those."""
        for channel in CHANNELS:
            async with asyncio.timeout(60):
                async for _ in pace(0.5):
                    await self.stop(channel)
                    if self.answered_s(channel):
                        break
        await until(self.is_answered, "the first stops are answered")
        self.answers.messages.clear()
        self.sent_s.clear()

    def is_answered(self) -> bool:
        """Return whether every stop has been executed."""
        return all(len(self.answered_s(channel)) >= len(sent) for channel, sent in self.sent_s.items())

    def took_ms(self) -> dict[str, list[float]]:
        """Return how long each stop took, by channel."""
        return {
            channel: [(at_s - sent_s) * 1000 for sent_s, at_s in zip(sent, self.answered_s(channel), strict=True)]
            for channel, sent in self.sent_s.items()
        }


@contextlib.asynccontextmanager
async def running(**settings: str) -> AsyncIterator[tuple[Train, list[str]]]:
    """Run a simulated train that takes commands by every channel; yields it, and the arguments for the flood."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mosquitto, tansu = stack.enter_context(Mosquitto(folder)), stack.enter_context(Tansu(folder / "tansu.log"))
        producer = confluent_kafka.Producer({"bootstrap.servers": tansu.address, "linger.ms": 0, "log_level": 0})
        for topic in (TOPIC, CAPTURE_TOPIC, EVENTS, MONITORING_TOPIC):
            producer.produce(topic, b"before")
        assert producer.flush(10) == 0
        places = {
            "COMPAT": "crazy-train",
            "MQTT__ENABLED": "true",
            "MQTT__PORT": str(mosquitto.port),
            "KAFKA__ENABLED": "true",
            "KAFKA__BOOTSTRAP_SERVERS": json.dumps([tansu.address]),
        }
        run = await DryRun.start(folder, **places, **settings)
        answers = stack.enter_context(Consumed(tansu.address, EVENTS))
        try:
            async with subscriber(mosquitto.port, topics=()) as operator:
                where = [str(mosquitto.port), tansu.address, str(run.port)]
                yield Train(run, operator, producer, answers, defaultdict(list)), where
        finally:
            await run.end()


async def flooded(seconds: float, per_s: int = PER_S) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Send a flood by all channels and stops among it; return how long each took, and how many commands were sent."""
    async with running() as (train, where):
        await train.hears()
        words = ("-m", "tests.attack.flood", *where, "--per-second", str(per_s), "--seconds", str(seconds + LEAD_S))
        flood = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
        await asyncio.sleep(LEAD_S)

        async def stops(channel: str) -> None:
            until_s = time.monotonic() + seconds - LEAD_S
            async for _ in pace(1 / STOPS_PER_S):
                await train.stop(channel)
                if time.monotonic() > until_s:
                    return

        await asyncio.gather(*map(stops, CHANNELS))
        out, _ = await flood.communicate()
        assert flood.returncode == 0
        await until(train.is_answered, "every stop is answered")
        return train.took_ms(), json.loads(out)


def _try_once(slack: float) -> float:
    took, sent = asyncio.run(flooded(SECONDS))
    if slack == 1:
        assert sum(sent.values()) >= 0.9 * PER_S * SECONDS, f"the flood was slower: {sent}"
    return percentile([ms for each in took.values() for ms in each], 99)


TRIALS: tuple[Trial, ...] = (
    Trial("1,000 commands a second by all channels", "executes every stop; p99", STOP_MS, _try_once),
)


def main() -> None:
    """Print how long the stops of each channel took in a longer flood."""
    parser = argparse.ArgumentParser(description="Flood all channels and measure the stops among it.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--per-second", type=int, default=PER_S)
    options = parser.parse_args()
    took, sent = asyncio.run(flooded(options.seconds, options.per_second))
    print(f"sent beside the stops: {sent}")
    for channel, ms in (took | {"all": [one for each in took.values() for one in each]}).items():
        p50, p99 = percentile(ms, 50), percentile(ms, 99)
        print(f"{channel:12} {len(ms)} stops, p50 {p50:.0f}, p99 {p99:.0f}, worst {max(ms):.0f} ms")


if __name__ == "__main__":
    main()
