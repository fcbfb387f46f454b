"""The web server on the train: page, metrics and health checks of a run, served in a thread and loop of their own.

The control path never waits for it.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from edge_agent import __version__
from edge_agent.agent.build import Components
from edge_agent.agent.observers import Mirrors
from edge_agent.config import Settings
from edge_agent.console.app import ConsoleApp, Feed, TrainFacts, thumbnail
from edge_agent.console.commands import RESULT_TIMEOUT_S
from edge_agent.console.health import HealthMonitor, HealthObserver, status_routes
from edge_agent.console.routes import application, console_routes
from edge_agent.console.schemas import Link, Links, OutboxLink
from edge_agent.console.server import connections_for, serve
from edge_agent.control.commands import Command, CommandHandler
from edge_agent.errors import FatalError
from edge_agent.events import CommandResult, Event, Frame
from edge_agent.observers.metrics import (
    DropCounts,
    MirrorFigures,
    ScrapeCollector,
    TrainMetrics,
    drop_metrics,
    lag_histogram,
    mirror_metrics,
    new_registry,
    observer_metrics,
    outbox_metrics,
)
from edge_agent.ports import EventSource, Sink
from edge_agent.runtime.queues import ThreadQueue
from edge_agent.runtime.threads import LoopThread, in_daemon_thread

SWITCH_S = 0.0005
"""How long a thread may hold the interpreter while another waits; Python's 5 ms would delay the train's loop."""

MAX_EVENTS = 1000
MAX_FRAMES = 8
_END_S = 2.0


class EventBridge:
    """Carries events from the train's loop into another one: a Sink on this side, an EventSource on the other.

    Events that do not fit into its queue are dropped and counted.
    """

    name = "console"

    def __init__(self) -> None:
        self.dropped = 0
        self._handover: ThreadQueue[Event] = ThreadQueue(self._wake, max_items=MAX_EVENTS, max_bulky=MAX_FRAMES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        """Return the number of events that wait."""
        return len(self._handover)

    async def run(self, events: EventSource) -> None:
        """Forward events until cancelled; runs in the train's loop."""
        while True:
            event = await events.get()
            if self._loop is not None and not self._handover.put(event, bulky=isinstance(event, Frame)):
                self.dropped += 1

    async def get(self) -> Event:
        """Wait for the oldest event; for one reader, in the other loop."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._handover.arm_wakeup()
            self._filled.clear()
            event = self._handover.pop()
            if event is not None:
                return event
            await self._filled.wait()

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._filled.set)


async def run_in_own_loop(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` in a thread and a loop of its own until cancelled; raises FatalError when it ends by itself."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    async def main() -> None:
        try:
            await work()
        finally:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

    thread = LoopThread(name, main, lambda: None)
    with _set_switch_interval():
        thread.start()
        try:
            await ended.wait()
            raise FatalError(f"the {name} ended by itself; see the log")
        finally:
            thread.cancel()
            await in_daemon_thread(lambda: thread.join(_END_S), f"{name}-end")


@contextlib.contextmanager
def _set_switch_interval() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


HISTORY_MB = 64
"""The memory for pictures on a train, unless the settings have another value."""


class TrainConsole:
    """The console of one train: `routes` to serve, and `feed` to run beside them in the same loop.

    `sink` runs in the train's loop and brings the events.
    """

    def __init__(self, settings: Settings, components: Components, mirrors: Mirrors, commands: CommandHandler) -> None:
        self.sink = EventBridge()
        console = settings.console
        budget_bytes = (console.history_mb or HISTORY_MB) * 1_000_000
        app = ConsoleApp(console, "train", budget_bytes=budget_bytes, make_thumbnail=thumbnail)
        facts = TrainFacts(settings.train.name, _links(mirrors), components.devices.speed_mm_s)
        self._feed = Feed(app, settings.train.id, facts, quality_percent=console.jpeg_quality)
        self.routes: list[BaseRoute] = console_routes(app, LocalCommander(commands))

    async def feed(self) -> None:
        """Feed the console until cancelled."""
        await self._feed.run(self.sink)


class LocalCommander:
    """Brings the console's commands to the train's CommandHandler."""

    def __init__(self, commands: CommandHandler) -> None:
        self._commands = commands

    async def send(self, train_id: str, command: Command) -> CommandResult | None:
        """Return what the train, which is the only one, does with a command; None where it does not answer in time."""
        try:
            async with asyncio.timeout(RESULT_TIMEOUT_S):
                return await self._commands.handle(command)
        except TimeoutError:
            return None


def _links(mirrors: Mirrors) -> Callable[[], Links]:
    """Return a function that returns the state of the mirrors and the outbox; it may be called from any thread."""

    def links() -> Links:
        found = {name: _link(figures) for name, figures in mirrors.figures().items()}
        outbox = mirrors.outbox() if mirrors.outbox is not None else None
        held = OutboxLink(sum(outbox.rows.values()), sum(outbox.stored_bytes.values())) if outbox else None
        return Links(None, found.get("mqtt"), found.get("kafka"), held)

    return links


def _link(figures: MirrorFigures) -> Link:
    state = "connected" if figures.connected else f"not connected, {figures.failures} attempts failed"
    return Link(figures.connected, state)


@dataclass(frozen=True, slots=True)
class WebContext:
    """The parts of a run that the server needs."""

    settings: Settings
    components: Components
    mirrors: Mirrors
    commands: CommandHandler

    def dropped(self) -> DropCounts:
        """Return how many frames were dropped and how many writes to the hub failed; from any thread."""
        stats = self.components.stats
        return DropCounts(stats.dropped, stats.invalid, stats.repeated, self.components.driver.failed_writes)


class WebServer:
    """Everything that is served, and the sinks that feed it.

    `sinks` are to be run in the train's loop; `lag_s` takes the lag of that loop, in seconds.
    """

    def __init__(self, context: WebContext) -> None:
        self._routes: list[BaseRoute] = []
        self._feeds: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.sinks: list[Sink] = []
        self.lag_s = lag_histogram()
        console = context.settings.console
        self._connections = connections_for(console.max_viewers)
        if console.metrics:
            self._add_status(context)
        if console.enabled:
            self._add_page(context)

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled, in a thread and loop of its own."""

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for feed in self._feeds:
                    group.create_task(feed())
                group.create_task(serve(application(self._routes), listener, self._connections))

        await run_in_own_loop("console", work)

    def _add_page(self, context: WebContext) -> None:
        """Add the console's routes and its sink."""
        page = TrainConsole(context.settings, context.components, context.mirrors, context.commands)
        self._routes += page.routes
        self._feeds.append(page.feed)
        self.sinks.append(page.sink)

    def _add_status(self, context: WebContext) -> None:
        """Add `/metrics`, `/healthz` and `/readyz`."""
        health, registry = HealthMonitor(context.components.clock()), new_registry()
        figures = TrainMetrics(registry, lambda: _facts(context))
        observers, mirrors = context.components.observers, context.mirrors
        registry.register(self.lag_s)
        registry.register(ScrapeCollector(lambda: drop_metrics(context.dropped())))
        registry.register(ScrapeCollector(lambda: observer_metrics(observers.dropped(), observers.waiting())))
        registry.register(ScrapeCollector(lambda: mirror_metrics(mirrors.figures())))
        outbox = mirrors.outbox
        if outbox is not None:
            registry.register(ScrapeCollector(lambda: outbox_metrics(outbox())))
        self._routes += status_routes(health, registry)
        self.sinks.append(HealthObserver(health, figures))


def _facts(context: WebContext) -> dict[str, str]:
    """Return what `edge_agent_info` shows; read at each scrape, since the detector may be replaced meanwhile."""
    info = context.components.worker.info
    return {
        "version": __version__,
        "train": context.settings.train.id,
        "name": context.settings.train.name,
        "source": _source(context.settings.capture.source),
        "backend": info.backend,
        "model": info.model,
        "model_sha256": info.sha256[:12],
    }


def _source(source: str) -> str:
    """Return the kind of a source, never its address, which may contain a password."""
    if source == "sim":
        return source
    if "://" in source:
        return "stream"
    return "device" if source.isdigit() or source.startswith("/dev/") else "files"
