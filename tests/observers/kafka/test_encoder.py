"""What each event becomes in the outbox, what it weighs there, and that 72 hours of it fit."""

from pathlib import Path

from edge_agent.config import KafkaSettings, Settings
from edge_agent.events import Event, Frame, GuardState
from edge_agent.observers.cloudevents import kafka
from edge_agent.observers.kafka.encoder import RecordEncoder, compression_dictionary
from edge_agent.observers.outbox.outbox import budget_of, outbox_path
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind
from edge_agent.observers.outbox.store import OutboxStore
from edge_agent.perception.vision import CameraPicture
from tests.support import events as make

OUTAGE_H = 72
EMPTY = make.frame().image


def offset_s() -> float:
    return make.UNIX_S


def kinds(encoder: RecordEncoder, *events: Event) -> list[RecordKind]:
    return [record.kind for event in events for record in encoder(event, 1)]


def test_routine_is_telemetry_and_news_are_safety() -> None:
    encoder = RecordEncoder(KafkaSettings(), "train-1", offset_s)
    seen = make.frame()
    decided = make.decision(seen)
    assert kinds(encoder, seen, make.prediction(seen), decided, make.fault()) == [
        RecordKind.IMAGE,
        RecordKind.TELEMETRY,
        RecordKind.SAFETY,
        RecordKind.SAFETY,
    ]
    assert kinds(encoder, make.command(decided), make.command(decided)) == [RecordKind.SAFETY, RecordKind.TELEMETRY]
    states = [make.state(guard) for guard in (GuardState.RUNNING, GuardState.RUNNING, GuardState.STOPPING)]
    assert kinds(encoder, *states) == [RecordKind.SAFETY, RecordKind.TELEMETRY, RecordKind.SAFETY]


def test_record_carries_the_events_own_time_and_the_given_sequence() -> None:
    (record,) = RecordEncoder(KafkaSettings(), "train-1", offset_s)(make.state(), 77)
    envelope = kafka.read(record.headers, record.value)
    assert envelope.sequence == "00000000000000000077"
    assert record.at_ms == round(make.UNIX_S * 1000)
    assert (record.topic, record.key) == ("edge-agent-events", b"train-1")


def test_without_images_frames_leave_nothing_behind() -> None:
    encoder = RecordEncoder(KafkaSettings(images=False), "train-1", offset_s)
    assert kinds(encoder, make.frame(), make.fault()) == [RecordKind.SAFETY]


def test_compat_draws_on_a_copy_and_adds_a_message_that_goes_first_when_room_is_scarce() -> None:
    encoder = RecordEncoder(KafkaSettings(images=False), "train-1", offset_s, compat=True)
    seen = make.frame()
    before = seen.image.copy()
    assert kinds(encoder, seen, make.prediction(seen, make.sighting())) == [RecordKind.TELEMETRY, RecordKind.IMAGE]
    assert (seen.image == before).all()


def second_of_driving(number: int) -> list[Event]:
    """Return what a train in motion publishes in a second at 10 frames a second, frames left out."""
    events: list[Event] = []
    for index in range(10):
        seen = Frame(
            f"019a{number:04x}-{index:04d}-7000-8000-{number * 7919:012x}",
            number * 10 + index,
            CameraPicture(EMPTY),
            0.1,
            1e9,
        )
        found = (make.sighting(score=0.5 + index / 25),) if number % 5 == 0 else ()
        events += [make.prediction(seen, *found), make.command(make.decision(seen))]
    return [*events, make.state(at_s=float(number))]


def test_72_hours_of_events_fit_the_default_budget(tmp_path: Path) -> None:
    """A train that drives all the time: 21 events a second, 5.4 million in all."""
    settings = KafkaSettings()
    store = OutboxStore(
        tmp_path / "outbox.db", budget_of(settings), dictionary=compression_dictionary(settings, "train-1")
    )
    encoder = RecordEncoder(settings, "train-1", offset_s)
    seconds = 60
    for number in range(seconds):
        records: list[OutboxRecord] = []
        for event in second_of_driving(number):
            records += encoder(event, store.next_seq + len(records))
        store.commit(records)
    waiting = sum(count.bytes for count in store.counts.values())
    store.close()
    on_disk = (tmp_path / "outbox.db").stat().st_size
    assert waiting / seconds * OUTAGE_H * 3600 < settings.outbox.max_events_mb * 1_000_000
    assert settings.outbox.max_events_h >= OUTAGE_H
    assert 0.7 < waiting / on_disk < 1.3, "what we count is what the disk holds"


def test_outbox_lies_where_the_settings_say_else_in_the_state_folder(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/edge-agent", "HOME": "/home/a"}
    assert outbox_path(Settings(), environ) == Path("/var/lib/edge-agent/outbox.db")
    chosen = Settings.model_validate({"kafka": {"outbox": {"path": tmp_path / "my.db"}}})
    assert outbox_path(chosen, environ) == tmp_path / "my.db"


def test_pictures_have_the_quality_that_the_settings_ask_for() -> None:
    frame = make.frame()
    sizes = [
        len(RecordEncoder(KafkaSettings(jpeg_quality=q), "train-1", offset_s)(frame, 1)[0].value) for q in (20, 90)
    ]
    assert sizes[0] < sizes[1] / 2
