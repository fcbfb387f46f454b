"""How the console answers over HTTP: JSON, errors with a remedy, and headers that keep a browser safe.

Knows HTTP. Knows nothing of trains.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_agent.console.messages import to_json

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
NOT_STORED = {"Cache-Control": "no-store"}

_REMEDIES = {
    400: "see /api/openapi.json for what it has to look like",
    404: "see /api/openapi.json for what there is",
    405: "see /api/openapi.json for what it takes",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was not answered."""

    error: Annotated[str, Field(description="What is wrong.")]
    remedy: Annotated[str, Field(description="What to do.")]


class ApiError(HTTPException):
    """A request that is not answered: an HTTP status, what is wrong and what to do."""

    def __init__(self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, error, headers)
        self.remedy = remedy


def view(value: Any, status: int = 200) -> Response:
    """Return a view as a JSON response."""
    return Response(to_json(value), status, {**NOT_STORED, "Content-Type": "application/json"})


def refused(request: Request, error: Exception) -> Response:
    """Return an HTTP error as `{"error", "remedy"}`."""
    status, text, headers = 500, "the console has failed", None
    if isinstance(error, HTTPException):
        status, text, headers = error.status_code, error.detail, dict(error.headers or {})
    remedy = error.remedy if isinstance(error, ApiError) else _REMEDIES.get(status, "try again, and look into the log")
    response = view(Problem(text, remedy), status)
    response.headers.update(headers or {})
    return response


def application(routes: list[BaseRoute]) -> ASGIApp:
    """Return what is served: the routes, errors as JSON, safe headers on every answer."""
    return _SecurityHeaders(Starlette(routes=routes, exception_handlers={HTTPException: refused, 500: refused}))


class _SecurityHeaders:
    """Adds the headers that keep a browser from doing what no page of ours asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS:
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)
