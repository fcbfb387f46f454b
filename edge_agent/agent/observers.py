"""Observers of a run: those that the settings ask for, each isolated, so that a fault in one never stops the train.

The control path waits for none of them. A mirror's libraries are imported only where it is asked for.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from edge_agent import __version__
from edge_agent.config import Settings
from edge_agent.control.commands import Channel, CommandHandler
from edge_agent.errors import EdgeAgentError
from edge_agent.faults import FaultReport, FaultReporter, observer_failed
from edge_agent.ports import Sink

if TYPE_CHECKING:
    from edge_agent.observers.kafka.commands import KafkaCommandConsumer
    from edge_agent.observers.metrics import MirrorFigures, OutboxFigures

QUEUE_SIZE = 256
"""Events that may wait for one observer."""

_log = structlog.get_logger(__name__)


class Mirror(Sink, Protocol):
    """A Sink that copies events to a broker."""

    def figures(self) -> "MirrorFigures":
        """Return what it has done; from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The mirrors of a run, the figures of the outbox where there is one, and what takes commands from Kafka."""

    sinks: tuple[Mirror, ...] = ()
    outbox: "Callable[[], OutboxFigures] | None" = None
    listener: "CommandListener | None" = None

    def figures(self) -> "Mapping[str, MirrorFigures]":
        """Return what each has done, by its name; from any thread."""
        found = {mirror.name: mirror.figures() for mirror in self.sinks}
        if self.listener is not None and "kafka" in found:
            found["kafka"] = self.listener.added_to(found["kafka"])
        return found


@dataclass(frozen=True, slots=True)
class CommandListener:
    """What takes commands from Kafka: one consumer for each topic."""

    consumers: "tuple[KafkaCommandConsumer, ...]"
    handler: CommandHandler

    async def run(self) -> None:
        """Listen until cancelled."""
        await asyncio.gather(*(consumer.run() for consumer in self.consumers))

    def added_to(self, figures: "MirrorFigures") -> "MirrorFigures":
        """Add the commands to the figures of the mirror to Kafka."""
        accepted, refused = self.handler.accepted[Channel.KAFKA], self.handler.refused[Channel.KAFKA]
        discarded = sum(consumer.discarded for consumer in self.consumers)
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
    commands: CommandHandler,
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
                commands=commands,
                max_commands_per_s=settings.commands.max_per_s,
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
    return Mirrors(tuple(found), outbox, listener(settings, commands, report_fault))


def listener(
    settings: Settings, commands: CommandHandler, report_fault: Callable[[FaultReport], None]
) -> "CommandListener | None":
    """Return what takes commands from Kafka: the train's own, and those of the original demo's console."""
    kafka = settings.kafka
    compat = settings.compat == "crazy-train"
    if not kafka.enabled or not (kafka.commands or compat):
        return None
    from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC  # noqa: PLC0415
    from edge_agent.observers.kafka.commands import (  # noqa: PLC0415
        KafkaCommandConsumer,
        ReadMessage,
        capture_messages,
        own_messages,
    )

    topics: dict[str, ReadMessage] = {}
    if kafka.commands:
        topics[kafka.command_topic] = own_messages(settings.train.id)
    if compat:
        topics[CAPTURE_TOPIC] = capture_messages()
    # One consumer for each topic: of two in one, a topic that is missing would silence the other.
    consumers = (
        KafkaCommandConsumer(
            kafka, train_id=settings.train.id, topic=topic, read=read, commands=commands, report_fault=report_fault
        )
        for topic, read in topics.items()
    )
    return CommandListener(tuple(consumers), commands)


async def isolated(name: str, work: Coroutine[Any, Any, None], faults: FaultReporter) -> None:
    """Run an observer's work until cancelled; when it fails, report that and go on without it: the train drives on."""
    try:
        await work
    except EdgeAgentError as error:
        message = error.message
        remedy: str | None = error.remedy
        _log.error("observer_failed", observer=name, error=str(error))
    except Exception as error:  # noqa: BLE001 - no defect of a mirror may stop the train
        message, remedy = f"{type(error).__name__}: {error}", None
        _log.exception("observer_failed", observer=name)
    else:
        return
    faults.report(observer_failed(name), f"the {name} stopped: {message}", remedy)
