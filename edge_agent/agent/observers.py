"""Observers of a run: which ones the settings ask for, and a fence around each, so that a fault of theirs is only told.

Knows the mirrors and how commands that they bring reach the helm. Knows nothing of the control path, which never waits
for any of them. A mirror's libraries are imported only where it is asked for.
"""

import asyncio
import functools
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import structlog

from edge_agent import __version__
from edge_agent.agent.commands import CommandExecutor
from edge_agent.config import Settings
from edge_agent.control.commands import Authorizer, CommandHandler, CommandRequest, CommandRules, Verb, read_rules
from edge_agent.errors import EdgeAgentError
from edge_agent.events import new_id
from edge_agent.faults import FaultReport, FaultReporter, observer_failed
from edge_agent.ports import Sink

if TYPE_CHECKING:
    from edge_agent.observers.crazy_train.payloads import CaptureCommand
    from edge_agent.observers.kafka.commands import KafkaCommandConsumer, KafkaCommands
    from edge_agent.observers.metrics import MirrorFigures, OutboxFigures

QUEUE_SIZE = 256
"""Events that may wait for one observer."""

_log = structlog.get_logger(__name__)


class Mirror(Sink, Protocol):
    """A Sink that copies events to a broker."""

    def figures(self) -> "MirrorFigures":
        """Tell what it has done; from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The mirrors of a run; `outbox` tells of the outbox where there is one, `listener` hears orders through Kafka."""

    sinks: tuple[Mirror, ...] = ()
    outbox: "Callable[[], OutboxFigures] | None" = None
    listener: "CommandListener | None" = None

    def figures(self) -> "Mapping[str, MirrorFigures]":
        """Tell what each has done, by its name; from any thread."""
        found = {mirror.name: mirror.figures() for mirror in self.sinks}
        if self.listener is not None and "kafka" in found:
            found["kafka"] = self.listener.added_to(found["kafka"])
        return found


@dataclass(frozen=True, slots=True)
class CommandListener:
    """What hears orders through Kafka; `desk` takes the train's own ones."""

    orders: "tuple[KafkaCommandConsumer, ...]"
    desk: "KafkaCommands | None"

    async def run(self) -> None:
        """Listen until cancelled."""
        await asyncio.gather(*(orders.run() for orders in self.orders))

    def added_to(self, figures: "MirrorFigures") -> "MirrorFigures":
        """Add what came in to the figures of the mirror to Kafka."""
        accepted, refused = (self.desk.accepted, self.desk.refused) if self.desk else (0, 0)
        discarded = sum(orders.discarded for orders in self.orders)
        return replace(figures, commands_accepted=accepted, commands_refused=refused, commands_discarded=discarded)


def tracing(settings: Settings) -> tuple[Sink, ...]:
    """Return what traces frames, where the settings ask for it; raises ConfigError where it cannot be set up."""
    how = settings.tracing
    if not how.enabled:
        return ()
    from edge_agent.observers.tracing import open_tracer  # noqa: PLC0415 - an extra

    return (open_tracer(settings.train.id, how.endpoint, how.share),)


def mirrors(
    settings: Settings,
    helm: CommandExecutor,
    gate: Authorizer,
    *,
    report_fault: Callable[[FaultReport], None],
    speed_mm_s: Callable[[], float | None],
) -> Mirrors:
    """Return the mirrors that the settings ask for; raises ConfigError where they cannot be set up."""
    compat = settings.compat == "crazy-train"
    found: list[Mirror] = []
    outbox = None
    if settings.mqtt.enabled:
        from edge_agent.observers.mqtt.home_assistant import HomeAssistantDevice  # noqa: PLC0415
        from edge_agent.observers.mqtt.mirror import MqttMirror  # noqa: PLC0415

        device = HomeAssistantDevice(
            settings.train.id, settings.train.name, __version__, speed=settings.capture.source == "sim"
        )
        found.append(
            MqttMirror(
                settings.mqtt,
                device,
                report_fault=report_fault,
                command=functools.partial(helm.carry_out, "mqtt"),
                refused=functools.partial(helm.refuse, "mqtt"),
                gate=gate,
                limits=settings.commands,
                compat=compat,
                speed_mm_s=speed_mm_s,
            )
        )
    if settings.kafka.enabled:
        from edge_agent.observers.kafka.mirror import KafkaMirror  # noqa: PLC0415
        from edge_agent.observers.outbox.outbox import outbox_path  # noqa: PLC0415

        path = outbox_path(settings, os.environ)
        kafka = KafkaMirror(
            settings.kafka, train_id=settings.train.id, path=path, report_fault=report_fault, compat=compat
        )
        found.append(kafka)
        outbox = kafka.outbox_figures
    return Mirrors(tuple(found), outbox, listener(settings, helm, gate, report_fault))


