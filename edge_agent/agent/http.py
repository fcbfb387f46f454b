"""The web server's port, which is opened first, and its code, which is loaded when the train drives.

Until then clients wait in the socket's backlog, for half a second at most, and events in the observers' queues.
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

_log = structlog.get_logger(__name__)

LATEST_S = 0.5
"""The code is loaded after this time at the latest: the page may be needed to arm the train."""

_CHECK_S = 0.02


async def load_when_driving(components: Components, module: str) -> None:
    """Load a module in a thread as soon as the train drives, or after LATEST_S; importing it is free afterwards."""
    latest_s = components.clock() + LATEST_S
    async for _ in pace(_CHECK_S, components.clock):
        if components.control.permit.power_percent is not None or components.clock() >= latest_s:
            break
    await asyncio.to_thread(_load, module)


def _load(module: str) -> None:
    importlib.import_module(module)
    gc.freeze()  # modules stay: the garbage collector need not visit them


class ListenSocket:
    """The server's port, open or not.

    Args:
        settings: with host and port.
        required: raise a ConfigError where the port cannot be opened. Otherwise the error is kept in `trouble`, and the
            train runs without the server.
    """

    def __init__(self, settings: ConsoleSettings, *, required: bool) -> None:
        self.socket: socket.socket | None = None
        self.trouble: ConfigError | None = None
        try:
            self.socket = listen(settings)
        except ConfigError as error:
            if required:
                raise
            self.trouble = error
            _log.warning("no_console", reason=error.message, remedy=error.remedy)

    def report(self, faults: FaultReporter) -> None:
        """Report a fault where the port could not be opened."""
        if self.trouble is not None:
            message = f"{self.trouble.message}: no page, metrics or health checks"
            faults.report(CONSOLE_PORT_TAKEN, message, self.trouble.remedy)

    def close(self) -> None:
        """Close the port."""
        if self.socket is not None:
            self.socket.close()


class LazyServer:
    """Loads the web server's code late, feeds it with events and serves it.

    To be made before the train's first event: it subscribes to the events at once.
    """

    def __init__(self, settings: Settings, components: Components, mirrors: Mirrors, commands: CommandHandler) -> None:
        self._settings, self._components, self._mirrors, self._commands = settings, components, mirrors, commands
        console = settings.console
        names = (*(["metrics"] if console.metrics else []), *(["console"] if console.enabled else []))
        self._events: dict[str, Subscription[Event]] = {
            name: components.observers.subscribe(name, QUEUE_SIZE) for name in names
        }
        self._add_lag: Callable[[float], None] = lambda lag_s: None

    def observe_lag(self, lag_s: float) -> None:
        """Add a lag of the event loop, in seconds, to the metrics."""
        self._add_lag(lag_s)

    async def run(self, listener: socket.socket) -> None:
        """Serve until cancelled."""
        await load_when_driving(self._components, "edge_agent.agent.console")
        from edge_agent.agent.console import WebContext, WebServer  # noqa: PLC0415 - loaded just now

        web = WebServer(WebContext(self._settings, self._components, self._mirrors, self._commands))
        self._add_lag = web.lag_s.observe
        work = [(sink.name, sink.run(self._events[sink.name])) for sink in web.sinks]
        work.append(("console", web.serve(listener)))
        async with asyncio.TaskGroup() as group:
            for name, coroutine in work:
                group.create_task(isolated(name, coroutine, self._components.faults))
