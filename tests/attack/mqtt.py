"""Attacks on a train by MQTT, over a real Mosquitto."""

import asyncio
import contextlib
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.control.commands import Verb
from edge_agent.observers.mqtt import session
from tests.chaos.trial import Trial
from tests.observers.mqtt.rig import ROOT, rig, settings
from tests.support.mosquitto import Mosquitto, Subscriber, subscriber, until

from .agent import Target, attacked

STOP_MS = 200.0
ECHO_MS = 4000.0
"""With a message to oneself every second that has to be back within two; both are longer outside of this row."""

_FLOOD = """
import socket, sys, time
port, topic, per_s = int(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
sock = socket.create_connection(("127.0.0.1", port))
sock.sendall(b"\\x10\\x0d\\x00\\x04MQTT\\x04\\x02\\x00\\x00\\x00\\x01f")
sock.recv(4)
packet = bytes((0x30, len(topic) + 4, 0, len(topic))) + topic + b"{}"
while True:
    sock.sendall(packet * (per_s // 100))
    time.sleep(0.01)
"""


@dataclass
class Attack:
    """A train under attack, an operator's client, and the broker between them."""

    train: Target
    operator: Subscriber
    port: int

    async def send(self, name: str, payload: bytes = b"", qos: int = 1, **more: Any) -> None:
        await self.operator.client.publish(f"{ROOT}/{name}/set", payload, qos, timeout=30, **more)

    async def executed_ms(self, name: str, verb: Verb, qos: int = 1) -> float:
        """Send a stop; return the time until the train has executed it."""
        return await self.train.executed_ms(verb, lambda: self.send(name, qos=qos))


@contextlib.contextmanager
def flood(port: int, name: str, per_s: int = 1000) -> Iterator[None]:
    """Send commands for the length of the block, from a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", _FLOOD, str(port), f"{ROOT}/{name}/set", str(per_s)])
    try:
        yield
        assert process.poll() is None, "the flood has ended"
    finally:
        process.kill()
        process.wait()


async def stop_in_a_flood_of_stops(attack: Attack) -> float:
    """Send stops of the other kinds among plain ones; return the slowest."""
    with flood(attack.port, "stop"):
        await attack.train.rig.until(lambda: len(attack.train.verbs()) > 20, "the flood arrives")
        kinds = (("emergency_stop", Verb.EMERGENCY_STOP), ("disarm", Verb.DISARM))
        return max([await attack.executed_ms(name, verb, qos) for name, verb in kinds for qos in (0, 1)])


async def stop_in_a_flood_of_drives(attack: Attack) -> float:
    """Send stops among commands without a token; return the slowest."""
    with flood(attack.port, "drive"):
        await attack.train.rig.until(lambda: attack.train.refused() > 10, "the flood arrives")
        return max([await attack.executed_ms("stop", Verb.STOP) for _ in range(5)])


async def stop_behind_large_stops(attack: Attack) -> float:
    """Send stops of 100 kB, more than may be in flight, then one of another kind."""
    for _ in range(30):
        await attack.send("stop", b"x" * 100_000)
        await attack.send("disarm", b"x" * 100_000)
    return await attack.executed_ms("emergency_stop", Verb.EMERGENCY_STOP)


async def stop_in_any_form(attack: Attack) -> None:
    """Switch off in odd forms; each must disarm the train."""
    long = json.dumps({"reason": "x" * 5000, "value": "off"}).encode()
    for raw in (b"off ", b" OFF\r\n\0", b'{"value": "off "}', b'{"value": "off", ', long, long + b"x" * 100_000):
        await attack.train.executed_ms(Verb.DISARM, functools.partial(attack.send, "arm", raw))


async def second_agent_with_the_same_id(port: int) -> None:
    """Run two mirrors with one id until one of them reports it."""
    async with rig(settings(port)) as one, rig(settings(port, retry_max_s=30)) as other:
        await until(lambda: bool(one.codes() or other.codes()), "one of them reports it")
        attempts = sum(train.mirror.stats().link.attempts for train in (one, other))
    assert attempts <= 20, f"{attempts} connections in a few seconds"


async def stop_with_a_foreign_response_topic(attack: Attack) -> None:
    """Ask for replies where the sender may not write; none may go there."""
    topics = ("edge-agent/train-2/state", "edge-agent/train-2/drive/set", f"{ROOT}/availability", f"{ROOT}/state", "x")
    for topic in topics:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = topic
        await attack.send("stop", properties=properties)
    await attack.operator.wait_for(f"{ROOT}/stop/reply", len(topics))
    elsewhere = [each.topic.value for each in attack.operator.received if b"train_time" in bytes(each.payload)]  # type: ignore[arg-type]
    assert set(elsewhere) == {f"{ROOT}/stop/reply"}, elsewhere


async def broker_that_no_longer_delivers() -> float:
    """Take away the train's right to read while it is connected; return the time until its mirror connects anew."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules"
        rules.write_text("topic readwrite #\n")
        rules.chmod(0o600)
        with Mosquitto(Path(folder), "allow_anonymous true", f"acl_file {rules}") as broker:
            async with subscriber(broker.port) as operator, rig(settings(broker.port)) as train:
                await operator.wait_for(f"{ROOT}/echo/set", 2)
                rules.write_text("topic write #\n")
                started_s = time.monotonic()
                broker.reload()
                await until(lambda: train.mirror.stats().link.failures > 0, "it is noticed")
                return (time.monotonic() - started_s) * 1000


def attack(name: str, expected: str, bound_ms: float | None, run: Callable[[Attack], Awaitable[float | None]]) -> Trial:
    """Return a row whose function gets a running train."""

    def try_once(_slack: float) -> float | None:
        with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder)) as broker:

            async def scenario(train: Target) -> float | None:
                async with subscriber(broker.port) as operator:
                    # Published once the train has subscribed to its commands.
                    await operator.until(
                        lambda seen: b"online" in seen.payloads(f"{ROOT}/availability"), "it is online"
                    )
                    return await run(Attack(train, operator, broker.port))

            return attacked(scenario, mqtt=broker.port)

    return Trial(name, expected, bound_ms, try_once)


def _is_online(seen: Subscriber) -> bool:
    return b"online" in seen.payloads(f"{ROOT}/availability")


def _second_agent(_slack: float) -> None:
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder)) as broker:
        asyncio.run(second_agent_with_the_same_id(broker.port))


def _no_delivery(_slack: float) -> float:
    with mock.patch.multiple(session, ECHO_S=1.0, ECHO_LIMIT_S=2.0):
        return asyncio.run(broker_that_no_longer_delivers())


TRIALS: tuple[Trial, ...] = (
    attack("MQTT: 1,000 plain stops a second", "stops of the other kinds", STOP_MS, stop_in_a_flood_of_stops),
    attack("MQTT: 1,000 commands a second without a token", "stops", STOP_MS, stop_in_a_flood_of_drives),
    attack("MQTT: 60 stops of 100 kB at QoS 1", "stops at the next", STOP_MS, stop_behind_large_stops),
    attack("MQTT: `off` with blanks, damaged, in 100 kB", "disarms", None, stop_in_any_form),
    Trial("MQTT: a second agent with its id", "backs off and reports it", None, _second_agent),
    attack("MQTT: response topics of others", "replies to its own", None, stop_with_a_foreign_response_topic),
    Trial("MQTT: a broker that delivers nothing more", "connects anew", ECHO_MS, _no_delivery),
)
