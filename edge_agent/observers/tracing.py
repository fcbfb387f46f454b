"""Traces of the control path: a span for each frame with its stages below it, exported by OpenTelemetry.

Spans are made after the fact from the times in published events, so the control path does nothing for them; with
tracing off nobody subscribes and OpenTelemetry, an extra, is not imported. It exports in a thread of its own.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.errors import ConfigError, install_remedy
from edge_agent.events import Event, Frame, MotorCommand, Prediction
from edge_agent.ports import EventSource
from edge_agent.runtime.threads import in_daemon_thread

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.util.types import AttributeValue

KEPT = 64
"""Frames that may be open; an older one is exported as it is."""

_END_S = 1.0  # for what still waits for export at the end


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a frame, from and to in seconds on the loop's clock."""

    name: str
    from_s: float
    to_s: float


@dataclass(slots=True)
class FrameTrace:
    """A frame and what came of it: `outcome` is the command's kind, `seen` without one, or `dropped`."""

    frame_id: str
    sequence: int
    taken_s: float
    stages: list[Stage] = field(default_factory=list)
    signs: tuple[str, ...] = ()
    outcome: str = "dropped"

    @property
    def ended_s(self) -> float:
        """When its last stage ended."""
        return max((stage.to_s for stage in self.stages), default=self.taken_s)


class StageCollector:
    """Folds events into traces, which are returned when complete, in the order in which the frames were taken."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, FrameTrace] = OrderedDict()

    def fold(self, event: Event) -> Iterator[FrameTrace]:
        """Process an event; yield the traces that it completes."""
        match event:
            case Frame():
                self._open[event.frame_id] = FrameTrace(event.frame_id, event.sequence, event.taken_s)
                while len(self._open) > KEPT:
                    yield self._open.popitem(last=False)[1]
            case Prediction():
                yield from self._on_prediction(event)
            case MotorCommand():
                self._on_command(event)
            case _:
                pass

    def remaining(self) -> Iterator[FrameTrace]:
        """Yield the traces that are still open, at the end."""
        while self._open:
            yield self._open.popitem(last=False)[1]

    def _on_prediction(self, event: Prediction) -> Iterator[FrameTrace]:
        """Add the stages up to the prediction; this completes older frames, whose command would have come by now."""
        if event.frame_id not in self._open:
            return
        while next(iter(self._open)) != event.frame_id:
            yield self._open.popitem(last=False)[1]
        traced = self._open[event.frame_id]
        began_s = max(event.taken_s, event.done_s - event.inference_ms / 1000)
        traced.stages += [Stage("wait", event.taken_s, began_s), Stage("inference", began_s, event.done_s)]
        traced.signs = tuple(one.label for one in event.detections)
        traced.outcome = "seen"

    def _on_command(self, event: MotorCommand) -> None:
        """Add the first command that a frame caused."""
        traced = self._open.get(event.frame_id or "")
        if traced is None or traced.outcome != "seen":
            return
        traced.stages.append(Stage("drive", traced.ended_s, max(event.written_s, traced.ended_s)))
        traced.outcome = event.kind.value


def open_tracer(train_id: str, endpoint: str, share: float, *, exporter: "SpanExporter | None" = None) -> "Tracer":
    """Return the observer that exports a `share` (0..1) of the frames to `endpoint` (OTLP over HTTP).

    An `exporter` replaces the endpoint. Raises ConfigError if OpenTelemetry is not installed.
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
            remedy=f"{install_remedy('tracing')}, or set tracing.enabled to false",
        ) from error
    # An unreachable collector is not the train's fault: the exporter drops what it cannot send, silently.
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
        """Trace until cancelled, then export what is still open, for at most a second."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                event = await events.get()
                for traced in self._stages.fold(event):
                    self._export(traced, self._wall_ns() - round(clock() * 1e9))
        finally:
            for traced in self._stages.remaining():
                self._export(traced, self._wall_ns() - round(clock() * 1e9))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    await in_daemon_thread(self._provider.shutdown, "tracing-end")

    def _export(self, traced: FrameTrace, offset_ns: int) -> None:
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
