"""What each event says to other machines: the values of CloudEvents' `data`, one class a kind.

Knows names, units and ranges; the JSON Schemas in docs/schemas are made of these classes. Knows nothing of how an
event becomes one of them. No value is a monotonic time: that clock means nothing on another machine, so moments are
RFC 3339 texts and distances in time are milliseconds.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from edge_agent.events import Action, CommandKind, GuardState, Severity

Moment = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$",
        json_schema_extra={"format": "date-time"},
        description="A moment in UTC (RFC 3339).",
    ),
]
Percent = Annotated[int, Field(ge=0, le=100)]
Milliseconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class BoxData:
    """A rectangle in the frame's pixels; (0, 0) is the top-left corner."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class DetectionData:
    """One sign found in a frame."""

    label: str
    score: Annotated[float, Field(ge=0, le=1)]
    box: BoxData


@dataclass(frozen=True, slots=True)
class PredictionData:
    """What the detector saw in one frame; best score first."""

    frame_id: str
    frame_sequence: Annotated[int, Field(description="Number of the frame since the train's program started.")]
    taken_at: Moment
    width: Annotated[int, Field(ge=1, description="Width of the frame in pixels.")]
    height: Annotated[int, Field(ge=1, description="Height of the frame in pixels.")]
    detections: tuple[DetectionData, ...]
    inference_ms: Milliseconds
    latency_ms: Annotated[Milliseconds, Field(description="From the exposure of the frame to this prediction.")]


@dataclass(frozen=True, slots=True)
class DecisionData:
    """What the signs ask of the train from now on."""

    decision_id: str
    frame_id: Annotated[str | None, Field(description="The sighting that led to it.")]
    action: Action
    power_percent: Percent
    sign: str | None
    reason: str
    latency_ms: Annotated[Milliseconds | None, Field(description="From the exposure of the frame to this decision.")]


@dataclass(frozen=True, slots=True)
class CommandData:
    """One command as it was written to the hub."""

    command_id: str
    kind: CommandKind
    power_percent: Annotated[int, Field(ge=-100, le=100)]
    reason: str
    decision_id: str | None
    frame_id: str | None
    latency_ms: Annotated[Milliseconds | None, Field(description="From the exposure of the frame to this write.")]


@dataclass(frozen=True, slots=True)
class FaultData:
    """Something went wrong, or (with `active` false) is over."""

    code: str
    message: str
    remedy: str
    severity: Severity
    active: bool


@dataclass(frozen=True, slots=True)
class HubData:
    """What the hub last told about itself; null where it has not told yet."""

    connected: bool
    name: str | None
    battery_percent: Percent | None
    voltage_mv: int | None
    current_ma: int | None
    rssi_dbm: int | None
    alerts: Annotated[tuple[str, ...], Field(description="In alphabetical order.")]
    button_pressed: bool
    brake_confirmed: bool


@dataclass(frozen=True, slots=True)
class StateData:
    """A snapshot of the train."""

    train_id: str
    guard: GuardState
    reason: str
    power_percent: Annotated[int, Field(ge=-100, le=100)]
    hub: HubData


Payload = PredictionData | DecisionData | CommandData | FaultData | StateData
"""The value of any event but a frame; a frame's value is the picture itself."""

Kind = Literal["frame", "prediction", "decision", "command", "fault", "state"]
"""Kinds of events, as they stand in the CloudEvents type."""

PAYLOADS: dict[Kind, type[Payload]] = {
    "prediction": PredictionData,
    "decision": DecisionData,
    "command": CommandData,
    "fault": FaultData,
    "state": StateData,
}
"""The class of each kind's value."""
