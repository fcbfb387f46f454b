"""The values of CloudEvents' `data`, one class per kind of event, and how events become them.

The JSON Schemas in docs/schemas are generated from these classes. No value is a monotonic time, which means nothing on
another machine: points in time are RFC 3339 strings, and durations are milliseconds.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from edge_agent import events

T = TypeVar("T")

Timestamp = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$",
        json_schema_extra={"format": "date-time"},
        description="A point in time, in UTC (RFC 3339).",
    ),
]
Percent = Annotated[int, Field(ge=0, le=100)]
Milliseconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class BoxData:
    """A rectangle in the frame's pixels; (0, 0) is the top-left corner."""

    x1: Annotated[float, Field(description="Left edge.")]
    y1: Annotated[float, Field(description="Top edge.")]
    x2: Annotated[float, Field(description="Right edge.")]
    y2: Annotated[float, Field(description="Bottom edge.")]


@dataclass(frozen=True, slots=True)
class DetectionData:
    """One sign found in a frame."""

    label: Annotated[str, Field(description="Kind of sign.")]
    score: Annotated[float, Field(ge=0, le=1, description="Confidence of the detector.")]
    box: Annotated[BoxData, Field(description="Bounding box in the frame's pixels, from its top left.")]


@dataclass(frozen=True, slots=True)
class PredictionData:
    """What the detector saw in one frame; best score first."""

    frame_id: Annotated[str, Field(description="Id of the frame.")]
    frame_sequence: Annotated[int, Field(description="Number of the frame since the agent started.")]
    taken_at: Annotated[Timestamp, Field(description="When the frame was exposed.")]
    width: Annotated[int, Field(ge=1, description="Width of the frame in pixels.")]
    height: Annotated[int, Field(ge=1, description="Height of the frame in pixels.")]
    detections: Annotated[tuple[DetectionData, ...], Field(description="Signs found, best score first.")]
    inference_ms: Annotated[Milliseconds, Field(description="Time that the network took.")]
    latency_ms: Annotated[Milliseconds, Field(description="From the exposure of the frame to this prediction.")]


@dataclass(frozen=True, slots=True)
class DecisionData:
    """What the signs ask of the train from now on."""

    decision_id: Annotated[str, Field(description="The event's own id.")]
    frame_id: Annotated[str | None, Field(description="Id of the frame that led to it.")]
    action: Annotated[events.Action, Field(description="What the train is to do.")]
    power_percent: Annotated[Percent, Field(description="Motor power asked for.")]
    sign: Annotated[str | None, Field(description="The sign that asks for it.")]
    reason: Annotated[str, Field(description="In words, for people.")]
    latency_ms: Annotated[Milliseconds | None, Field(description="From the exposure of the frame to this decision.")]


@dataclass(frozen=True, slots=True)
class CommandData:
    """One command as it was written to the hub."""

    command_id: Annotated[str, Field(description="The event's own id.")]
    kind: Annotated[events.CommandKind, Field(description="Kind of command.")]
    power_percent: Annotated[int, Field(ge=-100, le=100, description="Motor power, or the light's brightness.")]
    reason: Annotated[str, Field(description="In words, for people.")]
    decision_id: Annotated[str | None, Field(description="The decision that it carries out.")]
    frame_id: Annotated[str | None, Field(description="Id of the frame behind the decision.")]
    latency_ms: Annotated[Milliseconds | None, Field(description="From the exposure of the frame to this write.")]


@dataclass(frozen=True, slots=True)
class FaultData:
    """A fault appeared, or (with `active` false) is over."""

    code: Annotated[str, Field(description="Stable name; see operate.md.")]
    message: Annotated[str, Field(description="What happened.")]
    remedy: Annotated[str, Field(description="What to do.")]
    severity: Annotated[events.Severity, Field(description="`info` only reports, `degraded` drives on, `stop` brakes.")]
    active: Annotated[bool, Field(description="False once it is over.")]


@dataclass(frozen=True, slots=True)
class HubData:
    """What the hub last reported; null where it has not reported yet."""

    connected: Annotated[bool, Field(description="Whether the link is up.")]
    name: Annotated[str | None, Field(description="The hub's own name.")]
    battery_percent: Annotated[Percent | None, Field(description="Battery charge.")]
    voltage_mv: Annotated[int | None, Field(description="Battery voltage in mV.")]
    current_ma: Annotated[int | None, Field(description="Current drawn in mA.")]
    rssi_dbm: Annotated[int | None, Field(description="Radio signal strength in dBm.")]
    alerts: Annotated[tuple[str, ...], Field(description="Active alerts of the hub, in alphabetical order.")]
    button_pressed: Annotated[bool, Field(description="Whether the green button is pressed.")]
    brake_confirmed: Annotated[bool, Field(description="Whether the hub has confirmed the last brake.")]


