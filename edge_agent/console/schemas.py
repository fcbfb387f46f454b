"""What the page and other programs get to see: the values of the REST interface and of the live messages.

Knows names and units; the OpenAPI document is made of these classes. Knows nothing of how they come about. Moments are
milliseconds since 1970, which is what a browser reckons in.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from edge_agent.events import Severity
from edge_agent.observers.cloudevents import AnswerData, CommandData, DecisionData, FaultData, StateData
from edge_agent.observers.cloudevents.payloads import BoxData, DetectionData

Ms = Annotated[int, Field(description="Milliseconds since 1970, UTC.")]
ItemKind = Literal["sign", "decision", "command", "fault", "answer"]


@dataclass(frozen=True, slots=True)
class SignData:
    """A sign came into view."""

    label: Annotated[str, Field(description="Kind of sign.")]
    score: Annotated[float, Field(ge=0, le=1, description="How sure the detector was at first sight.")]
    box: Annotated[BoxData, Field(description="Where, in the frame's pixels.")]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the timeline."""

    id: Annotated[str, Field(description="Its own id.")]
    kind: Annotated[ItemKind, Field(description="What it is.")]
    at_ms: Annotated[int, Field(description="When, by the train's wall clock, in ms since 1970.")]
    frame_id: Annotated[str | None, Field(description="The picture behind it.")]
    cause: Annotated[str | None, Field(description="Id of the item, or frame, that led to it.")]
    latency_ms: Annotated[float | None, Field(description="From the exposure of that picture to this.")]
    data: SignData | DecisionData | CommandData | FaultData | AnswerData


@dataclass(frozen=True, slots=True)
class FaultView:
    """A fault that is not over."""

    code: Annotated[str, Field(description="Stable name; see operate.md.")]
    message: Annotated[str, Field(description="What happened.")]
    remedy: Annotated[str, Field(description="What to do.")]
    severity: Annotated[Severity, Field(description="`info` is only told, `degraded` drives on, `stop` brakes.")]
    active: Annotated[bool, Field(description="True: it is not over.")]
    at_ms: Annotated[int, Field(description="When it began, by the train's wall clock, in ms since 1970.")]


@dataclass(frozen=True, slots=True)
class Link:
    """How a connection of the train is."""

    ok: Annotated[bool, Field(description="It works.")]
    text: Annotated[str, Field(description="In words.")]


@dataclass(frozen=True, slots=True)
class OutboxLink:
    """What waits on the train for Kafka."""

    waiting: Annotated[int, Field(ge=0, description="Messages.")]
    bytes: Annotated[int, Field(ge=0, description="Their size.")]


@dataclass(frozen=True, slots=True)
class Links:
    """The connections of a train; null where it has none, or has not told."""

    hub: Link | None = None
    mqtt: Link | None = None
    kafka: Link | None = None
    outbox: OutboxLink | None = None


@dataclass(frozen=True, slots=True)
class Train:
    """One train as it is now."""

    id: Annotated[str, Field(description="The train.")]
    name: Annotated[str, Field(description="Its name for people.")]
    seen_ms: Annotated[int, Field(description="When it last said something, by this server's clock, in ms since 1970.")]
    stale: Annotated[bool, Field(description="It has been silent for 3 s.")]
    state: Annotated[StateData | None, Field(description="What it last told of itself.")]
    faults: Annotated[tuple[FaultView, ...], Field(description="Those that are not over.")]
    links: Links
    fps: Annotated[float, Field(ge=0, description="Frames a second, over the last seconds.")]
    dropped: Annotated[int, Field(ge=0, description="Frames that were taken and not looked at.")]
    speed_mm_s: Annotated[float | None, Field(description="Speed, where the train can tell.")]
    last_sign: Annotated[str | None, Field(description="The sign that came into view last.")]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the server hears nothing of its trains."""

    error: Annotated[str, Field(description="What is wrong.")]
    remedy: Annotated[str, Field(description="What to do.")]


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A picture that is kept."""

    frame_id: Annotated[str, Field(description="Id of the frame.")]
    at_ms: Annotated[int, Field(description="When it was exposed, by the train's wall clock, in ms since 1970.")]


@dataclass(frozen=True, slots=True)
class FrameView:
    """One frame: what was found in it and what came of it."""

    frame_id: Annotated[str, Field(description="Id of the frame.")]
    at_ms: Annotated[int, Field(description="When it was exposed, by the train's wall clock, in ms since 1970.")]
    width: Annotated[int, Field(ge=0, description="Width in pixels; 0 where not known.")]
    height: Annotated[int, Field(ge=0, description="Height in pixels; 0 where not known.")]
    picture: Annotated[bool, Field(description="The picture is still here.")]
    detections: tuple[DetectionData, ...]
    chain: Annotated[tuple[Item, ...], Field(description="Sign, decision, command and answer, oldest first.")]


@dataclass(frozen=True, slots=True)
class Boxes:
    """What the detector saw in a frame, as it goes to viewers."""

    frame_id: str
    at_ms: int
    inference_ms: float
    latency_ms: float
    width: int
    height: int
    detections: tuple[DetectionData, ...]
