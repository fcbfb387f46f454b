"""Observers of a run: which ones the settings ask for, and a fence around each, so that a fault of theirs is only told.

Knows the mirrors and how commands that they bring reach the helm. Knows nothing of the control path, which never waits
for any of them. A mirror's libraries are imported only where it is asked for.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog

from edge_agent import __version__
from edge_agent.agent.helm import Helm
from edge_agent.config import Settings
from edge_agent.errors import EdgeAgentError
from edge_agent.events import Fault, Severity
from edge_agent.ports import EventSource, Sink

_log = structlog.get_logger(__name__)


def mirrors(
    settings: Settings, helm: Helm, tell: Callable[[Fault], None], speed_mm_s: Callable[[], float | None]
) -> Iterator[Sink]:
    """Yield the mirrors that the settings ask for; raises ConfigError where they cannot be set up."""
    compat = settings.compat == "crazy-train"
    if settings.mqtt.enabled:
        from edge_agent.mirror.home_assistant import Device  # noqa: PLC0415
        from edge_agent.mirror.mqtt import MqttMirror  # noqa: PLC0415

        device = Device(settings.train.id, settings.train.name, __version__, speed=settings.capture.source == "sim")
        yield MqttMirror(
            settings.mqtt, device, report=tell, command=helm.carry_out, compat=compat, speed_mm_s=speed_mm_s
        )
    if settings.kafka.enabled:
        from edge_agent.mirror.kafka import KafkaMirror  # noqa: PLC0415
        from edge_agent.mirror.outbox_path import outbox_path  # noqa: PLC0415

        path = outbox_path(settings, os.environ)
        yield KafkaMirror(settings.kafka, train_id=settings.train.id, path=path, report=tell, compat=compat)


def listeners(settings: Settings, helm: Helm) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Yield, by name, what listens for orders outside the mirrors: the original demo's console, over Kafka."""
    if settings.kafka.enabled and settings.compat == "crazy-train":
        from edge_agent.mirror.kafka_orders import KafkaOrders, capture_handler  # noqa: PLC0415
        from edge_agent.wire import compat  # noqa: PLC0415

        handler = capture_handler(lambda wish: helm.capture(wish.command == "start"))
        topics = {compat.CAPTURE_TOPIC: handler}
        yield "kafka-orders", KafkaOrders(settings.kafka, train_id=settings.train.id, handlers=topics).run()


async def fenced(sink: Sink, events: EventSource, tell: Callable[[Fault], None]) -> None:
    """Run an observer until cancelled; when it fails, tell so and go on without it: the train drives on."""
    try:
        await sink.run(events)
    except EdgeAgentError as error:
        message, remedy = error.message, error.remedy
        _log.error("observer_failed", observer=sink.name, error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a mirror does wrong, it must not stop the train
        message, remedy = f"{type(error).__name__}: {error}", "report this, with the log"
        _log.exception("observer_failed", observer=sink.name)
    else:
        return
    now_s = asyncio.get_running_loop().time()
    tell(Fault(f"{sink.name}_failed", f"the {sink.name} stopped: {message}", remedy, Severity.DEGRADED, now_s))
