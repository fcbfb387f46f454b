"""Limits of the web server's connections: time to send a request, time to take a response, and their number.

uvicorn bounds none of these: a connection that sends nothing, or takes nothing of what is sent to it, stays for as long
as TCP keeps it, which may be a quarter of an hour. Runs in the server's loop; times are in seconds of that loop.
"""

import resource
import socket
import struct
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_agent.runtime.queues import pace

HEADERS_S = 5.0
"""Time for the request line and the headers, from the connection or the last response on."""

STALL_S = 10.0
"""A client that takes nothing of what waits for it for this long is considered gone."""

CLOSING_S = 2.0
"""The same where we have closed the connection, and for the other side's part of a WebSocket's closing handshake."""

SWEEP_S = 0.5

BACKLOG = 512
"""Connections that the kernel keeps until they are accepted; what does not fit tries again after a second."""

RESERVED = 64
"""Sockets beyond those for ordinary requests, for health checks and commands."""

_HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})

# struct tcp_info of linux/tcp.h: tcpi_unacked, tcpi_bytes_acked and tcpi_notsent_bytes.
_UNACKED, _BYTES_ACKED, _NOT_SENT, _TCP_INFO_BYTES = (24, "I"), (120, "Q"), (144, "I"), 148


def max_sockets(connections: int) -> int:
    """Return how many sockets may be open for `connections` ordinary ones: at most half of the process's descriptors.

    The other half is for what the train needs: its hub, its camera, its files.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft // 2)


class RequestLimit:
    """ASGI middleware that answers 503 to ordinary requests beyond `limit` at once; not to health checks and commands.

    WebSockets have a limit of their own (`console.max_viewers`).
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] in _HEALTH or _is_command(scope):
            await self._app(scope, receive, send)
            return
        self._active += 1
        try:
            app: Any = self._app if self._active <= self._limit else service_unavailable
            await app(scope, receive, send)
        finally:
            self._active -= 1


def _is_command(scope: Scope) -> bool:
    return scope["method"] == "POST" and bool(scope["path"].endswith("/commands"))


class _Watch:
    """What was observed of a connection, and since when."""

    def __init__(self, now_s: float) -> None:
        self.cycle: object = None
        self.asked_s = now_s  # since when its next request is awaited
        self.acked = 0
        self.moved_s = now_s  # when it last took something, or had nothing to take
        self.closing_s: float | None = None


class ConnectionLimiter:
    """Aborts connections that only hold a socket.

    `open` are the protocols of all open connections, which uvicorn adds and removes. Beyond `limit` the one that has
    been silent longest goes, or else the one that has taken nothing for longest; never the newest, which may be a stop.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.open: set[Any] = set()
        self._limit = limit
        self._clock = clock
        self._watched: dict[Any, _Watch] = {}  # by transport, which outlives an upgrade to a WebSocket

    async def run(self, listener: socket.socket) -> None:
        """Sweep periodically until cancelled."""
        async for tick in pace(SWEEP_S):
            if tick.index == 1:
                listener.listen(BACKLOG)  # asyncio has set it to what it accepts at once
            self.sweep()

    def admit(self, transport: Any) -> None:
        """Add a new connection, and abort one where there are too many."""
        now_s = self._clock()
        self._watched[transport] = _Watch(now_s)
        open_ones = [protocol for protocol in self.open if not protocol.transport.is_closing()]
        if len(open_ones) > self._limit:
            others = [self._watch(protocol) for protocol in open_ones if protocol.transport is not transport]
            silent = [(watch.asked_s, other) for other, watch in others if _awaits_request(other.get_protocol())]
            stalled = [(watch.moved_s, other) for other, watch in others]
            min(silent or stalled, key=lambda each: each[0])[1].abort()

    def sweep(self) -> None:
        """Abort every connection whose time is over."""
        now_s = self._clock()
        connections = list(self.open)
        for protocol in connections:
            transport, watch = self._watch(protocol)
            if self._is_over(protocol, transport, watch, now_s):
                transport.abort()
        alive = {protocol.transport for protocol in connections}
        self._watched = {transport: watch for transport, watch in self._watched.items() if transport in alive}

    def abort_all(self) -> None:
        """Abort every connection."""
        for protocol in list(self.open):
            protocol.transport.abort()

    def _watch(self, protocol: Any) -> tuple[Any, _Watch]:
        """Return a connection's transport and what was observed of it, with the newest request."""
        watch = self._watched.setdefault(protocol.transport, _Watch(self._clock()))
        cycle = getattr(protocol, "cycle", None)
        if cycle is not watch.cycle:
            watch.cycle, watch.asked_s = cycle, self._clock()
        return protocol.transport, watch

    def _is_over(self, protocol: Any, transport: Any, watch: _Watch, now_s: float) -> bool:
        acked, waits = _progress(transport)
        if acked != watch.acked or not waits:
            watch.acked, watch.moved_s = acked, now_s
        handshake = getattr(protocol, "close_sent", False)
        if not (handshake or transport.is_closing()):
            watch.closing_s = None
        elif watch.closing_s is None:
            watch.closing_s = now_s
        if watch.closing_s is not None:
            since_s = watch.closing_s if handshake else watch.moved_s
            return now_s - since_s > CLOSING_S
        if _responds(protocol):
            watch.asked_s = now_s
        silent = _awaits_headers(protocol) and not waits and now_s - watch.asked_s > HEADERS_S
        return silent or now_s - watch.moved_s > STALL_S


def _responds(protocol: Any) -> bool:
    cycle = getattr(protocol, "cycle", None)
    return cycle is not None and not cycle.response_complete


def _awaits_headers(protocol: Any) -> bool:
    return isinstance(protocol, H11Protocol) and not _responds(protocol)


def _awaits_request(protocol: Any) -> bool:
    """Return whether a connection has no complete request that is being answered."""
    return _awaits_headers(protocol) or (isinstance(protocol, H11Protocol) and protocol.cycle.more_body)


def _progress(transport: Any) -> tuple[int, bool]:
    """Return how many bytes the other side has acknowledged, and whether it has yet to acknowledge some."""
    sock = transport.get_extra_info("socket")
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        unacked, acked, not_sent = (
            struct.unpack_from(kind, info, at)[0] for at, kind in (_UNACKED, _BYTES_ACKED, _NOT_SENT)
        )
    except (OSError, struct.error):  # it is closed already
        return 0, False
    return acked, bool(unacked or not_sent or transport.get_write_buffer_size())


class HttpProtocol(H11Protocol):
    """uvicorn's protocol, which reports its connection to a limiter."""

    def __init__(self, *arguments: Any, limiter: ConnectionLimiter, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._limiter = limiter

    def connection_made(self, transport: Any) -> None:
        """Count the connection."""
        super().connection_made(transport)
        self._limiter.admit(transport)
