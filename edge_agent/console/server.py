"""Serves an ASGI application with uvicorn inside an event loop that belongs to the caller."""

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

# uvicorn mostly logs malformed requests of port scanners, which no operator of a train needs to see.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())

MAX_MESSAGE_BYTES = 4096
"""Maximum size of a WebSocket message from a page."""

MAX_CONNECTIONS = 160
"""Further connections get a 503 at once, so that a crowd of browsers cannot take over the event loop."""

SEND_BYTES = 128 * 1024
"""Send buffer of a connection (Linux doubles it). By default the kernel buffers several MB, ten seconds of pictures,
which would all be old when they arrive."""

_SHUTDOWN_S = 1.0


def listen(settings: ConsoleSettings) -> socket.socket:
    """Open the port; raises ConfigError if that is not possible."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    where = f"{settings.host}:{settings.port}"
    try:
        sock = socket.create_server((settings.host, settings.port), family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "end that program, or set console.port to another port"
            raise ConfigError(f"another program listens on {where}", remedy=remedy) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ConfigError(
                f"no permission to listen on {where}", remedy="set console.port to 1024 or more"
            ) from None
        # Not str(error): Python adds the address to it. Negative numbers are errors of the name resolution.
        problem = os.strerror(error.errno) if error.errno and error.errno > 0 else "unknown host name"
        remedy = "set console.host to an address of this machine"
        raise ConfigError(f"cannot listen on {where}: {problem}", remedy=remedy) from None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    return sock


def connections_for(viewers: int) -> int:
    """Return how many connections so many browsers may open; each opens several while it loads the page."""
    return max(MAX_CONNECTIONS, 4 * viewers + 100)


async def serve(app: "ASGIApp", sock: socket.socket, connections: int = MAX_CONNECTIONS) -> None:
    """Serve on an open port until cancelled; then close all connections within a second.

    More than `connections` at once are refused with a 503.
    """
    import uvicorn  # noqa: PLC0415 - loaded when the train drives, see agent/http.py

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        # JPEGs do not get any smaller, and each viewer would cost a compressor.
        ws_per_message_deflate=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    # uvicorn would replace the signal handlers, which are the agent's. There is no setting for that.
    no_signals: Any = contextlib.nullcontext
    server.capture_signals = no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[sock]), name="http-server")
    try:
        # Shielded: cancelled inside, uvicorn would leave its connections open.
        await asyncio.shield(task)
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait({task}, timeout=_SHUTDOWN_S)
        task.cancel()
        sock.close()
