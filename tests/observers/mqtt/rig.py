"""An MqttMirror at work, with what it reports and what it is commanded, for tests against a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from pydantic import SecretStr

from edge_agent.config import CommandSettings, MqttSettings
from edge_agent.control.commands import Command, CommandRules, Verb, read_rules
from edge_agent.events import Event
from edge_agent.faults import FaultReport
from edge_agent.observers.mqtt.home_assistant import HomeAssistantDevice
from edge_agent.observers.mqtt.mirror import MqttMirror
from edge_agent.runtime.queues import Fanout
from tests.support.commands import TOKEN as WORD
from tests.support.commands import RecordingExecutor, body, command_handler
from tests.support.mosquitto import until

__all__ = ["DEVICE", "ROOT", "WORD", "Rig", "body", "quick", "rig", "settings"]

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

    async def comes_up(self) -> None:
        await until(lambda: self.connected, f"the mirror connects; {self.faults}")


def settings(port: int, **changes: Any) -> MqttSettings:
    """Return settings that try again soon and are patient with a busy machine; `quick` are those of a quick temper."""
    values: dict[str, Any] = {
        "enabled": True,
        "port": port,
        "command_token": SecretStr(WORD),
        "connect_timeout_s": 15.0,
        "retry_max_s": 1.0,
    }
    return MqttSettings.model_validate(values | changes)


def quick(port: int, **changes: Any) -> MqttSettings:
    """Return settings that give a broker up which is silent for a second."""
    return settings(port, **({"connect_timeout_s": 1.0} | changes))


@contextlib.asynccontextmanager
async def rig(config: MqttSettings, *, compat: bool = False, before: Iterable[Event] = ()) -> AsyncIterator[Rig]:
    """Run a mirror for the length of the block; `before` is what happened before the broker was there."""
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