@dataclass(frozen=True, slots=True)
class StateData:
    """A snapshot of the train."""

    train_id: Annotated[str, Field(description="The train.")]
    guard: Annotated[events.GuardState, Field(description="State of the guard: what the train may do.")]
    reason: Annotated[str, Field(description="Why, in words, for people.")]
    power_percent: Annotated[int, Field(ge=-100, le=100, description="Motor power last written.")]
    hub: Annotated[HubData, Field(description="What the hub last reported; null where it has not reported yet.")]
    cruise_power_percent: Annotated[
        int | None, Field(ge=1, le=100, description="Motor power for driving where no sign asks for less.")
    ] = None
    capture_stopped: Annotated[bool, Field(description="Whether capturing was stopped by command.")] = False
    ended: Annotated[str, Field(description="How the run ended, in words, in its last snapshot; else empty.")] = ""


@dataclass(frozen=True, slots=True)
class AnswerData:
    """The answer to a command from outside."""

    channel: Annotated[str, Field(description="Channel of the command: mqtt, kafka, console, crazy-train.")]
    who: Annotated[str | None, Field(description="Who sent it, if known.")]
    command_id: Annotated[str | None, Field(description="The id that the sender gave it.")]
    verb: Annotated[str, Field(description="What was commanded.")]
    accepted: Annotated[bool, Field(description="Whether the train obeys; not where the guard's state forbids it.")]
    code: Annotated[
        str | None, Field(description="Why it was refused, as docs/mqtt.md lists; null where it was accepted.")
    ]
    state: Annotated[
        str | None, Field(description="The guard's state after the command, or for which it refused the command.")
    ]
    reason: Annotated[str, Field(description="In words: why it was refused, or the guard's reason for its state now.")]


Payload = PredictionData | DecisionData | CommandData | FaultData | StateData | AnswerData
"""The value of any event but a frame; a frame's value is the picture itself."""

EventKind = Literal["frame", "prediction", "decision", "command", "fault", "state", "answer"]
"""Kinds of events, as they stand in the CloudEvents type."""

PAYLOADS: dict[EventKind, type[Payload]] = {
    "prediction": PredictionData,
    "decision": DecisionData,
    "command": CommandData,
    "fault": FaultData,
    "state": StateData,
    "answer": AnswerData,
}
"""The class of each kind's value."""


def to_rfc3339(unix_s: float) -> str:
    """Return a wall-clock time as RFC 3339 text in UTC, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """Return the time of an RFC 3339 text in ms since 1970; raises ValueError for anything else."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def payload_of(
    event: events.Prediction
    | events.Decision
    | events.MotorCommand
    | events.Fault
    | events.TrainState
    | events.CommandResult,
) -> Payload:
    """Return the payload of an event."""
    match event:
        case events.Prediction():
            return _prediction(event)
        case events.Decision():
            return _shared(DecisionData, event, latency_ms=_ms_between(event.taken_s, event.decided_s))
        case events.MotorCommand():
            return _shared(CommandData, event, latency_ms=_ms_between(event.taken_s, event.written_s))
        case events.Fault():
            return _shared(FaultData, event)
        case events.TrainState():
            hub = _shared(HubData, event.hub, alerts=tuple(sorted(event.hub.alerts)))
            return _shared(StateData, event, hub=hub)
        case events.CommandResult():
            return _shared(AnswerData, event)


def _ms_between(start_s: float | None, end_s: float) -> float | None:
    return None if start_s is None else round(max(0.0, end_s - start_s) * 1000, 2)


def _detection(found: events.Detection) -> DetectionData:
    box = found.box
    rounded = BoxData(round(box.x1, 1), round(box.y1, 1), round(box.x2, 1), round(box.y2, 1))
    return DetectionData(found.label, round(found.score, 4), rounded)


def _prediction(event: events.Prediction) -> PredictionData:
    event = event.published()
    return PredictionData(
        frame_id=event.frame_id,
        frame_sequence=event.sequence,
        taken_at=to_rfc3339(event.taken_unix_s),
        width=event.width,
        height=event.height,
        detections=tuple(_detection(found) for found in event.detections),
        inference_ms=round(event.inference_ms, 2),
        latency_ms=_ms_between(event.taken_s, event.done_s) or 0.0,
    )


def _shared(kind: type[T], event: object, **own: Any) -> T:
    """Return a `kind` of the fields that the event has by the same name, and `own`."""
    names = (field.name for field in fields(kind) if field.name not in own)  # type: ignore[arg-type]  # a dataclass
    return kind(**{name: getattr(event, name) for name in names}, **own)
