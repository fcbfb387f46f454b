"""The console of a fleet from its settings to its end: listener, commander and web server in one loop.

Knows how the parts fit together. Knows nothing of what they do inside.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from edge_agent.config import Settings, read_secret
from edge_agent.console.app import ConsoleApp
from edge_agent.console.feed import thumbnail
from edge_agent.console.fleet.commander import FleetCommander
from edge_agent.console.fleet.listener import STARTING, EventMessage, FleetListener
from edge_agent.console.responses import NOT_STORED, application
from edge_agent.console.routes import console_routes
from edge_agent.console.schemas import Trouble
from edge_agent.console.server import connections_for, serve
from edge_agent.observers.cloudevents import MalformedMessageError, kafka
from edge_agent.observers.kafka.client import client_arguments
from edge_agent.observers.metrics import ScrapeCollector, new_registry, render
from edge_agent.observers.metrics.collectors import Values, counter, gauge

HISTORY_MB = 512
"""What pictures may take where the settings do not say."""


class FleetConsole:
    """One console of many trains.

    Args:
        settings: `kafka` says where the trains' events are, `console` how they are shown.
        history_s: begin so many seconds back.
    """

    def __init__(self, settings: Settings, *, history_s: float = 0.0) -> None:
        console = settings.console
        budget_bytes = (console.history_mb or HISTORY_MB) * 1_000_000
        self.site = ConsoleApp(console, "fleet", budget_bytes=budget_bytes, small=thumbnail)
        self.site.trouble = STARTING
        self.heard = 0
        self.foreign = 0
        self._registry = new_registry()
        self._registry.register(ScrapeCollector(self._counts))
        self._commander = FleetCommander(settings.kafka)
        self._listener = FleetListener(settings.kafka, history_s, self._hear, self._tell)

    async def run(self, door: socket.socket) -> None:
        """Serve until cancelled."""
        routes = [*console_routes(self.site, self._commander), *self._health_routes()]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listener.run())
            group.create_task(self._commander.run())
            group.create_task(self.site.run())
            viewers = self.site.settings.max_viewers
            group.create_task(serve(application(routes), door, connections_for(viewers)))

    def _hear(self, messages: Sequence[EventMessage]) -> None:
        self.heard += len(messages)
        for message in messages:
            try:
                envelope = kafka.read(message.headers, message.value)
            except MalformedMessageError:
                self.foreign += 1
                continue
            changes = self.site.store.fold(envelope, self.site.now_ms())
            self._commander.notice(changes)
            self.site.publish(changes)

    def _tell(self, trouble: Trouble | None) -> None:
        self.site.tell_trouble(trouble)

    def _health_routes(self) -> list[BaseRoute]:
        async def healthz(request: Request) -> Response:
            return JSONResponse({"ok": True, "troubles": []}, headers=NOT_STORED)

        async def readyz(request: Request) -> Response:
            trouble = self.site.trouble
            body = {"ok": trouble is None, "troubles": [trouble.error] if trouble else []}
            return JSONResponse(body, 503 if trouble else 200, headers=NOT_STORED)

        async def metrics(request: Request) -> Response:
            body, content_type = render(self._registry, request.headers.get("accept", ""))
            return Response(body, headers={"Content-Type": content_type, **NOT_STORED})

        return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]

    def _counts(self) -> Iterator[Metric]:
        store, live = self.site.store, self.site.live
        ignored: Values = {("foreign",): self.foreign, ("unreadable",): store.unreadable, ("refused",): store.refused}
        yield gauge("console_connected", "1 while Kafka is heard.", {(): float(self.site.trouble is None)})
        yield gauge("console_trains", "Trains on the list.", {(): len(store.trains(self.site.now_ms()))})
        yield gauge("console_viewers", "Pages and streams that look.", {(): len(live.guests) + len(live.taps)})
        yield gauge("console_picture_bytes", "Pictures that are kept.", {(): store.pictures.bytes})
        yield counter("console_messages_heard", "Messages from Kafka.", {(): self.heard})
        yield counter("console_messages_ignored", "Messages that were no event of a train.", ignored, ["reason"])
        yield counter("console_messages_skipped", "Messages passed over to catch up.", {(): self._listener.skipped})


async def run(settings: Settings, door: socket.socket, *, history_s: float = 0.0) -> None:
    """Serve the console of a fleet at an open port until SIGINT or SIGTERM.

    Raises ConfigError for files of the settings that cannot be used: nobody would be there to mend them later.
    """
    console, brokers = settings.console, settings.kafka
    client_arguments(brokers, "edge-agent-console")
    read_secret(brokers.command_token, brokers.command_token_file, "kafka.command_token_file")
    read_secret(console.token, console.token_file, "console.token_file")
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    task = asyncio.create_task(FleetConsole(settings, history_s=history_s).run(door))
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        waiting.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
