"""The agent's web server: what it serves, and what feeds it.

Knows which figures of a run are told, and which settings ask for what. Knows nothing of the control path, which never
waits for it. Imported by door.py, and only where there is something to serve: it takes as long as a third of a start.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from edge_agent import __version__
from edge_agent.agent.apart import run_apart
from edge_agent.agent.crew import Crew
from edge_agent.agent.observers import Mirrors
from edge_agent.agent.page import Page
from edge_agent.commands import Desk
from edge_agent.config import Settings
from edge_agent.console.answers import application
from edge_agent.console.health import Health
from edge_agent.console.server import connections_for, serve
from edge_agent.console.status import status_routes
from edge_agent.console.watch import Watch
from edge_agent.metrics import (
    LAG_BOUNDS_S,
    Dropped,
    Histogram,
    Registry,
    TrainMetrics,
    mirror_metrics,
    observer_metrics,
    outbox_metrics,
    run_metrics,
)
from edge_agent.ports import Sink


@dataclass(frozen=True, slots=True)
class Scene:
    """What of a run the server may show; `desk` takes the commands that come by it."""

    settings: Settings
    crew: Crew
    mirrors: Mirrors
    desk: Desk

    def dropped(self) -> Dropped:
        """Count what was taken but not understood, and what the hub did not take; from any thread."""
        tally = self.crew.tally
        return Dropped(tally.dropped, tally.invalid, tally.repeated, self.crew.driver.failed_writes)


class Web:
    """Everything that is served, and the sinks that feed it.

    `sinks` have to run for it to know anything; `lag` takes how late the event loop is, in seconds.
    """

    def __init__(self, scene: Scene) -> None:
        self._routes: list[BaseRoute] = []
        self._feeds: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.sinks: list[Sink] = []
        self.lag = Histogram(LAG_BOUNDS_S)
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

        await run_apart("console", work)

    def _add_page(self, scene: Scene) -> None:
        """Add the console's routes and sinks: the one place where the page comes in."""
        page = Page(scene.settings, scene.crew, scene.mirrors, scene.desk)
        self._routes += page.routes
        self._feeds.append(page.feed)
        self.sinks.append(page.sink)

    def _add_status(self, scene: Scene) -> None:
        """Add `/metrics`, `/healthz` and `/readyz`."""
        health, figures, registry = Health(scene.crew.clock()), TrainMetrics(lambda: _facts(scene)), Registry()
        observers, mirrors = scene.crew.observers, scene.mirrors
        registry.add(figures.collect)
        registry.add(lambda: run_metrics(scene.dropped, self.lag))
        registry.add(lambda: observer_metrics(observers.dropped, observers.waiting))
        registry.add(lambda: mirror_metrics(mirrors.figures))
        outbox = mirrors.outbox
        if outbox is not None:
            registry.add(lambda: outbox_metrics(outbox))
        self._routes += status_routes(health, registry)
        self.sinks.append(Watch(health, figures))


def _facts(scene: Scene) -> dict[str, str]:
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
