"""Whether the agent lives and whether it is ready, told from the events it publishes.

Knows events and times. Knows nothing of HTTP. Pure: the clock is an argument.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_agent.events import Event, Frame, GuardState, Prediction, TrainState
from edge_agent.observers.metrics import TrainMetrics, render
from edge_agent.ports import EventSource

SILENCE_S = 5.0
"""The control tells the train's state every second; after this long without one it does not work any more."""

FRESH_S = 2.0
"""A picture, or a picture that was understood, is fresh for this long; the guard itself brakes much sooner."""


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """What is wrong, in words; nothing where all is well."""

    troubles: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Tell whether all is well."""
        return not self.troubles


class HealthMonitor:
    """Folds events into what the two health checks need.

    Args:
        started_s: when the agent started, by the loop's clock; it has SILENCE_S to say something.
    """

    def __init__(self, started_s: float) -> None:
        self._told_s = started_s
        self._state: TrainState | None = None
        self._frame_s: float | None = None
        self._prediction_s: float | None = None

    def fold(self, event: Event, now_s: float) -> None:
        """Take note of an event that came at `now_s`."""
        match event:
            case Frame():
                self._frame_s = event.taken_s
            case Prediction():
                self._prediction_s = event.taken_s
            case TrainState():
                self._state, self._told_s = event, now_s
            case _:
                pass

    def live(self, now_s: float) -> HealthStatus:
        """Tell whether the control does its work. Who asks hears nothing where the loop itself stands still."""
        silent_s = now_s - self._told_s
        return HealthStatus((f"the control has been silent for {silent_s:.0f} s",) if silent_s > SILENCE_S else ())

    def ready(self, now_s: float) -> HealthStatus:
        """Tell whether the train could drive if told to: camera, detector and hub work, and no fault holds it."""
        troubles = list(self.live(now_s).troubles)
        troubles += _stale("picture", self._frame_s, now_s)
        troubles += _stale("picture that the detector understood", self._prediction_s, now_s)
        state = self._state
        if state is None:
            troubles.append("the guard has not spoken yet")
        else:
            if not state.hub.connected:
                troubles.append("the hub is not connected")
            if state.guard in (GuardState.INIT, GuardState.FAULT_LATCHED):
                troubles.append(f"{state.guard.value.replace('_', ' ')}: {state.reason}")
        return HealthStatus(tuple(troubles))


def _stale(what: str, taken_s: float | None, now_s: float) -> list[str]:
    if taken_s is None:
        return [f"there was no {what} yet"]
    age_s = now_s - taken_s
    return [f"the last {what} is {age_s:.1f} s old"] if age_s > FRESH_S else []


class HealthObserver:
    """Folds each event where it is needed; never waits for anything but the next."""

    name = "metrics"

    def __init__(self, health: HealthMonitor, metrics: TrainMetrics) -> None:
        self._health = health
        self._metrics = metrics

    async def run(self, events: EventSource) -> None:
        """Watch until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            event = await events.get()
            self._health.fold(event, clock())
            self._metrics.fold(event)


_NOT_STORED = {"Cache-Control": "no-store"}


def status_routes(
    health: HealthMonitor, registry: CollectorRegistry, clock: Callable[[], float] | None = None
) -> list[Route]:
    """Return the routes; `clock` is the loop's by default.

    `/healthz` and `/readyz` answer 200 where all is well and 503 where not, both with `{"ok", "troubles"}`.
    """

    def now_s() -> float:
        return (clock or asyncio.get_running_loop().time)()

    async def metrics(request: Request) -> Response:
        # Some milliseconds of work: done in a thread, so that the control path need not wait for it.
        body, content_type = await run_in_threadpool(render, registry, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type, **_NOT_STORED})

    async def healthz(request: Request) -> Response:
        return _answer(health.live(now_s()))

    async def readyz(request: Request) -> Response:
        return _answer(health.ready(now_s()))

    return [Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]


def _answer(verdict: HealthStatus) -> Response:
    body = {"ok": verdict.ok, "troubles": list(verdict.troubles)}
    return JSONResponse(body, status_code=200 if verdict.ok else 503, headers=_NOT_STORED)
