"""An MqttMirror with the faults that it reports and the commands that it receives, for tests against a real broker."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from edge_agent.config import CommandSettings, MqttSettings
from edge_agent.control.commands import Command, CommandRules, Verb, read_rules
from edge_agent.events import Event
from edge_agent.faults import FaultReport
from edge_agent.observers.mqtt.home_assistant import HomeAssistantDevice
from edge_agent.observers.mqtt.mirror import MqttMirror
from edge_agent.runtime.queues import Fanout
from tests.support.commands import TOKEN, RecordingExecutor, body, command_handler
from tests.support.mosquitto import Mosquitto, Subscriber, until

__all__ = ["DEVICE", "ROOT", "TOKEN", "RemoteControl", "Rig", "body", "quick", "rig", "settings"]

ROOT = "edge-agent/train-1"
DEVICE = HomeAssistantDevice("train-1", "Train 1", "0.1.0", speed=True)


class Rig:
    """One mirror, fed through a Fanout as the pipeline feeds it, and a train that records commands."""

    def __init__(self, mirror: MqttMirror, faults: list[FaultReport], executor: RecordingExecutor) -> None:
        self.mirror = mirror
        self.faults = faults
        self.executor = executor
        self.fanout: Fanout[Event] = Fanout()

    def publish(self, *events: Event) -> None:
        for event in events:
            self.fanout.publish(event)

    def codes(self, *, active: bool = True) -> list[str]:
        return [fault.code for fault in self.faults if fault.active is active]

    @property
    def obeyed(self) -> list[Command]:
        return self.executor.executed

    def verbs(self) -> list[Verb | None]:
        return [command.verb for command in self.obeyed]

    @property
    def connected(self) -> bool:
        return self.mirror.stats().link.connected

    async def wait_connected(self) -> None:
        await until(lambda: self.connected, f"the mirror connects; {self.faults}")


def settings(port: int, **changes: Any) -> MqttSettings:
    """Return settings with a short delay between attempts and a time limit that suits a busy machine."""
    values: dict[str, Any] = {
        "enabled": True,
        "port": port,
        "command_token": SecretStr(TOKEN),
        "connect_timeout_s": 15.0,
        "retry_max_s": 1.0,
    }
    return MqttSettings.model_validate(values | changes)


def quick(port: int, **changes: Any) -> MqttSettings:
    """Return settings with a time limit of one second."""
    return settings(port, **({"connect_timeout_s": 1.0} | changes))


@contextlib.asynccontextmanager
async def rig(config: MqttSettings, *, compat: bool = False, before: Iterable[Event] = ()) -> AsyncIterator[Rig]:
    """Run a mirror for the length of the block; `before` are events from before the start."""
    faults: list[FaultReport] = []
    executor = RecordingExecutor()

    def rules(_channel: object) -> CommandRules:
        return read_rules(CommandSettings(), config.command_token, config.command_token_file, "mqtt.command_token_file")

    mirror = MqttMirror(
        config,
        DEVICE,
        report_fault=faults.append,
        commands=command_handler(executor, rules),
        compat=compat,
        speed_mm_s=lambda: 412.34,
    )
    rig = Rig(mirror, faults, executor)
    subscription = rig.fanout.subscribe("mqtt", 10_000)
    rig.publish(*before)
    task = asyncio.create_task(mirror.run(subscription))
    await asyncio.sleep(0)
    try:
        yield rig
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@dataclass
class RemoteControl:
    """A train, an operator's client that commands it, and the broker between them."""

    broker: Mosquitto
    train: Rig
    operator: Subscriber

    async def send(self, name: str, payload: bytes = b"", qos: int = 1, **more: Any) -> None:
        await self.operator.client.publish(f"{ROOT}/{name}/set", payload, qos, **more)

    async def reply(self, name: str, count: int = 1) -> dict[str, Any]:
        """Return the reply to the last command of this name."""
        messages = await self.operator.wait_for(f"{ROOT}/{name}/reply", count)
        reply = json.loads(bytes(messages[-1].payload))
        assert isinstance(reply, dict)
        return reply

    async def wait_executed(self, *verbs: Verb) -> None:
        await until(lambda: self.train.verbs() == list(verbs), f"executes {verbs}: {self.train.verbs()}")
