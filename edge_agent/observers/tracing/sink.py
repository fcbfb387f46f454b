"""Hands frames and their stages to OpenTelemetry, which exports them in a thread of its own.

Knows OpenTelemetry's SDK, which is an extra and imported only here. Knows nothing of how stages are found. Spans are
made after the fact, from the events' own times: with tracing off nothing subscribes and nothing is paid.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_agent.errors import ConfigError
from edge_agent.events import Frame, MotorCommand, Prediction
from edge_agent.observers.tracing.stages import FrameTrace, StageCollector
from edge_agent.ports import EventSource
from edge_agent.runtime.threads import in_daemon_thread

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.util.types import AttributeValue

_END_S = 1.0
"""What waits at the end may still be exported for so long."""


def open_tracer(train_id: str, endpoint: str, share: float, *, exporter: "SpanExporter | None" = None) -> "Tracer":
    """Return the observer that exports to `endpoint` (OTLP over HTTP), a `share` (0..1) of the frames.

    An `exporter` takes the endpoint's place. Raises ConfigError where OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

            exporter = OTLPSpanExporter(endpoint, timeout=2)
    except ImportError as error:
        raise ConfigError(
            f"tracing needs OpenTelemetry ({error.name} is missing)",
            remedy="install edge-agent[tracing], or set tracing.enabled to false",
        ) from error
    # A collector that is away is no fault of the train's: the exporter drops what it cannot send.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    logging.getLogger("opentelemetry").propagate = False
    resource = Resource.create({"service.name": "edge-agent", "service.instance.id": train_id})
    provider = TracerProvider(sampler=TraceIdRatioBased(share), resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracer(provider)


class Tracer:
    """A Sink that turns what happens to each frame into spans.

    Args:
        provider: where spans go.
        wall_ns: the wall clock, in ns since 1970.
    """

    name = "tracing"
    wants = (Frame, Prediction, MotorCommand)

    def __init__(self, provider: "TracerProvider", wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("edge_agent")
        self._wall_ns = wall_ns
        self._stages = StageCollector()

    async def run(self, events: EventSource) -> None:
        """Trace until cancelled; then tell what is still open, and end within a second."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                event = await events.get()
                for traced in self._stages.fold(event):
                    self._tell(traced, self._wall_ns() - round(clock() * 1e9))
        finally:
            for traced in self._stages.rest():
                self._tell(traced, self._wall_ns() - round(clock() * 1e9))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    await in_daemon_thread(self._provider.shutdown, "tracing-end")

    def _tell(self, traced: FrameTrace, offset_ns: int) -> None:
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415 - an extra; loaded by now

        def ns(at_s: float) -> int:
            return round(at_s * 1e9) + offset_ns

        attributes: dict[str, AttributeValue] = {
            "frame.id": traced.frame_id,
            "frame.sequence": traced.sequence,
            "frame.outcome": traced.outcome,
            "frame.signs": traced.signs,
        }
        span = self._tracer.start_span("frame", attributes=attributes, start_time=ns(traced.taken_s))
        inside = set_span_in_context(span)
        for stage in traced.stages:
            child = self._tracer.start_span(stage.name, context=inside, start_time=ns(stage.from_s))
            child.end(ns(stage.to_s))
        span.end(ns(traced.ended_s))
