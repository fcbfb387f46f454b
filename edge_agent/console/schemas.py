"""The values of the REST API and of the WebSocket messages; the OpenAPI document is generated from these classes.

Times are in ms since 1970-01-01 UTC, as in JavaScript's `Date`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from edge_agent.events import Severity
from edge_agent.observers.cloudevents import AnswerData, CommandData, DecisionData, FaultData, StateData
from edge_agent.observers.cloudevents.payloads import BoxData, DetectionData

Ms = Annotated[int, Field(description="Milliseconds since 1970, UTC.")]
ItemKind = Literal["sign", "decision", "command", "fault", "answer"]


@dataclass(frozen=True, slots=True)
class SignData:
    """A sign came into view."""

    label: Annotated[str, Field(description="Class of the sign.")]
    score: Annotated[float, Field(ge=0, le=1, description="Confidence of the first detection.")]
    box: Annotated[BoxData, Field(description="Bounding box in pixels of the frame.")]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the timeline."""

    id: Annotated[str, Field(description="Id of the item.")]
    kind: Annotated[ItemKind, Field(description="Kind of item.")]
    at_ms: Annotated[int, Field(description="Time on the train's clock, in ms since 1970.")]
    frame_id: Annotated[str | None, Field(description="Frame it is based on.")]
    cause: Annotated[str | None, Field(description="Id of the item or frame that caused it.")]
    latency_ms: Annotated[float | None, Field(description="Time from the exposure of that frame to this item, in ms.")]
    data: SignData | DecisionData | CommandData | FaultData | AnswerData


@dataclass(frozen=True, slots=True)
class FaultView:
    """An active fault."""

    code: Annotated[str, Field(description="Stable identifier; see operate.md.")]
    message: Annotated[str, Field(description="What happened.")]
    remedy: Annotated[str, Field(description="What to do.")]
    severity: Annotated[Severity, Field(description="`info` only informs, `degraded` keeps driving, `stop` brakes.")]
    active: Annotated[bool, Field(description="Always true: cleared faults are not listed.")]
    at_ms: Annotated[int, Field(description="When it was raised, on the train's clock, in ms since 1970.")]


@dataclass(frozen=True, slots=True)
class Link:
    """The state of one of the train's connections."""

    ok: Annotated[bool, Field(description="Whether it works.")]
    text: Annotated[str, Field(description="State in words.")]


@dataclass(frozen=True, slots=True)
class OutboxLink:
    """Messages stored on the train that Kafka has not received yet."""

    waiting: Annotated[int, Field(ge=0, description="Number of messages.")]
    bytes: Annotated[int, Field(ge=0, description="Their size in bytes.")]


@dataclass(frozen=True, slots=True)
class Links:
    """The connections of a train; null where it has none or has not reported."""

    hub: Link | None = None
    mqtt: Link | None = None
    kafka: Link | None = None
    outbox: OutboxLink | None = None


@dataclass(frozen=True, slots=True)
class Train:
    """The current state of one train."""

    id: Annotated[str, Field(description="Id of the train.")]
    name: Annotated[str, Field(description="Display name.")]
    seen_ms: Annotated[int, Field(description="When its last event arrived, on this server's clock, in ms since 1970.")]
    stale: Annotated[bool, Field(description="No event has arrived for 3 s.")]
    state: Annotated[StateData | None, Field(description="The state it reported last.")]
    faults: Annotated[tuple[FaultView, ...], Field(description="Active faults.")]
    links: Links
    fps: Annotated[float, Field(ge=0, description="Frames per second over the last seconds.")]
    dropped: Annotated[int, Field(ge=0, description="Frames captured but not processed.")]
    speed_mm_s: Annotated[float | None, Field(description="Speed, where the train can measure it.")]
    last_sign: Annotated[str | None, Field(description="The sign that most recently came into view.")]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the server receives no events."""

    error: Annotated[str, Field(description="What is wrong.")]
    remedy: Annotated[str, Field(description="What to do.")]


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A stored picture."""

    frame_id: Annotated[str, Field(description="Id of the frame.")]
    at_ms: Annotated[int, Field(description="Exposure time on the train's clock, in ms since 1970.")]


@dataclass(frozen=True, slots=True)
class FrameView:
    """One frame: what was detected in it and what that led to."""

    frame_id: Annotated[str, Field(description="Id of the frame.")]
    at_ms: Annotated[int, Field(description="Exposure time on the train's clock, in ms since 1970.")]
    width: Annotated[int, Field(ge=0, description="Width in pixels; 0 if unknown.")]
    height: Annotated[int, Field(ge=0, description="Height in pixels; 0 if unknown.")]
    picture: Annotated[bool, Field(description="Whether its picture is still stored.")]
    detections: tuple[DetectionData, ...]
    chain: Annotated[tuple[Item, ...], Field(description="Sign, decision, command and answer, oldest first.")]


@dataclass(frozen=True, slots=True)
class Boxes:
    """The detections of one frame, as sent to viewers. Sizes and boxes are in pixels of the full frame."""

    frame_id: str
    at_ms: int
    inference_ms: float
    latency_ms: float
    width: int
    height: int
    detections: tuple[DetectionData, ...]


def to_json(value: Any) -> bytes:
    """Serialize one of the classes above."""
    kind: Any = type(value)
    return _adapter(kind).dump_json(value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
