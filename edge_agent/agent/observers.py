"""Observers of a run: which ones the settings ask for, and a fence around each, so that a fault of theirs is only told.

Knows the mirrors and how commands that they bring reach the helm. Knows nothing of the control path, which never waits
for any of them. A mirror's libraries are imported only where it is asked for.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from edge_agent import __version__
from edge_agent.agent.helm import Helm
from edge_agent.config import Settings
from edge_agent.errors import EdgeAgentError
from edge_agent.events import Fault, Severity
from edge_agent.ports import Sink

if TYPE_CHECKING:
    from edge_agent.metrics import MirrorFigures, OutboxFigures

_log = structlog.get_logger(__name__)


class Mirror(Sink, Protocol):
    """A Sink that copies events to a broker."""

    def figures(self) -> "MirrorFigures":
        """Tell what it has done; from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The mirrors of a run; `outbox` tells of the outbox where there is one."""

    sinks: tuple[Mirror, ...] = ()
    outbox: "Callable[[], OutboxFigures] | None" = None

    def figures(self) -> "Mapping[str, MirrorFigures]":
        """Tell what each has done, by its name; from any thread."""
        return {mirror.name: mirror.figures() for mirror in self.sinks}


def mirrors(
    settings: Settings, helm: Helm, tell: Callable[[Fault], None], speed_mm_s: Callable[[], float | None]
) -> Mirrors:
    """Return the mirrors that the settings ask for; raises ConfigError where they cannot be set up."""
    compat = settings.compat == "crazy-train"
    found: list[Mirror] = []
    outbox = None
    if settings.mqtt.enabled:
        from edge_agent.mirror.home_assistant import Device  # noqa: PLC0415
        from edge_agent.mirror.mqtt import MqttMirror  # noqa: PLC0415

        device = Device(settings.train.id, settings.train.name, __version__, speed=settings.capture.source == "sim")
        found.append(
            MqttMirror(settings.mqtt, device, report=tell, command=helm.carry_out, compat=compat, speed_mm_s=speed_mm_s)
        )
    if settings.kafka.enabled:
        from edge_agent.mirror.kafka import KafkaMirror  # noqa: PLC0415
        from edge_agent.mirror.outbox_path import outbox_path  # noqa: PLC0415

        path = outbox_path(settings, os.environ)
        kafka = KafkaMirror(settings.kafka, train_id=settings.train.id, path=path, report=tell, compat=compat)
        found.append(kafka)
        outbox = kafka.outbox_figures
    return Mirrors(tuple(found), outbox)


def listeners(settings: Settings, helm: Helm) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Yield, by name, what listens for orders outside the mirrors: the original demo's console, over Kafka."""
    if settings.kafka.enabled and settings.compat == "crazy-train":
        from edge_agent.mirror.kafka_orders import KafkaOrders, capture_handler  # noqa: PLC0415
        from edge_agent.wire import compat  # noqa: PLC0415

        handler = capture_handler(lambda wish: helm.capture(wish.command == "start"))
        topics = {compat.CAPTURE_TOPIC: handler}
        yield "kafka-orders", KafkaOrders(settings.kafka, train_id=settings.train.id, handlers=topics).run()


async def fenced(name: str, work: Coroutine[Any, Any, None], tell: Callable[[Fault], None]) -> None:
    """Run an observer's work until cancelled; when it fails, tell so and go on without it: the train drives on."""
    try:
        await work
    except EdgeAgentError as error:
        message, remedy = error.message, error.remedy
        _log.error("observer_failed", observer=name, error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a mirror does wrong, it must not stop the train
        message, remedy = f"{type(error).__name__}: {error}", "report this, with the log"
        _log.exception("observer_failed", observer=name)
    else:
        return
    now_s = asyncio.get_running_loop().time()
    tell(Fault(f"{name}_failed", f"the {name} stopped: {message}", remedy, Severity.DEGRADED, now_s))
