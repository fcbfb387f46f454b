"""Events -> outbox records for Kafka: the topic, the CloudEvents mode, and how much each record matters."""

from collections.abc import Callable, Sequence

from edge_agent.config import KafkaSettings
from edge_agent.events import CommandKind, Event, Frame, GuardState, HubStatus, MotorCommand, Prediction, TrainState
from edge_agent.observers.cloudevents import EventContext, kafka, to_cloudevent
from edge_agent.observers.cloudevents.images import encode_jpeg
from edge_agent.observers.cloudevents.payloads import from_rfc3339
from edge_agent.observers.crazy_train.pictures import MonitoringEncoder
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind, serialise


class RecordEncoder:
    """Turns events into records, in order; remembers the last state and command to tell news from routine.

    Args:
        settings: the topic, the CloudEvents mode and the quality of pictures.
        train_id: names the train in events and keys.
        offset_s: returns wall clock minus event-loop clock, in seconds.
        compat: also encode the original demo's `train-monitoring`.
    """

    def __init__(
        self, settings: KafkaSettings, train_id: str, offset_s: Callable[[], float], *, compat: bool = False
    ) -> None:
        self._settings = settings
        self._train_id = train_id
        self._offset_s = offset_s
        self._write = kafka.binary if settings.mode == "binary" else kafka.structured_json
        self._monitoring = MonitoringEncoder(train_id) if compat else None
        self._guard: GuardState | None = None
        self._written: tuple[CommandKind, int] | None = None

    def __call__(self, event: Event, sequence: int) -> Sequence[OutboxRecord]:
        """Return the records of an event; the first gets `sequence`. Raises FatalError for an unencodable picture."""
        records = []
        if self._settings.images or not isinstance(event, Frame):
            records.append(self._record(event, sequence))
        if self._monitoring is not None:
            records.extend(self._monitoring.records(event))
        return records

    def _record(self, event: Event, sequence: int) -> OutboxRecord:
        context = EventContext(self._train_id, sequence, self._offset_s())
        picture = encode_jpeg(event.image, self._settings.jpeg_quality) if isinstance(event, Frame) else None
        envelope = to_cloudevent(event, context, picture)
        headers, value = self._write(envelope)
        at_ms = from_rfc3339(envelope.time or "")
        return OutboxRecord(self._kind(event), self._settings.topic, self._train_id.encode(), headers, value, at_ms)

    def _kind(self, event: Event) -> RecordKind:
        """Return how much an event matters: a state or command that says nothing new is telemetry."""
        match event:
            case Frame():
                return RecordKind.IMAGE
            case Prediction():
                return RecordKind.TELEMETRY
            case TrainState():
                news, self._guard = event.guard is not self._guard, event.guard
                return RecordKind.SAFETY if news else RecordKind.TELEMETRY
            case MotorCommand():
                written = (event.kind, event.power_percent)
                news, self._written = written != self._written, written
                return RecordKind.SAFETY if news else RecordKind.TELEMETRY
            case _:
                return RecordKind.SAFETY


def compression_dictionary(settings: KafkaSettings, train_id: str) -> bytes:
    """Return the zlib dictionary of this train's rows: what they have in common, and need not repeat."""
    encoder = RecordEncoder(settings, train_id, lambda: 0.0)
    uuid = "019a0000-0000-7000-8000-000000000000"
    samples: tuple[Event, ...] = (
        Prediction(uuid, 100, 10.0, 1_760_000_000.0, 600, 400, (), 14.2, 10.03),
        TrainState(train_id, GuardState.RUNNING, "no sign asks for less", 75, _HUB, 10.0, 1_760_000_000.0),
        MotorCommand(uuid, CommandKind.DRIVE, 75, 10.0, "no sign asks for less", uuid, uuid, 9.97),
    )
    # The most frequent goes last: deflate has the shortest codes for the nearest bytes.
    records = [record for event in reversed(samples) for record in encoder(event, 0)]
    return b"".join(serialise(record) for record in records)


_HUB = HubStatus(True, battery_percent=100, voltage_mv=8000, current_ma=100, rssi_dbm=-60, name="Train")
