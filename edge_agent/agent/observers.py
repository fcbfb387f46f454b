"""Observers of a run: those that the settings ask for, each isolated, so that a fault in one never stops the train.

The control path waits for none of them. A mirror's libraries are imported only where it is asked for.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from edge_agent import __version__
from edge_agent.config import Settings
from edge_agent.control.commands import CommandHandler
from edge_agent.errors import EdgeAgentError
from edge_agent.faults import FaultReport, FaultReporter, observer_failed
from edge_agent.ports import Sink

if TYPE_CHECKING:
    from edge_agent.agent.kafka import CommandListener
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


def tracing(settings: Settings) -> tuple[Sink, ...]:
    """Return what traces frames, where the settings ask for it; raises ConfigError where it cannot be set up."""
    section = settings.tracing
    if not section.enabled:
        return ()
    from edge_agent.observers.tracing import open_tracer  # noqa: PLC0415 - an extra

    return (open_tracer(settings.train.id, section.endpoint, section.share),)


def mirrors(
    settings: Settings,
    commands: CommandHandler,
    *,
    report_fault: Callable[[FaultReport], None],
    speed_mm_s: Callable[[], float | None],
) -> Mirrors:
    """Return the mirrors that the settings ask for; raises ConfigError where they cannot be set up."""
    found: list[Mirror] = []
    outbox, listener = None, None
    if settings.train.id_is_default and (settings.mqtt.enabled or settings.kafka.enabled):
        remedy = "set train.id: another train with this id gets in its way at the broker"
        _log.warning("default_train_id", id=settings.train.id, remedy=remedy)
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
                compat=settings.compat == "crazy-train",
                speed_mm_s=speed_mm_s,
            )
        )
    if settings.kafka.enabled:
        from edge_agent.agent.kafka import command_listener, kafka_mirror  # noqa: PLC0415

        kafka = kafka_mirror(settings, report_fault)
        found.append(kafka)
        outbox, listener = kafka.outbox_figures, command_listener(settings, commands, report_fault)
    return Mirrors(tuple(found), outbox, listener)


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
