"""What there is to read: trains, timelines, frames and pictures, as JSON and JPEG.

Knows URLs and their parameters. Knows nothing of commands or of live messages.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.console.app import ConsoleApp
from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.responses import NOT_STORED, ApiError, view
from edge_agent.console.schemas import FrameRef, Item, Train
from edge_agent.console.train_state import TrainProjection

MAX_ITEMS = 1000
_KEPT = {"Cache-Control": "private, max-age=3600, immutable"}


@dataclass(frozen=True, slots=True)
class Trains:
    """Every train that was heard of."""

    trains: tuple[Train, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A part of a timeline."""

    items: Annotated[tuple[Item, ...], Field(description="Oldest first.")]


@dataclass(frozen=True, slots=True)
class Frames:
    """Pictures that are kept."""

    frames: Annotated[tuple[FrameRef, ...], Field(description="Oldest first.")]


def read_routes(site: ConsoleApp) -> list[BaseRoute]:
    """Return the routes that only read."""
    reader = _ReadEndpoints(site)
    train = "/api/trains/{train_id}"
    return [
        Route("/api", reader.api),
        Route("/api/trains", reader.trains),
        Route(train, reader.train),
        Route(f"{train}/timeline", reader.timeline),
        Route(f"{train}/frames", reader.frames),
        Route(f"{train}/frames/{{frame_id}}.jpg", reader.picture),
        Route(f"{train}/frames/{{frame_id}}", reader.frame),
        Route(f"{train}/snapshot.jpg", reader.snapshot),
    ]


class _ReadEndpoints:
    def __init__(self, site: ConsoleApp) -> None:
        self._site = site
        self._store = site.store

    async def api(self, request: Request) -> Response:
        """Say what this server is and how one may command."""
        self._site.admit(request)
        return view(self._site.facts(request))

    async def trains(self, request: Request) -> Response:
        """List the trains."""
        self._site.admit(request)
        return view(Trains(tuple(self._store.trains(self._site.now_ms()))))

    async def train(self, request: Request) -> Response:
        """Show one train."""
        return view(self._book(request).view(self._site.now_ms()))

    async def timeline(self, request: Request) -> Response:
        """Show what happened."""
        book = self._book(request)
        limit = min(_number(request, "limit") or MAX_ITEMS, MAX_ITEMS)
        return view(
            Items(tuple(book.timeline.between(_number(request, "since_ms"), _number(request, "before_ms"), limit)))
        )

    async def frames(self, request: Request) -> Response:
        """List the pictures that are kept."""
        book = self._book(request)
        since_ms, before_ms = _number(request, "since_ms"), _number(request, "before_ms")
        kept = (
            FrameRef(picture.frame_id, picture.at_ms)
            for picture in self._store.pictures.of(book.train_id)
            if (since_ms is None or picture.at_ms >= since_ms) and (before_ms is None or picture.at_ms < before_ms)
        )
        return view(Frames(tuple(kept)))

    async def frame(self, request: Request) -> Response:
        """Show what was found in a frame and what came of it."""
        frame = self._store.frame(self._book(request).train_id, request.path_params["frame_id"])
        if frame is None:
            raise ApiError(404, "nothing is known of this frame (any more)", "take one of /api/trains/{id}/frames")
        return view(frame)

    async def picture(self, request: Request) -> Response:
        """Return the picture of a frame."""
        kept = self._store.picture(self._book(request).train_id, request.path_params["frame_id"])
        if kept is None:
            raise ApiError(404, "this picture is not kept (any more)", "take one of /api/trains/{id}/frames")
        return _picture(kept, _KEPT)

    async def snapshot(self, request: Request) -> Response:
        """Return the newest picture."""
        kept = self._store.newest(self._book(request).train_id)
        if kept is None:
            raise ApiError(404, "the train has sent no picture yet", "see whether its camera runs, and kafka.images")
        return _picture(kept, NOT_STORED)

    def _book(self, request: Request) -> TrainProjection:
        self._site.admit(request)
        book = self._store.book(request.path_params["train_id"])
        if book is None:
            raise ApiError(404, "no train of this name was heard of", "take one of /api/trains")
        return book


def _picture(kept: StoredPicture, caching: dict[str, str]) -> Response:
    kind = "image/webp" if kept.data[:4] == b"RIFF" else "image/jpeg"
    headers = {"Content-Type": kind, "X-Frame-Id": kept.frame_id.encode("ascii", "replace").decode()}
    return Response(kept.data, 200, {**headers, **caching})


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ApiError(400, f"{name} has to be a whole number", "leave it out, or give milliseconds since 1970")
    return int(text)
