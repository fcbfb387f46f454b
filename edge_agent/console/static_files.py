"""The page's own files: read once, served from memory.

Knows which kinds of files a page is made of. Knows nothing of what they say.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.console.responses import ApiError

_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
    "png": "image/png",
    "woff2": "font/woff2",
    "webmanifest": "application/manifest+json",
}
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class _StaticFile:
    kind: str
    tag: str
    data: bytes = field(repr=False)


def page_routes() -> list[BaseRoute]:
    """Return `/` and `/page/<file>`; a browser asks each time whether a file is still the same."""
    files = {path.name: found for path in _paths() if (found := _read(path.name)) is not None}

    async def index(request: Request) -> Response:
        return _answer(request, files, _INDEX)

    async def file(request: Request) -> Response:
        return _answer(request, files, request.path_params["name"])

    return [Route("/", index), Route("/page/{name}", file)]


def _folder() -> resources.abc.Traversable:
    return resources.files("edge_agent.console") / "page"


def _paths() -> Iterator[resources.abc.Traversable]:
    folder = _folder()
    return folder.iterdir() if folder.is_dir() else iter(())


def _read(name: str) -> _StaticFile | None:
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None:
        return None
    data = (_folder() / name).read_bytes()
    return _StaticFile(kind, f'"{hashlib.sha256(data).hexdigest()[:16]}"', data)


def _answer(request: Request, files: dict[str, _StaticFile], name: str) -> Response:
    found = files.get(name)
    if found is None:
        raise ApiError(404, "the page has no such file", "open / instead")
    headers = {"ETag": found.tag, "Cache-Control": "no-cache", "Content-Type": found.kind}
    if request.headers.get("if-none-match") == found.tag:
        return Response(None, 304, headers)
    return Response(found.data, 200, headers)
