"""The WebSocket of the page: one connection per viewer, which sends from its queue and handles its messages."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import structlog
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from edge_agent.console.app import ConsoleApp
from edge_agent.console.broadcast import Broadcaster, Subscriber
from edge_agent.console.responses import ApiError, Problem, view

PING_S = 2.0
PONG_TIMEOUT_S = 10.0
"""A viewer that has answered no ping for this long is considered gone."""

CLOSE_S = 1.0
"""Time for the closing message to be sent."""

MAX_MESSAGES_PER_S = 500
"""More than any page sends."""

MAX_MESSAGE_BYTES = 4096
CLOSE_TOO_SLOW, CLOSE_FLOODING, CLOSE_UNRESPONSIVE = 1013, 1008, 1001

_log = structlog.get_logger(__name__)


class ViewerSocket:
    """The connection of one viewer; `receive` and `send` are ASGI's, `now_ms` counts ms since 1970."""

    def __init__(
        self, broadcaster: Broadcaster, subscriber: Subscriber, receive: Receive, send: Send, now_ms: Callable[[], int]
    ) -> None:
        self._broadcaster = broadcaster
        self._subscriber = subscriber
        self._receive = receive
        self._send = send
        self._now_ms = now_ms
        self._clock = asyncio.get_running_loop().time
        self._last_pong_s = self._clock()

    async def run(self) -> None:
        """Serve the connection until either side closes it; if it is us, the close code says why."""
        loops = (self._send_loop(), self._receive_loop(), self._ping_loop())
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
        except OSError:  # the connection broke while sending
            return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if code is not None:
            # A viewer that reads nothing never makes room for the closing message; its connection is aborted later.
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._send({"type": "websocket.close", "code": code})

    async def _send_loop(self) -> int:
        queue, wake = self._subscriber.queue, self._subscriber.wake
        while True:
            await wake.wait()
            wake.clear()
            while (message := queue.pop(self._now_ms())) is not None:
                key = "text" if isinstance(message, str) else "bytes"
                await self._send({"type": "websocket.send", key: message})
            if queue.overflowed:
                return CLOSE_TOO_SLOW

    async def _ping_loop(self) -> int:
        number = 0
        while self._clock() - self._last_pong_s < PONG_TIMEOUT_S:
            number += 1
            self._enqueue({"t": "ping", "n": number, "now_ms": self._now_ms()})
            await asyncio.sleep(PING_S)
        return CLOSE_UNRESPONSIVE

    async def _receive_loop(self) -> int | None:
        second_s, count = self._clock(), 0
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return None
            now_s = self._clock()
            if now_s - second_s >= 1:
                second_s, count = now_s, 0
            count += 1
            if count > MAX_MESSAGES_PER_S or not self._handle_message(event.get("text")):
                return CLOSE_FLOODING

    def _handle_message(self, text: str | None) -> bool:
        """Handle a message of the page; return False for one that no page sends."""
        if text is None or len(text) > MAX_MESSAGE_BYTES:
            return False
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(message, dict):
            return False
        train_id, queue = message.get("train"), self._subscriber.queue
        match message.get("t"):
            case "shown" if isinstance(train_id, str) and isinstance(message.get("frame_id"), str):
                queue.acknowledge(train_id, message["frame_id"])
                self._subscriber.wake.set()
            case "pong":
                self._last_pong_s = self._clock()
            case "clock":
                number = message.get("n")
                self._enqueue({"t": "clock", "n": number if isinstance(number, int) else 0, "now_ms": self._now_ms()})
            case "watch" if train_id is None or isinstance(train_id, str):
                queue.watch(train_id)
                self._broadcaster.send_newest(self._subscriber)
            case _:
                pass  # unknown messages are ignored: the page may be newer than the server
        return True

    def _enqueue(self, message: dict[str, Any]) -> None:
        self._subscriber.queue.add_text(json.dumps(message))
        self._subscriber.wake.set()


def live_routes(app: ConsoleApp) -> list[BaseRoute]:
    """Return `/api/live`."""
    return [WebSocketRoute("/api/live", _LiveEndpoint(app))]


class _LiveEndpoint:
    """Checks the handshake, then serves the connection."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app, socket = self._app, WebSocket(scope, receive, send)
        try:
            app.check_origin(socket)
            app.check_capacity()
        except ApiError as refusal:
            client = app.access.client(socket)
            _log.warning("viewer_refused", client=client, status=refusal.status_code, why=refusal.detail)
            # An HTTP error in place of the upgrade, so that the reason reaches whoever connects.
            await socket.send_denial_response(view(Problem(refusal.detail, refusal.remedy), refusal.status_code))
            return
        await socket.accept()
        api: dict[str, Any] = dataclasses.asdict(app.facts(socket))
        broadcaster = app.broadcaster
        subscriber = broadcaster.subscribe(socket.query_params.get("train") or None, api)
        who = {"client": app.access.client(socket), "user": api["user"]}
        _log.info("viewer_came", **who, viewers=len(broadcaster.subscribers))
        try:
            await ViewerSocket(broadcaster, subscriber, receive, send, app.now_ms).run()
        finally:
            broadcaster.unsubscribe(subscriber)
            _log.info("viewer_left", **who, viewers=len(broadcaster.subscribers))
