"""The same bytes by MQTT, Kafka, the console and the original demo's topic come to the same command and result.

Everything is real but brokers and HTTP server: what each channel makes of its message, and from there the one way.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiomqtt import Message
from pydantic import SecretStr

from edge_agent.agent.commands import CommandExecutor, build_command_handler
from edge_agent.agent.console import LocalCommander
from edge_agent.config import KafkaSettings, Settings
from edge_agent.console.access import Caller
from edge_agent.console.commands import _parse
from edge_agent.control.commands import Code, CommandHandler
from edge_agent.events import CommandResult
from edge_agent.observers.cloudevents import OrderData, kafka, write_command
from edge_agent.observers.kafka.commands import KafkaCommandConsumer, ReadMessage, capture_messages, own_messages
from edge_agent.observers.mqtt.commands import CommandQueue, MqttCommands
from edge_agent.observers.mqtt.payloads import ReplyData
from tests.agent.test_commands import Control
from tests.support.commands import TOKEN, body
from tests.support.mosquitto import until

CHANNELS = ("mqtt", "kafka", "console")
ROOT = "edge-agent/train-1"


def settings(**commands: Any) -> Settings:
    """Return settings with the same token for every channel."""
    token = SecretStr(TOKEN)
    return Settings.model_validate(
        {
            "commands": commands,
            "mqtt": {"command_token": token},
            "kafka": {"command_token": token},
            "console": {"token": token},
        }
    )


def record(*, value: bytes, timestamp: float, key: bytes | None = None, headers: tuple[Any, ...] = ()) -> Any:
    """Return a record as aiokafka gives it, that came while the topic was read."""
    return SimpleNamespace(
        topic="t", partition=0, offset=0, key=key, value=value, headers=headers, timestamp=timestamp, timestamp_type=0
    )


class Train:
    """A train that records its orders, and a way to send it a body by each channel."""

    def __init__(self, config: Settings) -> None:
        self.control = Control()
        self.results: list[CommandResult] = []
        self.replies: list[ReplyData] = []
        executor = CommandExecutor(
            self.control,  # type: ignore[arg-type]
            self.control,  # type: ignore[arg-type]
            publish=self.results.append,
            clock=asyncio.get_running_loop().time,
        )
        self.handler: CommandHandler = build_command_handler(config, executor)
        self.handler._authorizer._started_s -= 3600  # a command is not from before the start
        self._mqtt = MqttCommands(
            self.handler,
            ROOT,
            reply=lambda topic, data, correlation_data: self.replies.append(data),
            send_images_for=lambda duration_s: None,
        )
        self.send: dict[str, Callable[[str, bytes], Awaitable[object]]] = {
            "mqtt": self._by_mqtt,
            "kafka": self._by_kafka,
            "console": self._by_console,
            "crazy-train": self._by_original,
        }

    async def result(self, channel: str, name: str, raw: bytes) -> CommandResult:
        """Send a command; return what the observers get."""
        count = len(self.results)
        await self.send[channel](name, raw)
        await until(lambda: len(self.results) == count + 1, f"{channel}: {name}")
        return self.results[-1]

    async def _by_mqtt(self, name: str, raw: bytes) -> None:
        queue = CommandQueue(self._mqtt.read, lambda count: None, lambda: None)
        queue.put_nowait(Message(f"{ROOT}/{name}/set", raw, 1, False, 1, None))
        await asyncio.to_thread(lambda: asyncio.run(self._handle(queue)))

    async def _handle(self, queue: CommandQueue) -> None:
        """Work as the mirror's thread does, until the reply."""
        count = len(self.replies)
        assert self._mqtt.handle(await queue.get())
        await until(lambda: len(self.replies) == count + 1, "the reply")

    async def _by_kafka(self, name: str, raw: bytes) -> None:
        event = write_command("train-1", name, OrderData("event-id", "2026-11-21T18:20:00Z"), source="/me")
        headers, _ = kafka.binary(event)
        await self._consume(own_messages("train-1"), b"train-1", dict(headers), raw)

    async def _by_original(self, _name: str, raw: bytes) -> None:
        await self._consume(capture_messages(), None, {}, raw)

    async def _consume(self, read: ReadMessage, key: bytes | None, headers: dict[str, bytes], raw: bytes) -> None:
        consumer = KafkaCommandConsumer(
            KafkaSettings(), train_id="train-1", topic="t", read=read, commands=self.handler
        )
        received = record(value=raw, key=key, headers=tuple(headers.items()), timestamp=time.time() * 1000)
        await asyncio.to_thread(consumer._submit, [received])

    async def _by_console(self, name: str, raw: bytes) -> None:
        """Command as the console does for a caller who has shown what the body shows."""
        document = json.loads(raw)
        caller = Caller("ada", SecretStr(document.get("token") or ""))
        command = _parse(json.dumps({**document, "verb": name}).encode(), caller)
        result = await LocalCommander(self.handler).send("train-1", command)
        assert result is not None


