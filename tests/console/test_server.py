"""The HTTP server, over real sockets."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette

from edge_agent.config import ConsoleSettings
from edge_agent.console.health import HealthMonitor, HealthObserver, status_routes
from edge_agent.console.server import MAX_CONNECTIONS, listen, serve
from edge_agent.errors import ConfigError
from edge_agent.events import Event
from edge_agent.observers.metrics import TrainMetrics, new_registry
from edge_agent.runtime.queues import Fanout
from tests.support import events as make
from tests.support.mosquitto import until
from tests.support.proxy import free_port


@dataclass
class Server:
    """A running server, and what feeds it."""

    port: int
    health: HealthMonitor
    fanout: Fanout[Event] = field(default_factory=Fanout)
    now_s: float = 100.0

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/1.1", "Host: train", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        raw = await reader.read()
        writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        status, *rest = head.decode().split("\r\n")
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in rest), body


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Server]:
    """Serve for the duration of the block."""
    settings = ConsoleSettings(port=free_port())
    server = Server(settings.port, HealthMonitor(started_s=100.0))
    registry = new_registry()
    metrics = TrainMetrics(registry, lambda: {"version": "0.1.0"})
    routes = status_routes(server.health, registry, lambda: server.now_s)
    tasks = [
        asyncio.create_task(serve(Starlette(routes=routes), listen(settings))),
        asyncio.create_task(HealthObserver(server.health, metrics).run(server.fanout.subscribe("metrics", 100))),
    ]
    await asyncio.sleep(0)
    try:
        yield server
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


async def test_metrics_are_served_as_prometheus_asks_for_them(server: Server) -> None:
    server.fanout.publish(make.frame(4))
    await asyncio.sleep(0)
    status, headers, body = await server.get("/metrics")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert b"\nedge_agent_frames_captured_total 5.0\n" in body
    _, headers, _ = await server.get("/metrics", Accept="application/openmetrics-text")
    assert headers["content-type"].startswith("application/openmetrics-text")


async def test_agent_that_starts_is_alive_and_not_ready(server: Server) -> None:
    status, headers, body = await server.get("/healthz")
    assert (status, json.loads(body)) == (200, {"ok": True, "troubles": []})
    assert headers["cache-control"] == "no-store"
    status, _, body = await server.get("/readyz")
    assert status == 503
    assert "no frame yet" in json.loads(body)["troubles"]


async def test_train_that_drives_is_ready(server: Server) -> None:
    frame = make.frame(at_s=100.0)
    for event in (frame, make.prediction(frame), make.state(at_s=100.0)):
        server.health.fold(event, 100.0)
    assert (await server.get("/readyz"))[0] == 200


async def test_silent_control_is_not_alive(server: Server) -> None:
    server.now_s = 200.0
    assert (await server.get("/healthz"))[0] == 503


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405)])
async def test_other_requests_are_refused(server: Server, path: str, method: str, status: int) -> None:
    assert (await server.get(path, method))[0] == status


async def test_nonsense_is_answered_and_the_server_goes_on(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    assert b"400" in await reader.read()
    writer.close()
    assert (await server.get("/healthz"))[0] == 200


async def test_health_checks_pass_on_more_connections_than_the_limit_of_requests(server: Server) -> None:
    connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_CONNECTIONS + 5)]
    for _, writer in connections:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: train\r\n\r\n")
    answers = [int((await reader.readline()).split()[1]) for reader, _ in connections]
    for _, writer in connections:
        writer.close()
    assert set(answers) == {200}


async def test_signals_stay_the_agents_own() -> None:
    loop = asyncio.get_running_loop()
    received = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, received.set)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        async with running() as server:
            await server.get("/healthz")
            assert {number: signal.getsignal(number) for number in before} == before
        assert {number: signal.getsignal(number) for number in before} == before
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


async def test_end_does_not_wait_for_an_open_connection() -> None:
    async with asyncio.timeout(20):
        async with running() as server:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: train\r\nX-Slow: ")
            await server.get("/healthz")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", server.port)
    writer.close()


def test_port_that_is_taken_is_reported_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            listen(ConsoleSettings(port=port))
    assert str(caught.value) == (
        f"another program listens on 127.0.0.1:{port}; end that program, or set console.port to another port"
    )


def test_address_of_another_machine_is_reported_with_a_remedy() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:8080: .*; set console\.host"):
        listen(ConsoleSettings(host="192.0.2.1"))


async def test_observer_feeds_health_and_metrics(server: Server) -> None:
    frame = make.frame(at_s=asyncio.get_running_loop().time())
    server.fanout.publish(frame)
    await until(lambda: "no frame yet" not in server.health.ready(frame.taken_s).troubles, "the frame")
