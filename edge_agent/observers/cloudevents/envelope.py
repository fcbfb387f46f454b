"""Event <-> envelope: the CloudEvents 1.0 attributes around a payload, independent of the transport.

The chain from sign to motion can be followed by `causationid`, which is always the `id` of another event: a
prediction's is its frame, a decision's is the prediction it rests on, a command's is its decision. An answer's is the
id of the command from outside, which is an event's id if it came as an event.
"""

from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from edge_agent.events import CommandResult, Decision, Event, Fault, Frame, MotorCommand, Prediction, TrainState
from edge_agent.observers.cloudevents import names
from edge_agent.observers.cloudevents.names import MalformedMessageError
from edge_agent.observers.cloudevents.payloads import PAYLOADS, EventKind, Payload, payload_of, to_rfc3339

SEQUENCE_DIGITS = 20
"""Enough for any 64-bit number, so that texts sort as the numbers do."""

_ADAPTERS: dict[EventKind, TypeAdapter[Payload]] = {kind: TypeAdapter(payload) for kind, payload in PAYLOADS.items()}


@dataclass(frozen=True, slots=True)
class Envelope:
    """One CloudEvent: its attributes as texts and its value as bytes."""

    id: str
    source: str
    type: str
    data: bytes = field(repr=False)
    datacontenttype: str = names.JSON
    subject: str | None = None
    time: str | None = None
    sequence: str | None = None
    partitionkey: str | None = None
    causationid: str | None = None

    @property
    def kind(self) -> str | None:
        """The kind of event (`prediction`, ...), None for a foreign type."""
        return names.kind_of(self.type)

    @property
    def train_id(self) -> str | None:
        """The train that sent it, None for a source that is no train."""
        return names.train_of(self.source)

    def attributes(self) -> dict[str, str]:
        """Return every attribute that is set, `specversion` included, `datacontenttype` not."""
        pairs = (
            ("specversion", names.SPEC_VERSION),
            ("id", self.id),
            ("source", self.source),
            ("type", self.type),
            ("subject", self.subject),
            ("time", self.time),
            ("sequence", self.sequence),
            ("partitionkey", self.partitionkey),
            ("causationid", self.causationid),
        )
        return {name: value for name, value in pairs if value is not None}


@dataclass(frozen=True, slots=True)
class EventContext:
    """The CloudEvents context that an event does not carry itself.

    `offset_s` is wall clock minus event-loop clock; `sequence` orders the events of one train as they were encoded.
    """

    train_id: str
    sequence: int
    offset_s: float


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An encoded picture and its content type."""

    data: bytes = field(repr=False)
    content_type: str = names.JPEG


def prediction_id(frame_id: str) -> str:
    """Return the id of a frame's prediction: ids are unique within a source, so it cannot be the frame's own."""
    return f"{frame_id}.prediction"


def to_cloudevent(event: Event, context: EventContext, picture: EncodedImage | None = None) -> Envelope:
    """Return the envelope of `event`; raises ValueError for a Frame without its encoded `picture`."""
    kind, event_id, subject, unix_s, cause = _identity(event, context.offset_s)
    if not isinstance(event, Frame):
        value = EncodedImage(_ADAPTERS[kind].dump_json(payload_of(event)), names.JSON)
    elif picture is None:
        raise ValueError("a frame needs its encoded picture")
    else:
        value = picture
    return Envelope(
        id=event_id,
        source=names.source_of(context.train_id),
        type=names.type_of(kind),
        data=value.data,
        datacontenttype=value.content_type,
        subject=subject,
        time=to_rfc3339(unix_s),
        sequence=f"{context.sequence:0{SEQUENCE_DIGITS}d}",
        partitionkey=context.train_id,
        causationid=cause,
    )


def from_cloudevent(envelope: Envelope) -> Payload | EncodedImage:
    """Return the payload of one of our events; raises MalformedMessageError for anything else."""
    kind = envelope.kind
    if kind == "frame":
        return EncodedImage(envelope.data, envelope.datacontenttype)
    adapter = next((adapter for name, adapter in _ADAPTERS.items() if name == kind), None)
    if adapter is None:
        raise MalformedMessageError(f"'{envelope.type}' is not an event of a train", type=envelope.type)
    try:
        return adapter.validate_json(envelope.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "data"
        raise MalformedMessageError(f"invalid value of a {kind}: {where}: {first['msg']}", type=kind) from None


def _identity(event: Event, offset_s: float) -> tuple[EventKind, str, str, float, str | None]:
    """Return kind, id, subject, wall-clock time and cause of an event."""
    match event:
        case Frame():
            return "frame", event.frame_id, "camera", event.taken_unix_s, None
        case Prediction():
            done_unix_s = event.taken_unix_s + event.done_s - event.taken_s
            return "prediction", prediction_id(event.frame_id), "detector", done_unix_s, event.frame_id
        case Decision():
            cause = prediction_id(event.frame_id) if event.frame_id else None
            return "decision", event.decision_id, "policy", event.decided_s + offset_s, cause
        case MotorCommand():
            return "command", event.command_id, "hub", event.written_s + offset_s, event.decision_id
        case _:
            return _status_identity(event, offset_s)


def _status_identity(
    event: Fault | TrainState | CommandResult, offset_s: float
) -> tuple[EventKind, str, str, float, str | None]:
    match event:
        case Fault():
            return "fault", event.event_id, event.code, event.at_s + offset_s, None
        case TrainState():
            return "state", event.event_id, "guard", event.at_unix_s, None
        case CommandResult():
            return "answer", event.event_id, "commands", event.at_s + offset_s, event.command_id
