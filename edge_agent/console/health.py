"""Liveness, readiness and metrics of the agent, derived from the events that it publishes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_agent.console.responses import NOT_STORED
from edge_agent.events import Event, Frame, GuardState, Prediction, TrainState
from edge_agent.observers.metrics import TrainMetrics, render
from edge_agent.ports import EventSource

SILENCE_S = 5.0
"""Control publishes the train's state every second; after this long without one it counts as dead."""

FRESH_S = 2.0
"""Age up to which a frame or prediction counts as fresh; the guard itself brakes much sooner."""


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """What is wrong, in words; empty if all is well."""

    troubles: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.troubles


class HealthMonitor:
    """Folds events into the state of the two health checks.

    Args:
        started_s: start of the agent on the loop's clock; the first state is due SILENCE_S later.
    """

    def __init__(self, started_s: float) -> None:
        self._last_state_s = started_s
        self._state: TrainState | None = None
        self._frame_s: float | None = None
        self._prediction_s: float | None = None

    def fold(self, event: Event, now_s: float) -> None:
        """Process an event received at `now_s`."""
        match event:
            case Frame():
                self._frame_s = event.taken_s
            case Prediction():
                self._prediction_s = event.taken_s
            case TrainState():
                self._state, self._last_state_s = event, now_s
            case _:
                pass

    def live(self, now_s: float) -> HealthStatus:
        """Return whether control works."""
        silent_s = now_s - self._last_state_s
        return HealthStatus((f"control has published no state for {silent_s:.0f} s",) if silent_s > SILENCE_S else ())

    def ready(self, now_s: float) -> HealthStatus:
        """Return whether the train could drive if commanded to: camera, detector and hub work, no fault is latched."""
        troubles = list(self.live(now_s).troubles)
        troubles += _freshness_troubles("frame", self._frame_s, now_s)
        troubles += _freshness_troubles("prediction", self._prediction_s, now_s)
        state = self._state
        if state is None:
            troubles.append("the guard has not reported its state yet")
        else:
            if not state.hub.connected:
                troubles.append("the hub is not connected")
            if state.guard in (GuardState.INIT, GuardState.FAULT_LATCHED):
                troubles.append(f"{state.guard.value.replace('_', ' ')}: {state.reason}")
        return HealthStatus(tuple(troubles))


def _freshness_troubles(kind: str, taken_s: float | None, now_s: float) -> list[str]:
    if taken_s is None:
        return [f"no {kind} yet"]
    age_s = now_s - taken_s
    return [f"the last {kind} is {age_s:.1f} s old"] if age_s > FRESH_S else []


class HealthObserver:
    """A Sink that folds events into health and metrics."""

    name = "metrics"

    def __init__(self, health: HealthMonitor, metrics: TrainMetrics) -> None:
        self._health = health
        self._metrics = metrics

    async def run(self, events: EventSource) -> None:
        """Process events until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            event = await events.get()
            self._health.fold(event, clock())
            self._metrics.fold(event)


def status_routes(
    health: HealthMonitor, registry: CollectorRegistry, clock: Callable[[], float] | None = None
) -> list[Route]:
    """Return the routes; `clock` is the loop's by default.

    `/healthz` and `/readyz` return 200 if all is well and 503 if not, both with `{"ok", "troubles"}`.
    """

    def now_s() -> float:
        return (clock or asyncio.get_running_loop().time)()

    async def metrics(request: Request) -> Response:
        # Takes several milliseconds: in a worker thread, so that the event loop is not blocked meanwhile.
        body, content_type = await run_in_threadpool(render, registry, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type, **NOT_STORED})

    async def healthz(request: Request) -> Response:
        return _health_response(health.live(now_s()))

    async def readyz(request: Request) -> Response:
        return _health_response(health.ready(now_s()))

    return [Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]


def _health_response(status: HealthStatus) -> Response:
    body = {"ok": status.ok, "troubles": list(status.troubles)}
    return JSONResponse(body, status_code=200 if status.ok else 503, headers=NOT_STORED)
