"""Limits of the server's connections, over real sockets: silent ones, sleeping ones, and too many."""

import asyncio
import dataclasses
import resource
import socket

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from edge_agent.config import ConsoleSettings
from edge_agent.console import connections, server, websocket
from edge_agent.console.connections import RESERVED, max_sockets
from edge_agent.console.server import listen, serve
from edge_agent.events import Frame
from edge_agent.perception.vision import CameraPicture
from tests.attack.console import UPGRADE
from tests.console.rig import Rig, console, next_message, refused_with
from tests.support import events as make
from tests.support.http import call
from tests.support.mosquitto import until
from tests.support.proxy import free_port


def send_to(port: int, text: str) -> socket.socket:
    """Connect with a small receive buffer and send a text."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.sendall(text.encode())
    sock.setblocking(False)
    return sock


def sleeping_viewer(rig: Rig, path: str, headers: str = "") -> socket.socket:
    """Ask for a stream and read nothing."""
    return send_to(rig.port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\n{headers}\r\n")


async def closed(sock: socket.socket) -> bool:
    """Read until the other side has closed the connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30):
        try:
            while await loop.sock_recv(sock, 65536):
                pass
        except ConnectionResetError:
            pass
        sock.close()
        return True


def is_open(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def rough_frame(number: int) -> Frame:
    """Return a frame whose JPEG is large."""
    image = np.random.default_rng(number).integers(0, 255, (400, 600, 3), dtype=np.uint8)
    return dataclasses.replace(make.frame(number, at_s=number / 10), picture=CameraPicture(image))


@pytest.mark.parametrize(
    "text", ["", "GET / HTTP/1.1\r\nHost: ", "GET /api HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /api H"]
)
async def test_connection_without_a_whole_request_is_closed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.2)
    async with console() as rig:
        assert await closed(send_to(rig.port, text))
        assert (await rig.get("/api")).status == 200


async def test_request_that_is_being_answered_is_no_silent_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.0)
    monkeypatch.setattr(connections, "SWEEP_S", 0.01)
    async with served(limit=5) as (port, answer):
        request = asyncio.create_task(call(port, "/slow"))
        await asyncio.sleep(0.2)
        answer.set()
        assert (await request).status == 200


async def test_beyond_the_limit_the_connection_that_is_silent_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "max_sockets", lambda limit: 5 + RESERVED)
    monkeypatch.setattr(connections, "HEADERS_S", 60.0)
    async with console() as rig:
        silent = []
        for _ in range(5 + RESERVED):
            silent.append(send_to(rig.port, ""))
            await asyncio.sleep(0.001)  # each is accepted before the next
        viewer = sleeping_viewer(rig, "/api/live?overview=1", UPGRADE)
        assert await closed(silent[0])
        assert (await rig.get("/api")).status == 200
        assert await closed(silent[1])
        assert is_open(viewer)
        assert is_open(silent[-1])
        for sock in (*silent[2:], viewer):
            sock.close()


async def test_health_checks_and_commands_pass_beyond_the_limit_of_requests() -> None:
    async with served(limit=2) as (port, answer):
        slow = [asyncio.create_task(call(port, "/slow")) for _ in range(3)]
        done, _ = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status for task in done] == [503]
        paths = {"/healthz": "GET", "/readyz": "GET", "/metrics": "GET", "/api/trains/a/commands": "POST"}
        assert {(await call(port, path, method)).status for path, method in paths.items()} == {200}
        assert (await call(port, "/api")).status == 503
        answer.set()
        assert sorted([task.result().status for task in slow if await task]) == [200, 200, 503]
        assert (await call(port, "/api")).status == 200


@pytest.mark.parametrize(
    ("path", "headers"), [("/api/live?train=train-1", UPGRADE), ("/api/trains/train-1/stream.mjpeg", "")]
)
async def test_viewer_that_reads_nothing_makes_room(monkeypatch: pytest.MonkeyPatch, path: str, headers: str) -> None:
    monkeypatch.setattr(server, "SEND_BYTES", 4096)
    monkeypatch.setattr(websocket, "PONG_TIMEOUT_S", 0.5)
    monkeypatch.setattr(websocket, "CLOSE_S", 0.2)
    monkeypatch.setattr(connections, "CLOSING_S", 0.5)
    if not headers:
        monkeypatch.setattr(connections, "STALL_S", 0.5)
    async with console(max_viewers=1) as rig:
        rig.publish(rough_frame(1))
        sleeper = sleeping_viewer(rig, path, headers)
        viewers = rig.app.broadcaster
        await until(lambda: bool(viewers.subscribers or viewers.streams), "the viewer has come")
        for number in range(2, 4):
            rig.publish(rough_frame(number))
            await asyncio.sleep(0.01)
        assert await refused_with(rig.connect()) == 503
        await until(lambda: not (viewers.subscribers or viewers.streams), "the viewer has left")
        assert await refused_with(rig.connect()) == 101
        assert await closed(sleeper)


async def test_viewer_that_reads_slowly_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_BYTES", 4096)
    monkeypatch.setattr(connections, "STALL_S", 2.0)
    async with console() as rig:
        rig.publish(rough_frame(1))
        reader = sleeping_viewer(rig, "/api/trains/train-1/stream.mjpeg")
        for number in range(2, 32):
            rig.publish(rough_frame(number))
            await asyncio.sleep(0.1)
            assert await asyncio.get_running_loop().sock_recv(reader, 4096)
        assert len(rig.app.broadcaster.streams) == 1
        reader.close()


async def test_viewer_that_answers_pings_is_not_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.0)
    async with console() as rig, rig.connect() as page:
        await next_message(page, "ping")
        await asyncio.sleep(2 * connections.SWEEP_S)
        await page.send('{"t":"clock","n":1}')
        assert (await next_message(page, "clock"))["n"] == 1


@pytest.mark.parametrize(
    ("descriptors", "sockets"), [(1024, 404), (524288, 404), (256, 128), (resource.RLIM_INFINITY, 404)]
)
def test_sockets_are_at_most_half_of_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, sockets: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (descriptors, descriptors))
    assert max_sockets(340) == sockets


class served:  # noqa: N801 - a context manager
    """Serve `/slow`, which waits for the event, and other paths, which do not."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answer = asyncio.Event()

    async def __aenter__(self) -> tuple[int, asyncio.Event]:
        settings = ConsoleSettings(port=free_port())

        async def slow(request: Request) -> Response:
            await self._answer.wait()
            return PlainTextResponse("")

        async def quick(request: Request) -> Response:
            return PlainTextResponse("")

        routes = [Route("/slow", slow), Route("/{path:path}", quick, methods=["GET", "POST"])]
        self._task = asyncio.create_task(serve(Starlette(routes=routes), listen(settings), self._limit))
        await asyncio.sleep(0)
        return settings.port, self._answer

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
