"""Serves an ASGI application with uvicorn inside an event loop that belongs to the caller."""

import asyncio
import contextlib
import errno
import functools
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
"""Requests at once; further ones get a 503, so that a crowd of browsers cannot take over the event loop."""

ACCEPTED_AT_ONCE = 64
"""asyncio accepts so many connections before it reports the first one, and so before the limit of sockets can hold."""

SEND_BYTES = 128 * 1024
"""Send buffer of a connection (Linux doubles it). By default the kernel buffers several MB, ten seconds of pictures,
which would all be old when they arrive."""

READ_ONLY = "no token is set: the page can neither arm nor stop a train"
READ_ONLY_REMEDY = "set console.token_file to a file that holds a token; docs/console.md says how to make one"

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


def page_address(settings: ConsoleSettings) -> str:
    """Return the page's address for a browser; where it listens on all addresses, the one that leads to the network."""
    host = settings.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - not bound here
        remote, family = ("192.0.2.1", socket.AF_INET) if host == "0.0.0.0" else ("2001:db8::1", socket.AF_INET6)  # noqa: S104
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((remote, 9))  # RFC 5737 and 3849: nobody's address, and nothing is sent
                host = probe.getsockname()[0]
        except OSError:  # no network
            host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/"


def connections_for(viewers: int) -> int:
    """Return how many connections so many browsers may open; each opens several while it loads the page."""
    return max(MAX_CONNECTIONS, 4 * viewers + 100)


async def serve(app: "ASGIApp", sock: socket.socket, connections: int = MAX_CONNECTIONS) -> None:
    """Serve on an open port until cancelled; then close all connections within a second.

    More than `connections` requests at once are refused with a 503, but for health checks and commands. Sockets are
    limited by `max_sockets`.
    """
    # Loaded when the train drives, see agent/http.py.
    import uvicorn  # noqa: PLC0415

    from edge_agent.console import connections as limits  # noqa: PLC0415

    sockets = limits.max_sockets(connections)
    limiter = limits.ConnectionLimiter(sockets, asyncio.get_running_loop().time)
    http: Any = functools.partial(limits.HttpProtocol, limiter=limiter)
    config = uvicorn.Config(
        limits.RequestLimit(app, min(connections, max(sockets - limits.RESERVED, sockets // 2))),
        log_config=None,
        access_log=False,
        lifespan="off",
        http=http,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        # JPEGs do not get any smaller, and each viewer would cost a compressor.
        ws_per_message_deflate=False,
        proxy_headers=False,
        server_header=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.server_state.connections = limiter.open
    # uvicorn would replace the signal handlers, which are the agent's. There is no setting for that.
    no_signals: Any = contextlib.nullcontext
    server.capture_signals = no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[sock]), name="http-server")
    limiting = asyncio.create_task(limiter.run(sock), name="connection-limits")
    try:
        # Shielded: cancelled inside, uvicorn would leave its connections open.
        await asyncio.shield(task)
    finally:
        limiting.cancel()
        server.should_exit = server.force_exit = True
        await asyncio.wait({task}, timeout=_SHUTDOWN_S)
        limiter.abort_all()
        task.cancel()
        sock.close()
