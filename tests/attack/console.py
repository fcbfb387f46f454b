"""Attacks on the console of a train, over real sockets."""

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from websockets import InvalidStatus
from websockets.asyncio.client import connect

from edge_agent.config import ConsoleSettings
from edge_agent.console.access import MAX_FAILURES
from edge_agent.runtime.queues import pace
from tests.browser.dry_run import DryRun
from tests.chaos.trial import Trial
from tests.console.rig import refused_with
from tests.support.http import call

STOP_MS = 200.0
VIEWER_MS = 15_000.0
"""Time until a viewer that sleeps makes room for another one."""

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@asynccontextmanager
async def running(**settings: str) -> AsyncIterator[DryRun]:
    """Run a simulated train with a console, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        train = await DryRun.start(Path(folder), **settings)
        try:
            yield train
        finally:
            await train.end()


async def stop_ms(train: DryRun) -> float:
    """Send an emergency stop, as the page does; return the time until it was accepted."""
    started_s = time.monotonic()
    answer = await train.command("emergency_stop")
    assert answer.get("accepted"), answer
    return (time.monotonic() - started_s) * 1000


def attack(name: str, expected: str, bound_ms: float | None, run: Callable[[DryRun], Awaitable[float | None]]) -> Trial:
    """Return a row whose function gets a running train."""

    async def scenario() -> float | None:
        async with running() as train:
            return await run(train)

    return Trial(name, expected, bound_ms, lambda _slack: asyncio.run(scenario()))


async def stop_after_wrong_tokens(train: DryRun) -> float:
    """Send wrong tokens until they are limited, then a stop with the right one from the same address."""
    wrong = {"Content_Type": "application/json", "Authorization": "Bearer wrong"}
    path = f"/api/trains/{train.train}/commands"
    statuses = [(await call(train.port, path, "POST", b"{}", **wrong)).status for _ in range(MAX_FAILURES + 5)]
    assert statuses == [401] * MAX_FAILURES + [429] * 5, statuses
    return await stop_ms(train)


async def stop_beside_silent_connections(train: DryRun) -> float:
    """Open connections that send nothing; a health check, the page and a stop must pass."""
    with silent(400, train.port):
        await asyncio.sleep(0.5)
        for path in ("/healthz", "/", "/metrics"):
            assert (await call(train.port, path)).status == 200, path
        return await stop_ms(train)


async def stop_beside_sleepers(train: DryRun) -> float:
    """Let as many phones as may look fall asleep, beside silent connections; a stop must pass."""
    with silent(400, train.port), sleepers(train):
        await until_full(train)
        assert (await call(train.port, "/healthz")).status == 200
        return await stop_ms(train)


async def viewers_after_sleepers(train: DryRun) -> float:
    """Let as many phones as may look fall asleep; return the time until as many others can look."""
    with ExitStack() as others:
        started_s = time.monotonic()
        with sleepers(train):
            for _ in range(ConsoleSettings().max_viewers):
                await viewer(train, others)
            return (time.monotonic() - started_s) * 1000


async def viewer(train: DryRun, others: ExitStack) -> None:
    """Open a page as soon as one more may look."""
    async with asyncio.timeout(60):
        async for _ in pace(0.1):
            with suppress(InvalidStatus):
                connection = await live(train)
                others.callback(connection.transport.abort)
                return


async def until_full(train: DryRun) -> None:
    """Wait until no further viewer may look."""
    async with asyncio.timeout(60):
        async for _ in pace(0.1):
            if await refused_with(live(train)) == 503:
                return


def live(train: DryRun) -> connect:
    """Connect a viewer of the overview."""
    return connect(f"ws://127.0.0.1:{train.port}/api/live?overview=1")


@contextmanager
def silent(count: int, port: int, *requests: str) -> Iterator[None]:
    """Hold connections that send a request, if any, and read nothing."""
    with ExitStack() as stack:
        for number in range(count):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", port))
            if requests:
                sock.sendall(requests[number % len(requests)].encode())
        yield


def sleepers(train: DryRun) -> AbstractContextManager[None]:
    """Hold as many viewers as may look, that read nothing; every other one by the MJPEG stream."""
    host = f"Host: 127.0.0.1:{train.port}\r\n"
    page = f"GET /api/live?train={train.train} HTTP/1.1\r\n{host}{UPGRADE}\r\n"
    stream = f"GET /api/trains/{train.train}/stream.mjpeg HTTP/1.1\r\n{host}\r\n"
    return silent(ConsoleSettings().max_viewers, train.port, page, stream)


TRIALS: tuple[Trial, ...] = (
    attack("15 wrong tokens from the same address", "the right one stops it", STOP_MS, stop_after_wrong_tokens),
    attack("400 silent connections", "stops; health checks pass", STOP_MS, stop_beside_silent_connections),
    attack("the same and 60 sleeping viewers", "stops; health checks pass", STOP_MS, stop_beside_sleepers),
    attack("60 sleeping viewers", "60 others can look", VIEWER_MS, viewers_after_sleepers),
)
