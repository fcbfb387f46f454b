"""What monitoring asks for: `/metrics`, `/healthz` and `/readyz`.

Knows HTTP's words. Knows nothing of sockets.
"""

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_agent.console.health import Health, Verdict
from edge_agent.metrics import Registry

_NOT_STORED = {"Cache-Control": "no-store"}


def status_routes(health: Health, registry: Registry, clock: Callable[[], float] | None = None) -> list[Route]:
    """Return the routes; `clock` is the loop's by default.

    `/healthz` and `/readyz` answer 200 where all is well and 503 where not, both with `{"ok", "troubles"}`.
    """

    def now_s() -> float:
        return (clock or asyncio.get_running_loop().time)()

    async def metrics(request: Request) -> Response:
        # Some milliseconds of work: done in a thread, so that the control path need not wait for it.
        body, content_type = await run_in_threadpool(registry.render, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type, **_NOT_STORED})

    async def healthz(request: Request) -> Response:
        return _answer(health.live(now_s()))

    async def readyz(request: Request) -> Response:
        return _answer(health.ready(now_s()))

    return [Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]


def _answer(verdict: Verdict) -> Response:
    body = {"ok": verdict.ok, "troubles": list(verdict.troubles)}
    return JSONResponse(body, status_code=200 if verdict.ok else 503, headers=_NOT_STORED)
