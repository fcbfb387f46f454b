"""The OpenAPI 3.1 document of the REST API, generated from the classes that are served.

The paths and their responses are listed here; a test checks that they match the routes.
"""

import json
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent import __version__
from edge_agent.console.api import Frames, Items, Trains
from edge_agent.console.app import Facts
from edge_agent.console.commands import CommandAnswer, CommandBody, TrainAnswers
from edge_agent.console.responses import Problem
from edge_agent.console.schemas import FrameView, Train

PATH = "/api/openapi.json"

_VIEWS: tuple[type[Any], ...] = (
    Facts,
    Trains,
    Train,
    Items,
    Frames,
    FrameView,
    CommandBody,
    CommandAnswer,
    TrainAnswers,
    Problem,
)
_ERRORS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "The request comes from another web site, or the console is read-only.",
    404: "Not found, or no longer stored.",
    408: "The request body did not arrive in time.",
    413: "The request body is too large.",
    415: "The content type is not application/json.",
    421: "The server does not answer to this host name.",
    429: "Too many requests; Retry-After says how long to wait.",
    503: "The maximum number of viewers is connected, or the command could not be sent.",
}
_READ = (403, 421)
_SINCE = ("since_ms", "Start of the range (inclusive), on the train's clock, in ms since 1970.")
_BEFORE = ("before_ms", "End of the range (exclusive), on the train's clock, in ms since 1970.")


def openapi_routes() -> list[BaseRoute]:
    """Return `/api/openapi.json`."""
    text = json.dumps(document(), separators=(",", ":"))

    async def openapi(request: Request) -> Response:
        return Response(text, headers={"Content-Type": "application/json", "Cache-Control": "no-cache"})

    return [Route(PATH, openapi)]


def document() -> dict[str, Any]:
    """Return the document as JSON values."""
    adapters = [(view.__name__, "serialization", TypeAdapter[Any](view)) for view in _VIEWS]
    _, definitions = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edge-agent console",
            "version": __version__,
            "description": "State and pictures of trains, and commands to them. Live updates: WebSocket at /api/live.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The console's token."}},
        },
    }


def _paths() -> dict[str, Any]:
    train = "/api/trains/{train_id}"
    frame = f"{train}/frames/{{frame_id}}"
    limit = ("limit", "Maximum number of items; the newest are returned.")
    return {
        "/api": _get("facts", "What this server is, and how commands are authorized", _json("Facts"), _READ),
        "/api/trains": _get("trains", "All trains", _json("Trains"), _READ),
        train: _get("train", "One train", _json("Train"), (*_READ, 404), "train_id"),
        f"{train}/timeline": _get(
            "timeline",
            "Items of the timeline",
            _json("Items"),
            (*_READ, 400, 404),
            "train_id",
            query=(_SINCE, _BEFORE, limit),
        ),
        f"{train}/frames": _get(
            "frames", "Stored pictures", _json("Frames"), (*_READ, 400, 404), "train_id", query=(_SINCE, _BEFORE)
        ),
        frame: _get(
            "frame",
            "Detections of a frame and what they led to",
            _json("FrameView"),
            (*_READ, 404),
            "train_id",
            "frame_id",
        ),
        f"{frame}.jpg": _get("picture", "Picture of a frame", _picture(), (*_READ, 404), "train_id", "frame_id"),
        f"{train}/snapshot.jpg": _get("snapshot", "The newest picture", _picture(), (*_READ, 404), "train_id"),
        f"{train}/stream.mjpeg": _get(
            "stream",
            "Every new picture as MJPEG; slow readers get fewer",
            {"multipart/x-mixed-replace": {"schema": {"type": "string"}}},
            (*_READ, 404, 503),
            "train_id",
        ),
        f"{train}/commands": {"post": _command()},
        "/api/commands": {"post": _stop_all()},
    }


def _get(
    name: str,
    summary: str,
    content: dict[str, Any],
    errors: tuple[int, ...],
    *path: str,
    query: tuple[tuple[str, str], ...] = (),
) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": [*map(_in_path, path), *(_in_query(*pair) for pair in query)],
            "responses": {"200": {"description": summary + ".", "content": content}, **_errors(errors)},
        }
    }


def _command() -> dict[str, Any]:
    answers = {
        "200": {"description": "The train answered.", "content": _json("CommandAnswer")},
        "504": {"description": "The train did not answer in time.", "content": _json("CommandAnswer")},
    }
    return {
        "operationId": "command",
        "summary": "Send a command to a train",
        "description": "Needs the token, or a proxy that logs users in and the console's own page.",
        "security": [{"token": []}],
        "parameters": [_in_path("train_id")],
        "requestBody": {"required": True, "content": _json("CommandBody")},
        "responses": answers | _errors((400, 401, 403, 404, 408, 413, 415, 421, 429, 503)),
    }


def _stop_all() -> dict[str, Any]:
    return {
        "operationId": "stopAll",
        "summary": "Stop all trains",
        "description": "Only commands that stop a train; each train gets the command with an id of its own.",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": _json("CommandBody")},
        "responses": {"200": {"description": "The result for each train.", "content": _json("TrainAnswers")}}
        | _errors((400, 401, 403, 408, 413, 415, 421, 429)),
    }


def _errors(statuses: tuple[int, ...]) -> dict[str, Any]:
    return {str(status): {"description": _ERRORS[status], "content": _json("Problem")} for status in sorted(statuses)}


def _json(view: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{view}"}}}


def _picture() -> dict[str, Any]:
    return {"image/jpeg": {"schema": {"type": "string", "contentMediaType": "image/jpeg"}}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0}
    return {"name": name, "in": "query", "description": description, "schema": schema}
