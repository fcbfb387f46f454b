"""Pairs of drive and stop, 0 to 5 ms apart, on each channel of an agent: `python -m tests.soak.pairs --pairs 1000`.

For each channel an agent in a process of its own, beside a real broker: MQTT, Kafka, the console's HTTP, and the
original demo's topic (start and stop of capturing). None may write a power to the motor after the stop was accepted.
"""

import argparse
import asyncio
import itertools
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka
import structlog
from aiomqtt import Client
from pydantic import SecretStr

from edge_agent.agent import RunOptions, RunView, run
from edge_agent.config import Settings, load_rules
from edge_agent.control.guard import Order
from edge_agent.events import CommandKind, CommandResult, GuardState, MotorCommand
from edge_agent.observers.cloudevents import OrderData, write_command
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC
from edge_agent.ports import EventSource
from tests.agent.served import Camera
from tests.support.kafka_brokers import Tansu
from tests.support.kafka_messages import message_of
from tests.support.mosquitto import Mosquitto
from tests.support.proxy import free_port

TOKEN = "open sesame"  # noqa: S105 - for tests
CHANNELS = ("mqtt", "kafka", "console", "original")
GAP_S = 0.005
HOLD_S = 0.25
"""What a train refuses after a stop for; also how long each pair is watched."""

Send = Callable[[str], Awaitable[None]]


@dataclass
class Listener:
    """An observer that keeps results, and when a power was last written."""

    name = "pairs"
    wants = (CommandResult, MotorCommand)
    results: list[CommandResult] = field(default_factory=list)
    drove_s: float = -1.0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, events: EventSource) -> None:
        while True:
            event = await events.get()
            if isinstance(event, CommandResult):
                self.results.append(event)
                if event.accepted and "stop" in event.verb:
                    self.stopped.set()
            elif isinstance(event, MotorCommand) and event.kind is CommandKind.DRIVE:
                self.drove_s = event.written_s


def settings(channel: str, broker: dict[str, Any], port: int, folder: Path) -> Settings:
    """Return settings for one channel, which are patient with a busy machine."""
    token = SecretStr(TOKEN)
    return Settings.model_validate(
        {
            "console": {"port": port, "enabled": channel == "console", "token": token, "metrics": False},
            "guard": {"loop_stall_ms": 2000, "lease_ms": 2000, "latch_ms": 60_000, "stop_time_ms": 0},
            "commands": {"hold_s": HOLD_S},
            "detector": {"backend": "none"},
            "state": {"directory": folder},
            "compat": "crazy-train" if channel == "original" else None,
            "mqtt": {"command_token": token} | (broker if channel == "mqtt" else {}),
            "kafka": {"command_token": token} | (broker if channel in ("kafka", "original") else {}),
        }
    )


@contextmanager
def broker_of(channel: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Run the channel's broker; yield the settings that find it."""
    if channel == "mqtt":
        with Mosquitto(folder) as mosquitto:
            yield {"enabled": True, "port": mosquitto.port}
    elif channel == "console":
        yield {}
    else:
        with Tansu(folder / "tansu.log") as tansu:
            yield {"enabled": True, "bootstrap_servers": (tansu.address,)}


async def sender(channel: str, config: Settings, stack: AsyncExitStack) -> Send:
    """Return what sends a command by a channel."""
    ids = itertools.count()
    if channel == "mqtt":
        client = await stack.enter_async_context(Client("127.0.0.1", config.mqtt.port))

        async def by_mqtt(verb: str) -> None:
            body = {"token": TOKEN, "id": f"m-{next(ids)}", "issued_at": time.time()}
            await client.publish(f"edge-agent/{config.train.id}/{verb}/set", json.dumps(body), 0)

        return by_mqtt
    if channel == "console":
        path = f"/api/trains/{config.train.id}/commands"

        async def by_console(verb: str) -> None:
            body = {"verb": verb, "id": f"h-{next(ids)}", "issued_at": to_rfc3339(time.time())}
            raw = json.dumps(body).encode()
            _, writer = await asyncio.open_connection("127.0.0.1", config.console.port)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
            )
            writer.write(head.encode() + raw)
            stack.callback(writer.close)

        return by_console
    producer = confluent_kafka.Producer({"bootstrap.servers": config.kafka.bootstrap_servers[0], "linger.ms": 0})

    async def by_kafka(verb: str) -> None:
        if channel == "original":
            word = {"drive": "start", "stop": "stop"}[verb]
            producer.produce(CAPTURE_TOPIC, json.dumps({"command": word}).encode())
        else:
            data = OrderData(f"k-{next(ids)}", to_rfc3339(time.time()), token=TOKEN)
            message = message_of(write_command(config.train.id, verb, data, source="/pairs"))
            producer.produce(config.kafka.command_topic, message.value, message.key, headers=list(message.headers))
        producer.poll(0)

    return by_kafka