@pytest.mark.parametrize(
    ("name", "changes", "code", "order"),
    [
        ("drive", {}, None, "drive"),
        ("power", {"power_percent": 45}, None, 45),
        ("rearm", {"reason": "track is clear"}, None, "rearm"),
        ("arm", {"value": "off", "token": None}, None, "disarm"),
        ("stop", {"token": None, "issued_at": 0}, None, "stop"),
        ("emergency_stop", {"token": "guess"}, None, "emergency_stop"),
        ("drive", {"token": "guess"}, Code.WRONG_TOKEN, None),
        ("drive", {"issued_at": 1.0}, Code.STALE, None),
        ("drive", {"issued_at": 4e9}, Code.EARLY, None),
        ("drive", {"issued_at": "yesterday"}, Code.MALFORMED, None),
        ("power", {"power_percent": 101}, Code.VALUE, None),
        ("power", {"power_percent": "45"}, Code.VALUE, None),
        ("rearm", {}, Code.VALUE, None),
        ("arm", {"value": "maybe"}, Code.MALFORMED, None),
    ],
)
async def test_same_bytes_come_to_the_same_result_by_every_channel(
    name: str, changes: dict[str, Any], code: Code | None, order: object
) -> None:
    outcomes = []
    for channel in CHANNELS:
        train = Train(settings())
        result = await train.result(channel, name, body("c-1", by="ada", **changes))
        assert result.channel == channel
        outcomes.append((result.verb, result.command_id, result.who, result.accepted, result.code, result.state))
        assert train.control.calls == ([] if order is None else [order])
    assert len(set(outcomes)) == 1, outcomes
    assert outcomes[0][3:5] == (code is None, code)


async def test_reason_of_a_refusal_is_the_same_by_every_channel() -> None:
    reasons = [(await Train(settings()).result(channel, "drive", body(shows="guess"))).reason for channel in CHANNELS]
    assert set(reasons) == {"the command's token is not the train's"}


@pytest.mark.parametrize("first", [*CHANNELS, "crazy-train"])
async def test_stop_by_any_channel_holds_what_comes_by_every_other(first: str) -> None:
    train = Train(settings(hold_s=60.0))
    name, raw = ("capture", b'{"command":"stop"}') if first == "crazy-train" else ("stop", b"{}")
    assert (await train.result(first, name, raw)).accepted
    codes = [(await train.result(channel, "drive", body(channel))).code for channel in CHANNELS]
    codes.append((await train.result("crazy-train", "capture", b'{"command":"start"}')).code)
    assert set(codes) == {Code.STOPPED}


@pytest.mark.parametrize("first", CHANNELS)
async def test_command_that_came_by_any_channel_is_replayed_by_every_other(first: str) -> None:
    train, raw = Train(settings()), body("c-1")
    assert (await train.result(first, "drive", raw)).accepted
    assert {(await train.result(channel, "drive", raw)).code for channel in CHANNELS} == {Code.REPLAYED}


async def test_pace_is_that_of_all_channels_together() -> None:
    train = Train(settings(max_per_s=3, max_age_s=300.0))
    # Nothing ends the second while a busy machine takes its time.
    train.handler._authorizer._clock = lambda: 1e9
    codes = [(await train.result(CHANNELS[n % 3], "power", body(f"c-{n}", power_percent=50))).code for n in range(6)]
    assert codes == [None] * 3 + [Code.TOO_MANY] * 3


@pytest.mark.parametrize(
    ("raw", "code", "calls"),
    [
        (b'{"command":"start"}', None, ["taking frames", "released"]),
        (b'{"command": "stop", "more": 1}', None, ["paused", "braked for it"]),
        (b'{"command":"START"}', None, ["taking frames", "released"]),
        (b'{"command":["start"]}', Code.MALFORMED, []),
        (b'["start"]', Code.MALFORMED, []),
        (b"start", Code.MALFORMED, []),
        (b"\xff", Code.MALFORMED, []),
        (b"[" * 100_000, Code.MALFORMED, []),
        (b"", Code.MALFORMED, []),
    ],
)
async def test_original_console_starts_and_stops_the_capture_and_nothing_else(
    raw: bytes, code: Code | None, calls: list[str]
) -> None:
    train = Train(settings())
    result = await train.result("crazy-train", "capture", raw)
    assert (result.channel, result.code, train.control.calls) == ("crazy-train", code, calls)


@pytest.mark.parametrize(
    ("command", "age_s", "code"),
    [("start", 0.1, None), ("start", 6.0, Code.STALE), ("start", -60.0, None), ("stop", 60.0, None)],
)
async def test_original_console_stops_at_any_age_and_starts_only_while_fresh(
    command: str, age_s: float, code: Code | None
) -> None:
    train = Train(settings(max_age_s=300.0))
    now_s = time.time()
    received = record(value=b'{"command":"%s"}' % command.encode(), timestamp=(now_s - age_s) * 1000)
    consumer = KafkaCommandConsumer(
        KafkaSettings(), train_id="train-1", topic="t", read=capture_messages(), commands=train.handler
    )
    await asyncio.to_thread(consumer._submit, [received])
    await until(lambda: len(train.results) == 1, "the result")
    assert train.results[0].code == code
