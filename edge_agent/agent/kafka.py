"""What a run needs of Kafka: the mirror, and the consumers of commands. Loaded only where Kafka is enabled."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_agent.config import Settings
from edge_agent.control.commands import Channel, CommandHandler
from edge_agent.faults import FaultReport
from edge_agent.observers.crazy_train.payloads import CAPTURE_TOPIC
from edge_agent.observers.kafka.commands import KafkaCommandConsumer, ReadMessage, capture_messages, own_messages
from edge_agent.observers.kafka.mirror import KafkaMirror
from edge_agent.observers.metrics import MirrorFigures
from edge_agent.observers.outbox.outbox import outbox_path


@dataclass(frozen=True, slots=True)
class CommandListener:
    """What takes commands from Kafka: one consumer for each topic."""

    consumers: tuple[KafkaCommandConsumer, ...]
    handler: CommandHandler

    async def run(self) -> None:
        """Listen until cancelled."""
        await asyncio.gather(*(consumer.run() for consumer in self.consumers))

    def added_to(self, figures: MirrorFigures) -> MirrorFigures:
        """Add the commands to the figures of the mirror to Kafka."""
        accepted, refused = self.handler.accepted[Channel.KAFKA], self.handler.refused[Channel.KAFKA]
        refused += sum(consumer.unreadable for consumer in self.consumers)
        discarded = sum(consumer.discarded for consumer in self.consumers)
        return replace(figures, commands_accepted=accepted, commands_refused=refused, commands_discarded=discarded)


def kafka_mirror(settings: Settings, report_fault: Callable[[FaultReport], None]) -> KafkaMirror:
    """Return the mirror to Kafka; raises ConfigError where it cannot be set up."""
    return KafkaMirror(
        settings.kafka,
        train_id=settings.train.id,
        path=outbox_path(settings, os.environ),
        report_fault=report_fault,
        compat=settings.compat == "crazy-train",
    )


def command_listener(
    settings: Settings, commands: CommandHandler, report_fault: Callable[[FaultReport], None]
) -> CommandListener | None:
    """Return what takes commands from Kafka: the train's own, and those of the original demo's console."""
    kafka = settings.kafka
    topics: dict[str, ReadMessage] = {}
    if kafka.commands:
        topics[kafka.command_topic] = own_messages(settings.train.id)
    if settings.compat == "crazy-train":
        topics[CAPTURE_TOPIC] = capture_messages()
    # One consumer for each topic: of two in one, a topic that is missing would silence the other.
    consumers = (
        KafkaCommandConsumer(
            kafka,
            train_id=settings.train.id,
            topic=topic,
            read=read,
            commands=commands,
            max_age_s=settings.commands.max_age_s,
            report_fault=report_fault,
        )
        for topic, read in topics.items()
    )
    return CommandListener(tuple(consumers), commands) if topics else None
