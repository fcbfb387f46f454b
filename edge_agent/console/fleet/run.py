"""Builds and runs the console of a fleet: listener, commander and web server."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence

import structlog
from prometheus_client.core import Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from edge_agent.config import Settings, read_secret
from edge_agent.console.app import ConsoleApp, thumbnail
from edge_agent.console.fleet.commander import FleetCommander
from edge_agent.console.fleet.listener import STARTING, EventMessage, FleetListener
from edge_agent.console.responses import NOT_STORED
from edge_agent.console.routes import application, console_routes
from edge_agent.console.server import connections_for, serve
from edge_agent.observers.cloudevents import MalformedMessageError, kafka
from edge_agent.observers.kafka.client import client_arguments
from edge_agent.observers.metrics import ScrapeCollector, new_registry, render
from edge_agent.observers.metrics.collectors import Values, counter, gauge

_log = structlog.get_logger(__name__)

HISTORY_MB = 512
"""Default memory budget for pictures."""


class FleetConsole:
    """One console of many trains.

    Args:
        settings: `kafka` and `console` are used.
        history_s: start so many seconds in the past.
    """

    def __init__(self, settings: Settings, *, history_s: float = 0.0) -> None:
        console = settings.console
        budget_bytes = (console.history_mb or HISTORY_MB) * 1_000_000
        self.app = ConsoleApp(console, "fleet", budget_bytes=budget_bytes, make_thumbnail=thumbnail)
        self.app.trouble = STARTING
        self.received = 0
        self.foreign = 0
        self._registry = new_registry()
        self._registry.register(ScrapeCollector(self._collect))
        self._commander = FleetCommander(settings.kafka)
        self._listener = FleetListener(settings.kafka, history_s, self._receive, self.app.publish_trouble)

    async def run(self, sock: socket.socket) -> None:
        """Serve on an open port until cancelled."""
        routes = [*console_routes(self.app, self._commander), *self._health_routes()]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listener.run())
            group.create_task(self._commander.run())
            group.create_task(self.app.run())
            viewers = self.app.settings.max_viewers
            group.create_task(serve(application(routes), sock, connections_for(viewers)))

    def _receive(self, messages: Sequence[EventMessage]) -> None:
        self.received += len(messages)
        for message in messages:
            try:
                self._fold(message)
            except MalformedMessageError:
                self.foreign += 1
            except Exception as error:  # noqa: BLE001 - nothing in one message may cost those behind it
                self.app.store.unreadable += 1
                _log.warning("console_unreadable", reason=type(error).__name__)

    def _fold(self, message: EventMessage) -> None:
        envelope = kafka.read(message.headers, message.value)
        changes = self.app.store.fold(envelope, self.app.now_ms())
        self._commander.match_results(changes)
        self.app.publish(changes)

    def _health_routes(self) -> list[BaseRoute]:
        async def healthz(request: Request) -> Response:
            return JSONResponse({"ok": True, "troubles": []}, headers=NOT_STORED)

        async def readyz(request: Request) -> Response:
            trouble = self.app.trouble
            body = {"ok": trouble is None, "troubles": [trouble.error] if trouble else []}
            return JSONResponse(body, 503 if trouble else 200, headers=NOT_STORED)

        async def metrics(request: Request) -> Response:
            body, content_type = render(self._registry, request.headers.get("accept", ""))
            return Response(body, headers={"Content-Type": content_type, **NOT_STORED})

        return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]

    def _collect(self) -> Iterator[Metric]:
        store, broadcaster = self.app.store, self.app.broadcaster
        viewers = len(broadcaster.subscribers) + len(broadcaster.streams)
        unreadable = store.unreadable + self._listener.undecodable
        ignored: Values = {("foreign",): self.foreign, ("unreadable",): unreadable, ("refused",): store.refused}
        yield gauge("console_connected", "1 while connected to Kafka.", {(): float(self.app.trouble is None)})
        yield gauge("console_trains", "Known trains.", {(): len(store.trains(self.app.now_ms()))})
        yield gauge("console_viewers", "Connected pages and streams.", {(): viewers})
        yield gauge("console_picture_bytes", "Memory used by stored pictures.", {(): store.pictures.bytes})
        yield counter("console_messages_heard", "Messages received from Kafka.", {(): self.received})
        yield counter("console_messages_ignored", "Messages that are not events of a train.", ignored, ["reason"])
        yield counter("console_messages_skipped", "Messages skipped to catch up.", {(): self._listener.skipped})


async def run(
    settings: Settings,
    sock: socket.socket,
    *,
    history_s: float = 0.0,
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve the console of a fleet on an open port until SIGINT or SIGTERM; `on_listening` is called before.

    Raises ConfigError for certificate and token files that cannot be read.
    """
    # Read once now, while somebody is there to correct the settings; from then on, failures are only reported.
    console, kafka_settings = settings.console, settings.kafka
    client_arguments(kafka_settings, "edge-agent-console")
    read_secret(kafka_settings.command_token, kafka_settings.command_token_file, "kafka.command_token_file")
    read_secret(console.token, console.token_file, "console.token_file")
    on_listening()
    loop, stop_requested = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_requested.set)
    task = asyncio.create_task(FleetConsole(settings, history_s=history_s).run(sock))
    waiting = asyncio.create_task(stop_requested.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        waiting.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
