"""The console of a fleet, on a real broker."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from pydantic import SecretStr

from edge_agent.config import ConsoleSettings, KafkaSettings, Settings
from edge_agent.console.fleet import FleetConsole
from edge_agent.console.server import listen
from edge_agent.events import CommandResult, Event
from edge_agent.observers.cloudevents import read_command
from tests.console.rig import TOKEN, envelope
from tests.observers.kafka.listener import BROKEN, CODECS, send_raw
from tests.support import events as make
from tests.support.http import call
from tests.support.kafka_brokers import Consumed, Tansu, mock_cluster, tansu_behind_proxy
from tests.support.kafka_messages import KafkaMessage, message_of
from tests.support.mosquitto import until
from tests.support.proxy import free_port

EVENTS, COMMANDS = "edge-agent-events", "edge-agent-commands"


@dataclass
class Rig:
    """A fleet's console, and a producer in place of the trains."""

    port: int
    fleet: FleetConsole
    producer: Any

    def send(self, *events: Event, train: str = "red") -> None:
        for event in events:
            self.put(message_of(envelope(event, train)))

    def put(self, message: KafkaMessage) -> None:
        self.producer.produce(EVENTS, message.value, message.key, headers=list(message.headers))
        assert self.producer.flush(10) == 0

    def train(self, name: str = "red") -> Any:
        return next((each for each in self.fleet.app.store.trains(self.fleet.app.now_ms()) if each.id == name), None)

    async def connected(self) -> None:
        """Create the topic by a first message, and wait until the console reads it."""
        await asyncio.to_thread(self.send, make.state(), train="nobody")
        await until(lambda: self.fleet.app.trouble is None, "connected")

    async def known(self, name: str = "red") -> None:
        """Send states until the console knows the train: it reads only what comes after it has connected."""
        while self.train(name) is None:
            self.send(make.state(), train=name)
            await asyncio.sleep(0.05)

    async def command(self, verb: str, **more: str) -> Any:
        body = {"verb": verb, "id": f"{verb}-{time.monotonic_ns()}", "issued_at": "2026-11-21T18:20:00Z", **more}
        headers = {"Content_Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        return await call(self.port, "/api/trains/red/commands", "POST", json.dumps(body).encode(), **headers)


@contextlib.asynccontextmanager
async def fleet(*servers: str, producer_at: str | None = None) -> AsyncIterator[Rig]:
    """Run the console for the duration of the block."""
    brokers = KafkaSettings(
        bootstrap_servers=servers, send_timeout_s=2.0, retry_max_s=1.0, command_token=SecretStr("the trains' token")
    )
    settings = Settings(kafka=brokers, console=ConsoleSettings(port=free_port(), token=SecretStr(TOKEN)))
    console = FleetConsole(settings)
    producer = confluent_kafka.Producer({"bootstrap.servers": producer_at or servers[0], "log_level": 0})
    task = asyncio.create_task(console.run(listen(settings.console)))
    try:
        yield Rig(settings.console.port, console, producer)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_trains_appear_with_pictures_and_a_poisoned_message_is_only_counted(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as broker:
        async with fleet(broker.address) as rig:
            await rig.connected()
            await rig.known()
            rig.put(KafkaMessage(b"red", (), b"rubbish"))
            rig.put(KafkaMessage(b"red", (("ce_id", b"\xff"),), b"\xff"))
            foreign = message_of(envelope(make.state()))
            rig.put(KafkaMessage(None, (*foreign.headers[:3], ("ce_type", b"result"), *foreign.headers[4:]), b"{}"))
            rig.send(*make.one_of_each())
            await until(lambda: rig.fleet.app.store.newest("red") is not None, "the picture")
            await until(lambda: len(rig.train().faults) == 1, "the fault")
            assert rig.fleet.foreign + rig.fleet.app.store.unreadable == 3
            facts = (await call(rig.port, "/api")).json
            assert (facts["role"], facts["commands"], facts["trouble"]) == ("fleet", "token", None)
            assert (await call(rig.port, "/readyz")).status == 200
            figures = (await call(rig.port, "/metrics")).body.decode()
            trains = len((await call(rig.port, "/api/trains")).json["trains"])  # `nobody` too, if its event arrived
            assert f"edge_agent_console_trains {trains}.0" in figures
            assert f'edge_agent_console_messages_ignored_total{{reason="foreign"}} {rig.fleet.foreign}.0' in figures
            assert (await call(rig.port, "/api/trains/red/snapshot.jpg")).body[:2] == b"\xff\xd8"


@pytest.mark.parametrize("codec", CODECS)
async def test_no_message_costs_those_of_other_trains(codec: str) -> None:
    surrogate = (
        rb'{"specversion":"1.0","id":"1","source":"/trains/blue","type":"dev.edge-agent.state.v1","data":"\ud800"}'
    )
    structured = (("content-type", b"application/cloudevents+json"),)
    with mock_cluster() as address:
        async with fleet(address) as rig:
            await rig.connected()
            rig.producer = confluent_kafka.Producer(
                {"bootstrap.servers": address, "compression.type": codec, "linger.ms": 50, "log_level": 0}
            )
            for name in ("red", "green"):
                await send_raw(address, *(raw for raw in BROKEN.values() if 0 < len(raw) < 1000), topic=EVENTS)
                while rig.train(name) is None:
                    # One batch: the broken one first.
                    for message in (
                        KafkaMessage(None, structured, surrogate),
                        message_of(envelope(make.state(), name)),
                    ):
                        rig.producer.produce(EVENTS, message.value, partition=0, headers=list(message.headers))
                    assert rig.producer.flush(10) == 0
                    await asyncio.sleep(0.05)
            assert rig.train("blue") is None
            figures = (await call(rig.port, "/metrics")).body.decode()
            unreadable = re.search(r'ignored_total\{reason="unreadable"\} (\d+)', figures)
            assert unreadable is not None
            assert int(unreadable[1]) >= 2 * sum(0 < len(raw) < 1000 for raw in BROKEN.values())


async def test_command_goes_to_the_train_with_its_token_and_its_answer_comes_back(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, COMMANDS) as commands:
        async with fleet(broker.address) as rig:
            await rig.connected()
            await rig.known()

            async def train() -> Any:
                """Answer the first command as a train does."""
                await until(lambda: len(commands.messages) > 0, "the command")
                message = commands.messages[0]
                command = read_command(message.headers(), message.value())
                assert isinstance(command.body, bytes)
                body = json.loads(command.body)
                rig.send(CommandResult("kafka", body["by"], body["id"], command.name, True, None, "running", "go", 0.3))
                return message.key(), command.name, body

            answer, (key, verb, body) = await asyncio.gather(rig.command("rearm", reason="clear"), train())
            assert (key, verb, body["token"], body["reason"]) == (b"red", "rearm", "the trains' token", "clear")
            assert body["by"] == "token holder at 127.0.0.1"
            assert (answer.status, answer.json["accepted"], answer.json["reason"]) == (200, True, "go")
            silent = await rig.command("emergency_stop")
            assert (silent.status, silent.json["answered"]) == (504, False)


@pytest.mark.parametrize("how", ["refuse", "reset", "black_hole"])
async def test_events_after_an_outage_are_shown(tmp_path: Path, how: str) -> None:
    with tansu_behind_proxy(tmp_path) as (broker, proxy):
        async with fleet(f"127.0.0.1:{proxy.port}", producer_at=f"127.0.0.1:{proxy.port}") as rig:
            await rig.connected()
            await rig.known()
            assert broker.port != proxy.port
            getattr(proxy, how)()
            if how != "reset":
                assert (await rig.command("stop")).status in (503, 504)
            before_ms = rig.train().seen_ms
            proxy.mend()
            await until(lambda: _has_new_events(rig, before_ms), "new events")


def _has_new_events(rig: Rig, before_ms: int) -> bool:
    rig.send(make.state())
    return bool(rig.train().seen_ms > before_ms)


async def test_unreachable_brokers_are_shown_on_the_page() -> None:
    async with fleet(f"127.0.0.1:{free_port()}") as rig:
        await until(lambda: "cannot be reached" in str(rig.fleet.app.trouble), "the trouble")
        facts = (await call(rig.port, "/api")).json
        assert facts["trouble"]["remedy"] == "check the uplink and kafka.bootstrap_servers"
        assert (await call(rig.port, "/readyz")).status == 503
        assert (await call(rig.port, "/healthz")).status == 200
