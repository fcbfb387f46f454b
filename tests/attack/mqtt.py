"""Attacks on a train's commands by MQTT, over a real Mosquitto."""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from unittest import mock

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.control.commands import Verb
from edge_agent.observers.mqtt import session
from tests.chaos.trial import Trial
from tests.observers.mqtt.rig import ROOT, RemoteControl, rig, settings
from tests.support.mosquitto import Mosquitto, subscriber, until

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


@contextlib.asynccontextmanager
async def running(*lines: str) -> AsyncIterator[RemoteControl]:
    """Run a train and its operator with a broker; `lines` configure the broker."""
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder), *lines) as broker:
        async with subscriber(broker.port) as operator, rig(settings(broker.port)) as train:
            await train.wait_connected()
            yield RemoteControl(broker, train, operator)


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


async def executed_ms(remote: RemoteControl, name: str, verb: Verb, qos: int = 1) -> float:
    """Send a stop; return the time until the train has executed it."""
    count, started_s = remote.train.verbs().count(verb), time.monotonic()
    await remote.send(name, qos=qos)
    await until(lambda: remote.train.verbs().count(verb) > count, f"{verb} is executed")
    return (time.monotonic() - started_s) * 1000


async def stop_in_a_flood_of_stops(remote: RemoteControl) -> float:
    """Send stops of the other kinds among plain ones; return the slowest."""
    with flood(remote.broker.port, "stop"):
        await until(lambda: len(remote.train.verbs()) > 20, "the flood arrives")
        kinds = (("emergency_stop", Verb.EMERGENCY_STOP), ("disarm", Verb.DISARM))
        return max([await executed_ms(remote, name, verb, qos) for name, verb in kinds for qos in (0, 1)])


async def stop_in_a_flood_of_drives(remote: RemoteControl) -> float:
    """Send stops among commands without a token; return the slowest."""
    with flood(remote.broker.port, "drive"):
        await until(lambda: len(remote.train.executor.results) > 10, "the flood arrives")
        return max([await executed_ms(remote, "stop", Verb.STOP) for _ in range(5)])


async def stop_behind_large_stops(remote: RemoteControl) -> float:
    """Send stops of 100 kB, more than may be in flight, then one of another kind."""
    for _ in range(30):
        await remote.send("stop", b"x" * 100_000)
        await remote.send("disarm", b"x" * 100_000)
    return await executed_ms(remote, "emergency_stop", Verb.EMERGENCY_STOP)


async def stop_in_any_form(remote: RemoteControl) -> None:
    """Switch off in odd forms; each must disarm the train."""
    long = json.dumps({"reason": "x" * 5000, "value": "off"}).encode()
    for raw in (b"off ", b" OFF\r\n\0", b'{"value": "off "}', b'{"value": "off", ', long, long + b"x" * 100_000):
        await executed_ms_of(remote, raw)


async def executed_ms_of(remote: RemoteControl, raw: bytes) -> None:
    count = len(remote.train.verbs())
    await remote.send("arm", raw)
    await until(lambda: remote.train.verbs()[count:] == [Verb.DISARM], f"{raw[:40]!r} disarms")


async def second_agent_with_the_same_id(remote: RemoteControl) -> None:
    """Run a second train with the id of the first until one of them reports it."""
    async with rig(settings(remote.broker.port, retry_max_s=30)) as other:
        both = (remote.train, other)
        await until(lambda: any(train.codes() for train in both), "one of them reports it")
        attempts = sum(train.mirror.stats().link.attempts for train in both)
    assert attempts <= 20, f"{attempts} connections in a few seconds"


async def stop_with_a_foreign_response_topic(remote: RemoteControl) -> None:
    """Ask for replies where the sender may not write; none may go there."""
    topics = ("edge-agent/train-2/state", "edge-agent/train-2/drive/set", f"{ROOT}/availability", f"{ROOT}/state", "x")
    for topic in topics:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = topic
        await remote.send("stop", properties=properties)
    await remote.operator.wait_for(f"{ROOT}/stop/reply", len(topics))
    elsewhere = [each.topic.value for each in remote.operator.received if b"train_time" in bytes(each.payload)]  # type: ignore[arg-type]
    assert set(elsewhere) == {f"{ROOT}/stop/reply"}, elsewhere


async def broker_that_no_longer_delivers() -> float:
    """Take away the train's right to read while it is connected; return the time until it connects anew."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules"
        rules.write_text("topic readwrite #\n")
        rules.chmod(0o600)
        async with running("allow_anonymous true", f"acl_file {rules}") as remote:
            await remote.operator.wait_for(f"{ROOT}/echo/set", 2)
            rules.write_text("topic write #\n")
            started_s = time.monotonic()
            remote.broker.reload()
            await until(lambda: remote.train.mirror.stats().link.failures > 0, "it is noticed")
            return (time.monotonic() - started_s) * 1000


def attack(
    name: str, expected: str, bound_ms: float | None, run: Callable[[RemoteControl], Awaitable[float | None]]
) -> Trial:
    """Return a row whose function gets a running train."""

    async def scenario() -> float | None:
        async with running() as remote:
            return await run(remote)

    return Trial(name, expected, bound_ms, lambda _slack: asyncio.run(scenario()))


def _no_delivery(_slack: float) -> float:
    with mock.patch.multiple(session, ECHO_S=1.0, ECHO_LIMIT_S=2.0):
        return asyncio.run(broker_that_no_longer_delivers())


TRIALS: tuple[Trial, ...] = (
    attack("MQTT: 1,000 plain stops a second", "stops of the other kinds", STOP_MS, stop_in_a_flood_of_stops),
    attack("MQTT: 1,000 commands a second without a token", "stops", STOP_MS, stop_in_a_flood_of_drives),
    attack("MQTT: 60 stops of 100 kB at QoS 1", "stops at the next", STOP_MS, stop_behind_large_stops),
    attack("MQTT: `off` with blanks, damaged, in 100 kB", "disarms", None, stop_in_any_form),
    attack("MQTT: a second agent with its id", "backs off and reports it", None, second_agent_with_the_same_id),
    attack("MQTT: response topics of others", "replies to its own", None, stop_with_a_foreign_response_topic),
    Trial("MQTT: a broker that delivers nothing more", "connects anew", ECHO_MS, _no_delivery),
)
