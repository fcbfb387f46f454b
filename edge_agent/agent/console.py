"""The console on the train: what its page shows of a run, and what feeds it.

Knows which parts of a run the page needs. Knows nothing of the control path, which never waits for it.
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
from edge_agent.console.commands import PATIENCE_S
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
"""How long a thread may hold the interpreter while another waits; Python's own 5 ms would be the train's delay."""

MAX_EVENTS = 1000
MAX_FRAMES = 8
_END_S = 2.0


class EventBridge:
    """Carries events from the train's loop into another one: a Sink on this side, an EventSource on the other.

    What finds no room is lost and counted: the console falls behind, never the train.
    """

    name = "console"

    def __init__(self) -> None:
        self.dropped = 0
        self._handover: ThreadQueue[Event] = ThreadQueue(self._wake, max_items=MAX_EVENTS, max_bulky=MAX_FRAMES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        """Count the events that wait."""
        return len(self._handover)

    async def run(self, events: EventSource) -> None:
        """Carry until cancelled. In the train's loop."""
        while True:
            event = await events.get()
            if self._loop is not None and not self._handover.put(event, bulky=isinstance(event, Frame)):
                self.dropped += 1

    async def get(self) -> Event:
        """Wait for the oldest event. In the other loop, by one reader."""
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
    """Run `work` in a thread and a loop of its own until cancelled; raises FatalError where it ends by itself."""
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
"""What pictures may take on a train where the settings do not say."""


class TrainConsole:
    """The console of one train: `routes` to serve, `feed` to run beside them in the same loop.

    `sink` carries the train's events there, from the train's loop.
    """

    def __init__(self, settings: Settings, crew: Components, mirrors: Mirrors, commands: CommandHandler) -> None:
        self.sink = EventBridge()
        console = settings.console
        budget_bytes = (console.history_mb or HISTORY_MB) * 1_000_000
        app = ConsoleApp(console, "train", budget_bytes=budget_bytes, make_thumbnail=thumbnail)
        facts = TrainFacts(settings.train.name, _links(mirrors), crew.parts.speed_mm_s)
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
            async with asyncio.timeout(PATIENCE_S):
                return await self._commands.handle(command)
        except TimeoutError:
            return None


def _links(mirrors: Mirrors) -> Callable[[], Links]:
    """Tell how the mirrors and the outbox are; from any thread."""

    def links() -> Links:
        found = {name: _link(figures) for name, figures in mirrors.figures().items()}
        outbox = mirrors.outbox() if mirrors.outbox is not None else None
        held = OutboxLink(sum(outbox.rows.values()), sum(outbox.stored_bytes.values())) if outbox else None
        return Links(None, found.get("mqtt"), found.get("kafka"), held)

    return links


def _link(figures: MirrorFigures) -> Link:
    words = "connected" if figures.connected else f"not connected, {figures.failures} attempts failed"
    return Link(figures.connected, words)


@dataclass(frozen=True, slots=True)
class WebContext:
    """What of a run the server may show; `commands` handles those that come by it."""

    settings: Settings
    crew: Components
    mirrors: Mirrors
    commands: CommandHandler

    def dropped(self) -> DropCounts:
        """Count what was taken but not understood, and what the hub did not take; from any thread."""
        stats = self.crew.stats
        return DropCounts(stats.dropped, stats.invalid, stats.repeated, self.crew.driver.failed_writes)


class WebServer:
    """Everything that is served, and the sinks that feed it.

    `sinks` have to run for it to know anything; `lag_s` takes how late the event loop is, in seconds.
    """

    def __init__(self, scene: WebContext) -> None:
        self._routes: list[BaseRoute] = []
        self._feeds: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.sinks: list[Sink] = []
        self.lag_s = lag_histogram()
        console = scene.settings.console
        self._connections = connections_for(console.max_viewers)
        if console.metrics:
            self._add_status(scene)
        if console.enabled:
            self._add_page(scene)

    async def serve(self, door: socket.socket) -> None:
        """Serve until cancelled, in a thread of its own: the train's loop is the train's."""

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for feed in self._feeds:
                    group.create_task(feed())
                group.create_task(serve(application(self._routes), door, self._connections))

        await run_in_own_loop("console", work)

    def _add_page(self, scene: WebContext) -> None:
        """Add the console's routes and sinks: the one place where the page comes in."""
        page = TrainConsole(scene.settings, scene.crew, scene.mirrors, scene.commands)
        self._routes += page.routes
        self._feeds.append(page.feed)
        self.sinks.append(page.sink)

    def _add_status(self, scene: WebContext) -> None:
        """Add `/metrics`, `/healthz` and `/readyz`."""
        health, registry = HealthMonitor(scene.crew.clock()), new_registry()
        figures = TrainMetrics(registry, lambda: _facts(scene))
        observers, mirrors = scene.crew.observers, scene.mirrors
        registry.register(self.lag_s)
        registry.register(ScrapeCollector(lambda: drop_metrics(scene.dropped())))
        registry.register(ScrapeCollector(lambda: observer_metrics(observers.dropped(), observers.waiting())))
        registry.register(ScrapeCollector(lambda: mirror_metrics(mirrors.figures())))
        outbox = mirrors.outbox
        if outbox is not None:
            registry.register(ScrapeCollector(lambda: outbox_metrics(outbox())))
        self._routes += status_routes(health, registry)
        self.sinks.append(HealthObserver(health, figures))


def _facts(scene: WebContext) -> dict[str, str]:
    """Return what runs now: a detector may be swapped while the train drives."""
    info = scene.crew.worker.info
    return {
        "version": __version__,
        "train": scene.settings.train.id,
        "name": scene.settings.train.name,
        "source": _source(scene.settings.capture.source),
        "backend": info.backend,
        "model": info.model,
        "model_sha256": info.sha256[:12],
    }


def _source(source: str) -> str:
    """Return the kind of a source: an address may hold a password."""
    if source == "sim":
        return source
    if "://" in source:
        return "stream"
    return "device" if source.isdigit() or source.startswith("/dev/") else "files"