async def try_pairs(view: RunView, listener: Listener, send: Send, pairs: int) -> tuple[Counter[str], int]:
    """Send the pairs; return what became of the drives, and after how many of the pairs' stops the train drove."""
    outcomes, violations, rng = Counter[str](), 0, random.Random(7)  # noqa: S311 - no secret
    while not listener.results:
        await send("stop")  # until the channel listens
        await asyncio.sleep(0.5)
    for _ in range(pairs):
        await asyncio.sleep(0.1)
        for order in (Order.REARM, Order.ARM):
            view.control.order(order)
        if view.control.permit.state is not GuardState.ARMED_STOPPED:
            outcomes["not ready"] += 1
            continue
        listener.results.clear()
        listener.stopped.clear()
        await send("drive")
        await asyncio.sleep(rng.uniform(0, GAP_S))
        await send("stop")
        async with asyncio.timeout(30):
            await listener.stopped.wait()
        stopped_s = next(r.at_s for r in listener.results if r.accepted and "stop" in r.verb)
        await asyncio.sleep(HOLD_S)
        violations += listener.drove_s > stopped_s
        drives = [result.code or "accepted" for result in listener.results if "stop" not in result.verb]
        outcomes[drives[0] if drives else "overtaken"] += 1
    return outcomes, violations


async def try_channel(channel: str, pairs: int, folder: Path) -> int:
    """Run an agent with one channel and try its pairs; return how many violations there were."""
    camera, listener, found = Camera(), Listener(), []
    with broker_of(channel, folder) as broker:
        config = settings(channel, broker, free_port(), folder)

        async def watch(view: RunView) -> None:
            async with AsyncExitStack() as stack:
                send = await sender(channel, config, stack)
                found.append(await try_pairs(view, listener, send, pairs))
                if channel == "original":  # whose capturing has to go on, or the end of the source is not noticed
                    await asyncio.sleep(2 * HOLD_S)
                    await send("drive")
            camera.over = True

        await run(
            RunOptions(
                config,
                load_rules(),
                sinks=(listener,),
                watch=watch,
                camera=camera,
            )
        )
    outcomes, violations = found[0]
    print(f"{channel}: {pairs} pairs, {violations} drove after an accepted stop; drives: {dict(outcomes)}", flush=True)
    return violations


def main() -> int:
    """Try all channels at the same time; return 1 where a train drove after a stop."""
    parser = argparse.ArgumentParser(description="Pairs of drive and stop.")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--channel", choices=CHANNELS)
    asked = parser.parse_args()
    if asked.channel is None:
        call = [sys.executable, "-m", "tests.soak.pairs", "--pairs", str(asked.pairs), "--channel"]
        children = [subprocess.Popen([*call, channel]) for channel in CHANNELS]
        return int(max(child.wait() for child in children))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        return int(asyncio.run(try_channel(asked.channel, asked.pairs, Path(folder))) > 0)


if __name__ == "__main__":
    sys.exit(main())
