"""Traces: a span a frame with its stages, made from events; nothing where nobody asked."""

import asyncio
import builtins
import contextlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from edge_agent.errors import ConfigError
from edge_agent.events import Box, CommandKind, Detection, Event, Frame, MotorCommand, Prediction
from edge_agent.observers.tracing import KEPT, StageCollector, open_tracer
from edge_agent.perception.vision import CameraPicture
from edge_agent.runtime.queues import Fanout

IMAGE = np.zeros((4, 6, 3), np.uint8)


def frame(number: int, taken_s: float) -> Frame:
    return Frame(f"f{number}", number, CameraPicture(IMAGE), taken_s, 1e9 + taken_s)


def prediction(number: int, taken_s: float) -> Prediction:
    seen = (Detection("stop", 0.9, Box(1, 1, 3, 3)),)
    return Prediction(f"f{number}", number, taken_s, 1e9, 6, 4, seen, 20.0, taken_s + 0.025)


def command(number: int, taken_s: float) -> MotorCommand:
    return MotorCommand("c", CommandKind.DRIVE, 50, taken_s + 0.026, "why", None, f"f{number}", taken_s)


async def traced(*events: Event, share: float = 1.0) -> tuple[ReadableSpan, ...]:
    exporter = InMemorySpanExporter()
    tracer = open_tracer("train-1", "unused", share, exporter=exporter)
    fanout: Fanout[Event] = Fanout()
    task = asyncio.create_task(tracer.run(fanout.subscribe("tracing", 256)))
    await asyncio.sleep(0)
    for event in events:
        fanout.publish(event)
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return exporter.get_finished_spans()


async def test_frame_that_led_to_a_command_has_its_three_stages_below_it() -> None:
    spans = await traced(frame(1, 10.0), prediction(1, 10.0), command(1, 10.0))
    whole = next(span for span in spans if span.name == "frame")
    stages = {span.name: span for span in spans if span.parent is not None}
    assert set(stages) == {"wait", "inference", "drive"}
    assert {span.parent.span_id for span in stages.values()} == {whole.context.span_id}
    took_ms = {name: round((span.end_time - span.start_time) / 1e6, 3) for name, span in stages.items()}
    assert took_ms == {"wait": 5.0, "inference": 20.0, "drive": 1.0}
    assert round((whole.end_time - whole.start_time) / 1e6, 3) == 26.0
    assert dict(whole.attributes or {}) == {
        "frame.id": "f1",
        "frame.sequence": 1,
        "frame.outcome": "drive",
        "frame.signs": ("stop",),
    }
    assert whole.resource.attributes["service.instance.id"] == "train-1"


async def test_frame_that_was_never_looked_at_is_dropped() -> None:
    spans = await traced(frame(1, 10.0), frame(2, 10.1), prediction(2, 10.1))
    told = {span.attributes["frame.sequence"]: span.attributes["frame.outcome"] for span in spans if span.attributes}
    assert told == {1: "dropped", 2: "seen"}


async def test_share_of_nothing_exports_nothing() -> None:
    assert await traced(frame(1, 10.0), prediction(1, 10.0), share=0.0) == ()


def test_stages_keep_no_more_frames_open_than_they_may() -> None:
    stages = StageCollector()
    out = [one for number in range(KEPT + 5) for one in stages.fold(frame(number, float(number)))]
    assert [one.sequence for one in out] == list(range(5))


def test_second_command_of_a_frame_adds_no_stage() -> None:
    stages = StageCollector()
    events = (frame(1, 1.0), prediction(1, 1.0), command(1, 1.0), command(1, 1.0))
    assert [one for event in events for one in stages.fold(event)] == []
    (only,) = stages.remaining()
    assert [stage.name for stage in only.stages] == ["wait", "inference", "drive"]


def test_prediction_of_an_unknown_frame_changes_nothing() -> None:
    stages = StageCollector()
    assert list(stages.fold(prediction(9, 1.0))) == []
    assert list(stages.remaining()) == []


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry.sdk"):
            raise ImportError(name, name="opentelemetry")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pip install '\.\[tracing\]'"):
        open_tracer("train-1", "http://127.0.0.1:4318/v1/traces", 1.0)


def test_off_nothing_subscribes_and_opentelemetry_is_not_even_imported() -> None:
    code = (
        "import sys; from edge_agent.agent.observers import tracing; import edge_agent.agent; "
        "from edge_agent.config import Settings; "
        "print(tracing(Settings()), [name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "() []"
