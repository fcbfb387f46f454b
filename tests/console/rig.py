"""A running console on a free port, with events and commands sent by the test."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import websockets
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect

from edge_agent.config import ConsoleSettings
from edge_agent.console.app import ConsoleApp
from edge_agent.console.routes import application, console_routes
from edge_agent.console.server import listen, serve
from edge_agent.control.commands import Command
from edge_agent.errors import EdgeAgentError
from edge_agent.events import CommandResult, Event, Frame
from edge_agent.observers.cloudevents import Envelope, EventContext, to_cloudevent
from edge_agent.observers.cloudevents.images import encode_jpeg
from tests.support import events as make
from tests.support.http import Answer, call
from tests.support.proxy import free_port

TOKEN = "open sesame"  # noqa: S105 - for tests
NOW_MS = round(make.UNIX_S * 1000)


def envelope(event: Event, train_id: str = "train-1", sequence: int = 1) -> Envelope:
    """Convert an event to a CloudEvent as the agent does."""
    picture = encode_jpeg(event.image) if isinstance(event, Frame) else None
    return to_cloudevent(event, EventContext(train_id, sequence, make.UNIX_S - 0.25), picture)


@dataclass
class Train:
    """A train that replies as the test wants."""

    result: CommandResult | None = field(default_factory=lambda: result(True, "running", "clear track"))
    error: EdgeAgentError | None = None
    commands: list[tuple[str, Command]] = field(default_factory=list)
    silent: str = ""

    async def send(self, train_id: str, command: Command) -> CommandResult | None:
        self.commands.append((train_id, command))
        if train_id == self.silent:
            return None
        if self.error is not None:
            raise self.error
        return self.result


def result(accepted: bool, state: str | None, reason: str) -> CommandResult:
    """Return what a train makes of a command."""
    return CommandResult("console", "ada", "an-id", "stop", accepted, None, state, reason, 7.0)


@dataclass
class Rig:
    """The console, its port, and its Commander."""

    port: int
    app: ConsoleApp
    train: Train

    def publish(self, *events: Event, train_id: str = "train-1") -> None:
        for number, event in enumerate(events):
            self.app.receive(envelope(event, train_id, number))

    async def get(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        return await call(self.port, path, method, body, **headers)

    async def command(self, train_id: str = "train-1", **changes: Any) -> Answer:
        """Send a command; None leaves out a header or a part of the body."""
        return await self.post(f"/api/trains/{train_id}/commands", **changes)

    async def post(self, path: str, **changes: Any) -> Answer:
        """Send a command to a path; None leaves out a header or a part of the body."""
        headers = {
            "Content_Type": "application/json",
            "Authorization": f"Bearer {TOKEN}",
        } | changes.pop("headers", {})
        body = {"verb": "stop", "id": "an-id", "issued_at": "2026-11-21T18:20:00Z", "reason": "try"} | changes
        text = json.dumps({name: value for name, value in body.items() if value is not None})
        kept = {name: value for name, value in headers.items() if value is not None}
        return await self.get(path, "POST", text.encode(), **kept)

    def connect(self, query: str = "train=train-1", **options: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}/api/live?{query}", **options)


@contextlib.asynccontextmanager
async def console(**settings: Any) -> AsyncIterator[Rig]:
    """Serve a console for the duration of the block; its token is TOKEN unless `settings` set another."""
    values = {"port": free_port(), "token": SecretStr(TOKEN), **settings}
    train = Train()
    app = ConsoleApp(ConsoleSettings(**values), "train", budget_bytes=10_000_000)
    tasks = [
        asyncio.create_task(serve(application(console_routes(app, train)), listen(app.settings))),
        asyncio.create_task(app.run()),
    ]
    await asyncio.sleep(0)
    try:
        yield Rig(app.settings.port, app, train)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Picture:
    """A frame as a viewer received it."""

    header: dict[str, Any]
    data: bytes


async def receive(socket: ClientConnection) -> dict[str, Any] | Picture:
    """Return the next message, frames split into header and picture."""
    async with asyncio.timeout(20):
        message = await socket.recv()
    if isinstance(message, str):
        parsed: dict[str, Any] = json.loads(message)
        return parsed
    end = 4 + int.from_bytes(message[:4], "big")
    return Picture(json.loads(message[4:end]), message[end:])


async def next_frame(socket: ClientConnection) -> Picture:
    """Return the next frame, skipping other messages."""
    while True:
        message = await receive(socket)
        if isinstance(message, Picture):
            return message


async def next_message(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a kind, skipping others."""
    while True:
        message = await receive(socket)
        if isinstance(message, dict) and message["t"] == kind:
            return message


async def refused_with(connecting: connect) -> int:
    """Return the HTTP status with which a handshake was refused, 101 if it was not."""
    try:
        async with connecting:
            return 101
    except websockets.InvalidStatus as error:
        return error.response.status_code
