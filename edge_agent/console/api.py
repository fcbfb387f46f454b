"""The read-only part of the REST API: trains, timelines, frames and pictures as JSON, JPEG and MJPEG."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from edge_agent.console.app import ConsoleApp
from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.responses import NOT_STORED, ApiError, view
from edge_agent.console.schemas import FrameRef, Item, Train
from edge_agent.console.train_state import TrainProjection

MAX_ITEMS = 1000
_IMMUTABLE = {"Cache-Control": "private, max-age=3600, immutable"}
_BOUNDARY = "edge-agent-frame"


@dataclass(frozen=True, slots=True)
class Trains:
    """All known trains."""

    trains: tuple[Train, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A part of a timeline."""

    items: Annotated[tuple[Item, ...], Field(description="Oldest first.")]


@dataclass(frozen=True, slots=True)
class Frames:
    """Stored pictures."""

    frames: Annotated[tuple[FrameRef, ...], Field(description="Oldest first.")]


def read_routes(app: ConsoleApp) -> list[BaseRoute]:
    """Return the routes that change nothing."""
    endpoints = _ReadEndpoints(app)
    train = "/api/trains/{train_id}"
    return [
        Route("/api", endpoints.api),
        Route("/api/trains", endpoints.trains),
        Route(train, endpoints.train),
        Route(f"{train}/timeline", endpoints.timeline),
        Route(f"{train}/frames", endpoints.frames),
        Route(f"{train}/frames/{{frame_id}}.jpg", endpoints.picture),
        Route(f"{train}/frames/{{frame_id}}", endpoints.frame),
        Route(f"{train}/snapshot.jpg", endpoints.snapshot),
        Route(f"{train}/stream.mjpeg", endpoints.stream),
    ]


class _ReadEndpoints:
    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._store = app.store

    async def api(self, request: Request) -> Response:
        """Return what this server is and how commands are authorized."""
        self._app.check_origin(request)
        return view(self._app.facts(request))

    async def trains(self, request: Request) -> Response:
        self._app.check_origin(request)
        return view(Trains(tuple(self._store.trains(self._app.now_ms()))))

    async def train(self, request: Request) -> Response:
        return view(self._train(request).view(self._app.now_ms()))

    async def timeline(self, request: Request) -> Response:
        """Return items of a train's timeline."""
        timeline = self._train(request).timeline
        limit = min(_number(request, "limit") or MAX_ITEMS, MAX_ITEMS)
        return view(Items(tuple(timeline.between(_number(request, "since_ms"), _number(request, "before_ms"), limit))))

    async def frames(self, request: Request) -> Response:
        """Return which pictures are stored."""
        train = self._train(request)
        since_ms, before_ms = _number(request, "since_ms"), _number(request, "before_ms")
        stored = (
            FrameRef(picture.frame_id, picture.at_ms)
            for picture in self._store.pictures.of_train(train.train_id)
            if (since_ms is None or picture.at_ms >= since_ms) and (before_ms is None or picture.at_ms < before_ms)
        )
        return view(Frames(tuple(stored)))

    async def frame(self, request: Request) -> Response:
        """Return the detections of a frame and what they led to."""
        frame = self._store.frame(self._train(request).train_id, request.path_params["frame_id"])
        if frame is None:
            raise ApiError(404, "nothing is stored about this frame (any more)", "pick one of /api/trains/{id}/frames")
        return view(frame)

    async def picture(self, request: Request) -> Response:
        picture = self._store.picture(self._train(request).train_id, request.path_params["frame_id"])
        if picture is None:
            raise ApiError(404, "this picture is not stored (any more)", "pick one of /api/trains/{id}/frames")
        return _picture_response(picture, _IMMUTABLE)

    async def snapshot(self, request: Request) -> Response:
        picture = self._store.newest(self._train(request).train_id)
        if picture is None:
            raise ApiError(404, "the train has sent no picture yet", "check that its camera runs, and kafka.images")
        return _picture_response(picture, NOT_STORED)

    async def stream(self, request: Request) -> Response:
        """Stream the pictures of a train as multipart/x-mixed-replace."""
        train_id = self._train(request).train_id
        self._app.check_capacity()
        media_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return StreamingResponse(self._mjpeg_parts(train_id), headers={**NOT_STORED, "Content-Type": media_type})

    async def _mjpeg_parts(self, train_id: str) -> AsyncIterator[bytes]:
        # One picture is being sent and only the newest waits, so a slow reader gets fewer pictures, not old ones.
        with self._app.broadcaster.latest_picture(train_id) as latest:
            if (newest := self._store.newest(train_id)) is not None:
                latest.put(newest)
            while True:
                picture = await latest.get()
                length = len(picture.data)
                head = f"--{_BOUNDARY}\r\nContent-Type: {_media_type(picture)}\r\nContent-Length: {length}\r\n\r\n"
                yield b"".join((head.encode(), picture.data, b"\r\n"))

    def _train(self, request: Request) -> TrainProjection:
        self._app.check_origin(request)
        train = self._store.train(request.path_params["train_id"])
        if train is None:
            raise ApiError(404, "there is no train of this name", "pick one of /api/trains")
        return train


def _media_type(picture: StoredPicture) -> str:
    return "image/webp" if picture.data[:4] == b"RIFF" else "image/jpeg"


def _picture_response(picture: StoredPicture, caching: dict[str, str]) -> Response:
    frame_id = picture.frame_id.encode("ascii", "replace").decode()
    return Response(picture.data, 200, {"Content-Type": _media_type(picture), "X-Frame-Id": frame_id, **caching})


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ApiError(400, f"{name} has to be a whole number", "omit it, or give milliseconds since 1970")
    return int(text)
