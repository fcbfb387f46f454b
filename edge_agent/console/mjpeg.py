"""The pictures of a train as MJPEG, for tools that expect one.

Knows multipart/x-mixed-replace. Knows nothing of what is in a picture. Who reads too slowly gets fewer pictures: one
is on its way, and the newest waits.
"""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from edge_agent.console.app import ConsoleApp
from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.responses import NOT_STORED, ApiError

_BOUNDARY = "edge-agent-frame"


def stream_routes(site: ConsoleApp) -> list[BaseRoute]:
    """Return the streams."""

    async def stream(request: Request) -> Response:
        site.admit(request)
        train_id = request.path_params["train_id"]
        if site.store.book(train_id) is None:
            raise ApiError(404, "no train of this name was heard of", "take one of /api/trains")
        site.room()
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return StreamingResponse(_parts(site, train_id), headers={**NOT_STORED, "Content-Type": kind})

    return [Route("/api/trains/{train_id}/stream.mjpeg", stream)]


async def _parts(site: ConsoleApp, train_id: str) -> AsyncIterator[bytes]:
    with site.live.tapped(train_id) as tap:
        if (newest := site.store.newest(train_id)) is not None:
            tap.put(newest)
        while True:
            yield _part(await tap.get())


def _part(picture: StoredPicture) -> bytes:
    kind = "image/webp" if picture.data[:4] == b"RIFF" else "image/jpeg"
    head = f"--{_BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Length: {len(picture.data)}\r\n\r\n"
    return b"".join((head.encode(), picture.data, b"\r\n"))
