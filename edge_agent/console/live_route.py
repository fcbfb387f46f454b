"""The door of the WebSocket: who may look is judged before the upgrade.

Knows ASGI's handshake. Knows nothing of what is sent afterwards.
"""

import dataclasses
from typing import Any

import structlog
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from edge_agent.console.answers import Problem, Refusal, view
from edge_agent.console.conversation import Conversation
from edge_agent.console.site import Site

_log = structlog.get_logger(__name__)


def live_routes(site: Site) -> list[BaseRoute]:
    """Return `/api/live`."""
    return [WebSocketRoute("/api/live", _Live(site))]


class _Live:
    """Judges who comes, and talks with whom it lets in."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        site, socket = self._site, WebSocket(scope, receive, send)
        try:
            site.admit(socket)
            site.room()
        except Refusal as refusal:
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
            await Conversation(site.live, guest, receive, send, site.now_ms).run()
        finally:
            site.live.leave(guest)
            _log.info("viewer_left", **who, viewers=len(site.live.guests))


async def _refuse(socket: WebSocket, refusal: Refusal) -> None:
    """Answer the handshake with an HTTP error instead of an upgrade."""
    await socket.send_denial_response(view(Problem(refusal.detail, refusal.remedy), refusal.status_code))