def listener(
    settings: Settings, helm: CommandExecutor, gate: Authorizer, report_fault: Callable[[FaultReport], None]
) -> "CommandListener | None":
    """Return what listens for orders through Kafka: the train's own, and those of the original demo's console."""
    kafka = settings.kafka
    compat = settings.compat == "crazy-train"
    if not kafka.enabled or not (kafka.commands or compat):
        return None
    from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC  # noqa: PLC0415
    from edge_agent.observers.kafka.commands import (  # noqa: PLC0415
        CaptureHandler,
        KafkaCommandConsumer,
        KafkaCommands,
        TopicHandler,
    )

    handlers: dict[str, TopicHandler] = {}
    desk = None
    if kafka.commands:
        own = make_command_handler("kafka", settings, helm, gate)
        desk = handlers[kafka.command_topic] = KafkaCommands(settings.train.id, own)
    if compat:
        originals = make_command_handler("crazy-train", settings, helm, gate)
        handlers[CAPTURE_TOPIC] = CaptureHandler(lambda wish: _execute_capture_command(wish, originals))
    # One for each topic: of two in one, a topic that is missing would silence the other.
    orders = (
        KafkaCommandConsumer(kafka, train_id=settings.train.id, topic=topic, handler=handler, report_fault=report_fault)
        for topic, handler in handlers.items()
    )
    return CommandListener(tuple(orders), desk)


def make_command_handler(
    channel: Literal["kafka", "console", "crazy-train"], settings: Settings, helm: CommandExecutor, gate: Authorizer
) -> CommandHandler:
    """Return where the commands of a channel come in; its token is in the channel's own settings."""

    def rules() -> CommandRules:
        limits, kafka, console = settings.commands, settings.kafka, settings.console
        if channel == "kafka":
            return read_rules(limits, kafka.command_token, kafka.command_token_file, "kafka.command_token_file")
        if channel == "crazy-train":
            return read_rules(limits, None, None, "")
        return read_rules(limits, console.token, console.token_file, "console.token_file")

    return CommandHandler(
        gate, rules, obey=functools.partial(helm.carry_out, channel), refuse=functools.partial(helm.refuse, channel)
    )


def _execute_capture_command(wish: "CaptureCommand", desk: CommandHandler) -> None:
    """Do what the original demo's console asks of the camera; it knows no token, and `compat` vouches for it."""
    verb = Verb.CAPTURE_START if wish.command == "start" else Verb.CAPTURE_STOP
    request = CommandRequest(verb, command_id=new_id(), issued_unix_s=time.time(), vouched=True)
    desk.settle(verb.value, None, desk.judge(request))


async def isolated(name: str, work: Coroutine[Any, Any, None], faults: FaultReporter) -> None:
    """Run an observer's work until cancelled; when it fails, report that and go on without it: the train drives on."""
    try:
        await work
    except EdgeAgentError as error:
        message = error.message
        remedy: str | None = error.remedy
        _log.error("observer_failed", observer=name, error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a mirror does wrong, it must not stop the train
        message, remedy = f"{type(error).__name__}: {error}", None
        _log.exception("observer_failed", observer=name)
    else:
        return
    faults.report(observer_failed(name), f"the {name} stopped: {message}", remedy)
