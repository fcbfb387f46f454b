"""One viewer's WebSocket: sends what its queue gives, reads what it says.

Knows ASGI's WebSocket events and the page's messages. Knows nothing of what is sent, or of who may look: that is judged
before it gets here.
"""

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
"""A viewer that answered no ping for this long is not there any more."""

MAX_MESSAGES_PER_S = 500
"""More messages than any page has reason to send."""

MAX_MESSAGE_BYTES = 4096
CLOSE_TOO_SLOW, CLOSE_FLOODING, CLOSE_UNRESPONSIVE = 1013, 1008, 1001


class ViewerSocket:
    """Talks with one viewer until either side ends it.

    Args:
        live: who else is there, and what there is to see.
        guest: the viewer's queue.
        receive, send: ASGI's.
        now_ms: our clock, in milliseconds since 1970.
    """

    def __init__(
        self, live: Broadcaster, guest: Subscriber, receive: Receive, send: Send, now_ms: Callable[[], int]
    ) -> None:
        self._live = live
        self._guest = guest
        self._receive = receive
        self._send = send
        self._now_ms = now_ms
        self._clock = asyncio.get_running_loop().time
        self._heard_s = self._clock()

    async def run(self) -> None:
        """Talk; closes the socket with a code that says why where it is us who end it."""
        parts = (self._tell(), self._hear(), self._ping())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
        except OSError:  # the other side has gone in the middle of a message
            return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if code is not None:
            with contextlib.suppress(OSError):
                await self._send({"type": "websocket.close", "code": code})

    async def _tell(self) -> int:
        queue, wake = self._guest.queue, self._guest.wake
        while True:
            await wake.wait()
            wake.clear()
            while (message := queue.take(self._now_ms())) is not None:
                key = "text" if isinstance(message, str) else "bytes"
                await self._send({"type": "websocket.send", key: message})
            if queue.overflown:
                return CLOSE_TOO_SLOW

    async def _ping(self) -> int:
        number = 0
        while self._clock() - self._heard_s < PONG_TIMEOUT_S:
            number += 1
            self._say({"t": "ping", "n": number, "now_ms": self._now_ms()})
            await asyncio.sleep(PING_S)
        return CLOSE_UNRESPONSIVE

    async def _hear(self) -> int | None:
        second_s, words = self._clock(), 0
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return None
            now_s = self._clock()
            if now_s - second_s >= 1:
                second_s, words = now_s, 0
            words += 1
            if words > MAX_MESSAGES_PER_S or not self._understand(event.get("text")):
                return CLOSE_FLOODING

    def _understand(self, text: str | None) -> bool:
        """Do what the page says; False for what no page of ours says."""
        if text is None or len(text) > MAX_MESSAGE_BYTES:
            return False
        try:
            word = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(word, dict):
            return False
        train_id, queue = word.get("train"), self._guest.queue
        match word.get("t"):
            case "shown" if isinstance(train_id, str) and isinstance(word.get("frame_id"), str):
                queue.shown(train_id, word["frame_id"])
                self._guest.wake.set()
            case "pong":
                self._heard_s = self._clock()
            case "clock":
                number = word.get("n")
                self._say({"t": "clock", "n": number if isinstance(number, int) else 0, "now_ms": self._now_ms()})
            case "watch" if train_id is None or isinstance(train_id, str):
                queue.watch(train_id)
                self._live.look(self._guest)
            case _:
                pass  # a newer page may say more
        return True

    def _say(self, word: dict[str, Any]) -> None:
        self._guest.queue.tell(json.dumps(word))
        self._guest.wake.set()


_log = structlog.get_logger(__name__)


def live_routes(site: ConsoleApp) -> list[BaseRoute]:
    """Return `/api/live`."""
    return [WebSocketRoute("/api/live", _LiveEndpoint(site))]


class _LiveEndpoint:
    """Judges who comes, and talks with whom it lets in."""

    def __init__(self, site: ConsoleApp) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        site, socket = self._site, WebSocket(scope, receive, send)
        try:
            site.admit(socket)
            site.room()
        except ApiError as refusal:
            client = site.access.client(socket)
            _log.warning("viewer_refused", client=client, status=refusal.status_code, why=refusal.detail)
            await _refuse(socket, refusal)
            return
        await socket.accept()
        api: dict[str, Any] = dataclasses.asdict(site.facts(socket))
        guest = site.live.enter(socket.query_params.get("train") or None, api)
        who = {"client": site.access.client(socket), "user": api["user"]}
        _log.info("viewer_came", **who, viewers=len(site.live.guests))
        try:
            await ViewerSocket(site.live, guest, receive, send, site.now_ms).run()
        finally:
            site.live.leave(guest)
            _log.info("viewer_left", **who, viewers=len(site.live.guests))


async def _refuse(socket: WebSocket, refusal: ApiError) -> None:
    """Answer the handshake with an HTTP error instead of an upgrade."""
    await socket.send_denial_response(view(Problem(refusal.detail, refusal.remedy), refusal.status_code))
