"""Serves an ASGI application in the train's event loop, without taking anything from it.

Knows uvicorn. Knows nothing of what is served. uvicorn would replace the process's signal handlers and end the process
where it cannot listen; both are the agent's own business.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from edge_agent.config import ConsoleSettings
from edge_agent.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# What uvicorn has to say (scanners that speak no HTTP, mostly) is no concern of who runs a train.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())

MAX_MESSAGE_BYTES = 4096
"""What a page has to say is short."""

MAX_CONNECTIONS = 160
"""More get a 503 at once: a stampede of browsers must not take the loop from the train."""

SEND_BYTES = 128 * 1024
"""What the kernel may hold for one connection (Linux doubles it): what waits there is old when it arrives. By itself
the kernel would hold some MB, ten seconds of pictures."""

_END_S = 1.0


def listen(settings: ConsoleSettings) -> socket.socket:
    """Open the port; raises ConfigError where that is not possible."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    where = f"{settings.host}:{settings.port}"
    try:
        door = socket.create_server((settings.host, settings.port), family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "end the program that listens there, or set console.port to another one"
            raise ConfigError(f"another program listens at {where}", remedy=remedy) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ConfigError(f"may not listen at {where}", remedy="set console.port to 1024 or more") from None
        # Python adds the address to the words of the system; a number below zero is a name server's.
        words = os.strerror(error.errno) if error.errno and error.errno > 0 else "the name is not known"
        raise ConfigError(f"cannot listen at {where}: {words}", remedy="set console.host to our own") from None
    door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    return door


def connections_for(viewers: int) -> int:
    """Return how many connections so many browsers may open: each a few at once when it loads the page."""
    return max(MAX_CONNECTIONS, 4 * viewers + 100)


async def serve(app: "ASGIApp", door: socket.socket, connections: int = MAX_CONNECTIONS) -> None:
    """Serve at an open port until cancelled; then end within a second, whoever is still connected.

    More than `connections` at once are turned away with a 503.
    """
    import uvicorn  # noqa: PLC0415 - a run opens its port first, and loads this when the train drives

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # pictures do not get smaller, and 50 viewers would each cost a compressor
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    keep_signals: Any = contextlib.nullcontext
    server.capture_signals = keep_signals  # type: ignore[method-assign]  # there is no setting for it
    task = asyncio.create_task(server.serve(sockets=[door]), name="http-server")
    try:
        await asyncio.shield(task)
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait({task}, timeout=_END_S)
        task.cancel()
        door.close()
