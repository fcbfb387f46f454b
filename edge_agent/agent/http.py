"""The web server's port, which is opened first, and its code, which is loaded when the train drives.

Knows what happens where the port is taken. Knows nothing of what is served. Whoever calls meanwhile waits in the port's
queue, for half a second at most; what happens on the train meanwhile waits in the observers' queues.
"""

import asyncio
import gc
import importlib
import socket
from collections.abc import Callable

import structlog

from edge_agent.agent.build import Components
from edge_agent.agent.observers import QUEUE_SIZE, Mirrors, isolated
from edge_agent.config import ConsoleSettings, Settings
from edge_agent.console.server import listen
from edge_agent.control.commands import CommandHandler
from edge_agent.errors import ConfigError
from edge_agent.events import Event
from edge_agent.faults import CONSOLE_PORT_TAKEN, FaultReporter
from edge_agent.runtime.queues import Subscription, pace

LATEST_S = 0.5
"""The code is loaded after this time at the latest: somebody may have to arm the train by the page."""

_LOOK_S = 0.02


async def load_when_driving(crew: Components, module: str) -> None:
    """Load a module as soon as the train drives, or after half a second; then it may be imported at no cost."""
    latest_s = crew.clock() + LATEST_S
    async for _ in pace(_LOOK_S, crew.clock):
        if crew.control.permit.power_percent is not None or crew.clock() >= latest_s:
            break
    await asyncio.to_thread(_load, module)


def _load(module: str) -> None:
    """Load in a thread, for the loop is the train's. What is loaded stays: the collector may pass it by."""
    importlib.import_module(module)
    gc.freeze()


_log = structlog.get_logger(__name__)


class ListenSocket:
    """The server's port, open or not.

    Args:
        settings: `host` and `port` say where.
        asked: somebody named this port: where it cannot be had, that is a ConfigError. Otherwise it is `trouble`, and
            the train runs without the server.
    """

    def __init__(self, settings: ConsoleSettings, *, asked: bool) -> None:
        self.socket: socket.socket | None = None
        self.trouble: ConfigError | None = None
        try:
            self.socket = listen(settings)
        except ConfigError as error:
            if asked:
                raise
            self.trouble = error
            _log.warning("no_console", reason=error.message, remedy=error.remedy)

    def report(self, faults: FaultReporter) -> None:
        """Report where the port is not ours."""
        if self.trouble is not None:
            message = f"{self.trouble.message}: no page, metrics or health checks"
            faults.report(CONSOLE_PORT_TAKEN, message, self.trouble.remedy)

    def close(self) -> None:
        """Close the port."""
        if self.socket is not None:
            self.socket.close()


class LazyServer:
    """Lets visitors in: loads what is served, has it fed and serves it.

    Make it before the train's first event: from then on it keeps what the page and the figures are to know.
    """

    def __init__(self, settings: Settings, crew: Components, mirrors: Mirrors, commands: CommandHandler) -> None:
        self._settings, self._crew, self._mirrors, self._commands = settings, crew, mirrors, commands
        console = settings.console
        names = (*(["metrics"] if console.metrics else []), *(["console"] if console.enabled else []))
        self._events: dict[str, Subscription[Event]] = {
            name: crew.observers.subscribe(name, QUEUE_SIZE) for name in names
        }
        self._add_lag: Callable[[float], None] = lambda lag_s: None

    def lag(self, lag_s: float) -> None:
        """Count how late the event loop is, in seconds."""
        self._add_lag(lag_s)

    async def run(self, door: socket.socket) -> None:
        """Serve until cancelled."""
        await load_when_driving(self._crew, "edge_agent.agent.console")
        from edge_agent.agent.console import WebContext, WebServer  # noqa: PLC0415 - loaded just now

        web = WebServer(WebContext(self._settings, self._crew, self._mirrors, self._commands))
        self._add_lag = web.lag_s.observe
        work = [(sink.name, sink.run(self._events[sink.name])) for sink in web.sinks]
        work.append(("console", web.serve(door)))
        async with asyncio.TaskGroup() as group:
            for name, what in work:
                group.create_task(isolated(name, what, self._crew.faults))
