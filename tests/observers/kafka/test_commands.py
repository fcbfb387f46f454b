"""Commands through Kafka: who is obeyed, and what is published about it. Against a real broker (tansu)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import confluent_kafka
import pytest
from pydantic import SecretStr

from edge_agent.agent.commands import CommandExecutor
from edge_agent.config import KafkaSettings
from edge_agent.control.commands import Channel, Code, CommandHandler, CommandRules
from edge_agent.events import CommandResult
from edge_agent.faults import FaultReport
from edge_agent.observers.cloudevents import OrderData, write_command
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.observers.kafka.commands import KafkaCommandConsumer, own_messages
from tests.agent.test_commands import Control
from tests.observers.kafka.rig import settings, until
from tests.support.commands import old_authorizer
from tests.support.kafka_brokers import Tansu
from tests.support.kafka_messages import KafkaMessage, message_of

WORD = "open sesame"
TOPIC = "edge-agent-commands"


def order(verb: str, command_id: str = "c-1", *, train_id: str = "train-1", **changes: object) -> KafkaMessage:
    """Return a command with everything in order."""
    data = replace(OrderData(command_id, to_rfc3339(time.time()), token=WORD, by="ada"), **changes)
    return message_of(write_command(train_id, verb, data, source="/consoles/fleet"))


@dataclass
class CommandRig:
    """A train's consumer of commands, and a producer that sends them."""

    consumer: KafkaCommandConsumer
    handler: CommandHandler
    producer: confluent_kafka.Producer
    control: Control
    answers: list[CommandResult] = field(default_factory=list)
    faults: list[FaultReport] = field(default_factory=list)

    def send(self, *messages: KafkaMessage) -> None:
        for message in messages:
            self.producer.produce(TOPIC, message.value, message.key, headers=list(message.headers))
        assert self.producer.flush(10) == 0

    async def answered(self, count: int = 1) -> CommandResult:
        await until(lambda: len(self.answers) >= count, f"{count} answers; {self.answers}")
        return self.answers[-1]


@contextlib.asynccontextmanager
async def rig_at(config: KafkaSettings) -> AsyncIterator[CommandRig]:
    control, answers, faults = Control(), list[CommandResult](), list[FaultReport]()
    clock = asyncio.get_running_loop().time
    executor = CommandExecutor(control, control, publish=answers.append, clock=clock)  # type: ignore[arg-type]
    # Patient with a busy machine.
    rules = CommandRules(SecretStr(WORD), max_age_s=300.0, hold_s=300.0, images=False)
    handler = CommandHandler(old_authorizer(), lambda channel: rules, executor)
    orders = KafkaCommandConsumer(
        config,
        train_id="train-1",
        topic=TOPIC,
        read=own_messages("train-1"),
        commands=handler,
        report_fault=faults.append,
    )
    task = asyncio.create_task(orders.run())
    producer = confluent_kafka.Producer({"bootstrap.servers": config.bootstrap_servers[0], "log_level": 0})
    try:
        await until(lambda: orders.listening, "it listens")
        yield CommandRig(orders, handler, producer, control, answers, faults)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(orders.join)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[CommandRig]:
    with Tansu(tmp_path / "tansu.log") as broker:
        first = confluent_kafka.Producer({"bootstrap.servers": broker.address, "log_level": 0})
        first.produce(TOPIC, b"so that the topic exists")
        assert first.flush(10) == 0
        async with rig_at(settings(broker.address)) as rig:
            yield rig


async def test_command_with_everything_in_order_is_obeyed_and_published(rig: CommandRig) -> None:
    rig.send(order("drive"))
    answer = await rig.answered()
    assert rig.control.calls == ["drive"]
    assert (answer.channel, answer.who, answer.command_id, answer.verb) == ("kafka", "ada", "c-1", "drive")
    assert (answer.accepted, answer.state, answer.code) == (True, "running", None)


@pytest.mark.parametrize(
    ("verb", "changes", "code"),
    [
        ("drive", {"token": None}, Code.NO_TOKEN),
        ("drive", {"token": "guess"}, Code.WRONG_TOKEN),
        ("drive", {"issued_at": "2020-01-01T00:00:00Z"}, Code.STALE),
        ("power", {}, Code.VALUE),
        ("fly", {}, Code.MALFORMED),
        ("image", {}, Code.VALUE),  # pictures on request go out by MQTT
    ],
)
async def test_command_out_of_order_is_refused_and_published(
    rig: CommandRig, verb: str, changes: dict[str, object], code: Code
) -> None:
    rig.send(order(verb, **changes))
    answer = await rig.answered()
    assert (answer.accepted, answer.code, answer.command_id) == (False, code.value, "c-1")
    assert rig.control.calls == []


async def test_stop_needs_no_token(rig: CommandRig) -> None:
    rig.send(order("emergency_stop", token=None, issued_at="2020-01-01T00:00:00Z"))
    assert (await rig.answered()).accepted
    assert rig.control.calls == ["emergency_stop"]


async def test_only_the_own_key_is_obeyed_and_rubbish_does_no_harm(rig: CommandRig) -> None:
    rubbish = KafkaMessage(b"train-1", (("ce_id", b"\xff"),), b"{")
    rig.send(order("drive", "other", train_id="train-2"), rubbish, KafkaMessage(None, (), b""), order("drive", "mine"))
    await rig.answered()
    assert [answer.command_id for answer in rig.answers] == ["mine"]


async def test_command_that_comes_twice_is_obeyed_once(rig: CommandRig) -> None:
    rig.send(order("drive"), order("drive"))
    assert (await rig.answered(2)).code == Code.REPLAYED
    assert (rig.control.calls, rig.handler.accepted[Channel.KAFKA], rig.handler.refused[Channel.KAFKA]) == (
        ["drive"],
        1,
        1,
    )


async def test_stop_wins_over_a_flood_of_commands(rig: CommandRig) -> None:
    flood: Iterable[KafkaMessage] = [order("drive", f"c-{number}") for number in range(1000)]
    rig.send(*flood, order("stop", "halt", token=None))
    await until(lambda: "halt" in [answer.command_id for answer in rig.answers], "the stop is answered")
    at = [answer.command_id for answer in rig.answers].index("halt")
    rig.send(order("drive", "last"))
    await until(lambda: rig.answers[-1].command_id == "last", "the last is answered")
    assert not any(answer.accepted for answer in rig.answers[at + 1 :])
