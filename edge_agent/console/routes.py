"""The ASGI application of a console: its routes, the page's files, error responses and security headers."""

import json
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_agent.console.api import read_routes
from edge_agent.console.app import ConsoleApp
from edge_agent.console.commands import Commander, command_routes
from edge_agent.console.openapi import openapi_routes
from edge_agent.console.responses import ApiError, Problem, view
from edge_agent.console.websocket import live_routes
from edge_agent.signs import Sign

_PAGE = Path(__file__).parent / "page"
_NO_CACHE = {"Cache-Control": "no-cache"}
"""Without this header a browser may use its copy for days after an update; with it, it asks with the ETag first."""

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = (
    ("Content-Security-Policy", CONTENT_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ("X-Frame-Options", "DENY"),
)
_REMEDIES = {
    400: "see /api/openapi.json for the expected format",
    404: "see /api/openapi.json for what is available",
    405: "see /api/openapi.json for the allowed methods",
}


def console_routes(app: ConsoleApp, commander: Commander | None) -> list[BaseRoute]:
    """Return the page, the REST API and the WebSocket of a console; without `commander` it is read-only."""
    app.accepts_commands = commander is not None
    commands = command_routes(app, commander) if commander is not None else []
    return [*page_routes(), *openapi_routes(), *read_routes(app), *live_routes(app), *commands]


def page_routes() -> list[BaseRoute]:
    """Return `/` and `/page/<file>`; `/page/signs.js` holds names and colours of the signs, from `signs.Sign`."""
    files = _PageFiles(directory=_PAGE)
    module = signs_module()

    async def index(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    async def signs(_request: Request) -> Response:
        return Response(module, media_type="text/javascript", headers=_NO_CACHE)

    return [Route("/", index), Route("/page/signs.js", signs), Mount("/page", files)]


def signs_module() -> str:
    """Return the page's module with each sign's name in both languages and the colour of its boxes."""
    facts = {sign: {"en": sign.facts.english, "fr": sign.facts.french, "colour": sign.facts.colour} for sign in Sign}
    return f"export default {json.dumps(facts, ensure_ascii=False)};\n"


class _PageFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_NO_CACHE)
        return response


def application(routes: list[BaseRoute]) -> ASGIApp:
    """Return the ASGI application: the routes, errors as JSON, security headers on every response."""
    return _SecurityHeaders(
        Starlette(routes=routes, exception_handlers={HTTPException: _error_response, 500: _error_response})
    )


def _error_response(request: Request, error: Exception) -> Response:
    """Return an error as `{"error", "remedy"}`."""
    status, text, headers = 500, "internal error in the console", None
    if isinstance(error, HTTPException):
        status, text, headers = error.status_code, error.detail, dict(error.headers or {})
    remedy = error.remedy if isinstance(error, ApiError) else _REMEDIES.get(status, "try again, and check the log")
    response = view(Problem(text, remedy), status)
    response.headers.update(headers or {})
    return response


class _SecurityHeaders:
    """Middleware that adds the security headers to every response, refused WebSocket handshakes included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS:
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
