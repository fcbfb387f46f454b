"""The store: trains, timelines and pictures folded from events."""

import dataclasses

import pytest
from hypothesis import given, strategies as st

from edge_agent.console.schemas import Item, Link, Links, SignData
from edge_agent.console.store import MAX_TRAINS, BoxesSeen, FrameTaken, ItemAdded, TrainRemoved, TrainStore
from edge_agent.console.train_state import Timeline
from edge_agent.events import CommandKind, CommandResult, Event, Fault, GuardState, Severity
from edge_agent.observers.cloudevents import Envelope
from edge_agent.observers.cloudevents.payloads import BoxData
from tests.console.rig import NOW_MS, envelope
from tests.support import events as make

DAY_MS = 24 * 3600 * 1000


def store() -> TrainStore:
    return TrainStore(10_000_000, 300)


def fold(target: TrainStore, *events: Event, now_ms: int = NOW_MS) -> list[object]:
    return [change for event in events for change in target.fold(envelope(event), now_ms)]


def items(of: TrainStore) -> list[Item]:
    train = of.train("train-1")
    assert train is not None
    return train.timeline.between(None, None, 100)


def test_one_of_each_makes_a_train_with_a_chain_from_sign_to_command() -> None:
    known, events = store(), make.one_of_each()
    changes = fold(known, *events)
    kinds = {item.kind: item for item in items(known)}
    sign, decision, command = kinds["sign"], kinds["decision"], kinds["command"]
    assert [item.kind for item in items(known)] == ["fault", "answer", "sign", "decision", "command"]
    assert (command.cause, decision.cause, sign.cause) == (decision.id, sign.id, sign.frame_id)
    assert (sign.latency_ms, decision.latency_ms, command.latency_ms) == (30.0, 31.0, 33.0)
    (train,) = known.trains(NOW_MS)
    assert train.state is not None
    assert (train.id, train.stale, train.state.guard, train.last_sign) == ("train-1", False, "running", "stop")
    assert [each.code for each in train.faults] == ["camera_lost"]
    assert train.links.hub is not None
    assert train.links.hub.ok
    assert {type(change) for change in changes} >= {FrameTaken, BoxesSeen, ItemAdded}


def test_frame_has_its_detections_and_what_they_led_to() -> None:
    known, events = store(), make.one_of_each()
    fold(known, *events)
    frame_id = events[0].frame_id  # type: ignore[union-attr]
    frame = known.frame("train-1", frame_id)
    assert frame is not None
    assert (frame.width, frame.height, frame.picture) == (600, 400, True)
    assert [found.label for found in frame.detections] == ["stop"]
    assert [item.kind for item in frame.chain] == ["sign", "decision", "command"]
    assert known.frame("train-1", "another") is None
    assert known.frame("another", frame_id) is None


def test_detections_are_known_as_long_as_the_picture_is_kept() -> None:
    known, first = store(), make.frame(0, at_s=0.0)
    fold(known, first, make.prediction(first, make.sighting()))
    for number in range(1, 400):
        fold(known, make.prediction(make.frame(number, width=64, height=64, at_s=number / 10)))
    frame = known.frame("train-1", first.frame_id)
    assert frame is not None
    assert [found.label for found in frame.detections] == ["stop"]


def test_message_that_comes_twice_counts_once() -> None:
    known, events = store(), make.one_of_each()
    converted = [envelope(event) for event in events]
    for each in (*converted, *converted):
        known.fold(each, NOW_MS)
    assert len(items(known)) == 5
    assert len(list(known.pictures.of_train("train-1"))) == 1


def test_sign_in_view_is_one_item_and_a_new_one_when_it_returns() -> None:
    known = store()
    for number, at_s in enumerate((0.0, 0.4, 0.8, 3.0)):
        seen = make.frame(number, at_s=at_s)
        fold(known, make.prediction(seen, make.sighting()))
    assert [item.kind for item in items(known)] == ["sign", "sign"]


def test_renewed_command_is_no_new_item() -> None:
    known, seen = store(), make.frame()
    first = make.command(make.decision(seen))
    again = dataclasses.replace(first, command_id="another", written_s=first.written_s + 1)
    braked = dataclasses.replace(first, command_id="third", kind=CommandKind.DRIVE, power_percent=40)
    ramped = dataclasses.replace(braked, command_id="fourth", power_percent=50)
    fold(known, first, again, braked, ramped)
    assert [item.id for item in items(known)] == [first.command_id, "third"]


def test_fault_is_active_until_it_is_over_and_information_never_is() -> None:
    known = store()
    fold(known, make.fault(), Fault("note", "by the way", "", Severity.INFO, 0.3))
    assert [fault.code for fault in known.trains(NOW_MS)[0].faults] == ["camera_lost"]
    fold(known, dataclasses.replace(make.fault(at_s=0.5), active=False))
    assert known.trains(NOW_MS)[0].faults == ()
    assert [item.kind for item in items(known)] == ["fault"] * 3


def test_answer_is_an_item() -> None:
    known = store()
    fold(known, CommandResult("kafka", "Ada", "an-id", "stop", True, None, "running", "clear track", 0.3))
    (item,) = items(known)
    assert (item.kind, item.cause) == ("answer", "an-id")


def test_past_that_an_outbox_sends_late_changes_the_history_and_not_the_present() -> None:
    known = store()
    now, past = make.frame(900, at_s=900.0), make.frame(10, at_s=10.0)
    fold(known, now, make.prediction(now), make.state(GuardState.RUNNING, at_s=900.0))
    changes = fold(
        known,
        past,
        make.prediction(past, make.sighting()),
        make.state(GuardState.LINK_LOST, at_s=10.0),
        make.fault(at_s=900.0),
        dataclasses.replace(make.fault(at_s=10.0), active=False),
    )
    (train,) = known.trains(NOW_MS)
    assert train.state is not None
    assert (train.state.guard, train.dropped, len(train.faults)) == ("running", 0, 1)
    assert known.newest("train-1").frame_id == now.frame_id  # type: ignore[union-attr]
    assert known.picture("train-1", past.frame_id) is not None
    assert not any(isinstance(change, FrameTaken | BoxesSeen) for change in changes)
    assert [item.at_ms for item in items(known)] == sorted(item.at_ms for item in items(known))


def test_clock_that_was_set_back_does_not_silence_a_train() -> None:
    known = store()
    fold(known, make.state(GuardState.RUNNING, at_s=900.0))
    fold(known, make.state(GuardState.LINK_LOST, at_s=10.0), now_ms=NOW_MS + 3000)
    (train,) = known.trains(NOW_MS)
    assert train.state is not None
    assert train.state.guard == "link_lost"


def test_silent_train_is_stale_and_gone_after_a_day() -> None:
    known = store()
    fold(known, make.frame(), make.state())
    assert [known.trains(NOW_MS + wait)[0].stale for wait in (3000, 3001)] == [False, True]
    assert known.expire(NOW_MS + DAY_MS) == []
    assert known.expire(NOW_MS + DAY_MS + 1) == [TrainRemoved("train-1")]
    assert known.trains(NOW_MS) == []
    assert known.newest("train-1") is None
    assert known.pictures.bytes == 0


def test_frame_rate_and_dropped_frames_are_counted() -> None:
    known = store()
    for number in range(21):
        seen = make.frame(number * 2, at_s=number * 0.1)
        fold(known, seen, make.prediction(seen))
    (train,) = known.trains(NOW_MS)
    assert (train.fps, train.dropped) == (10.0, 20)
    assert known.trains(NOW_MS + 10_000)[0].fps == 0.0


def test_clock_that_is_ahead_makes_no_frame_of_the_future() -> None:
    known = store()
    changes = fold(known, make.frame(), now_ms=NOW_MS - 5000)
    (taken,) = (change for change in changes if isinstance(change, FrameTaken))
    assert taken.at_ms <= NOW_MS - 5000
    assert taken.picture.at_ms == NOW_MS


def test_picture_of_a_stop_is_kept_when_others_are_thinned_out() -> None:
    size = 20_000
    known = TrainStore(size * 40, 3600)
    stopped = make.frame(5, at_s=0.5)
    for number in range(200):
        now_ms = NOW_MS + number * 100
        seen = stopped if number == 5 else make.frame(number, at_s=number * 0.1)
        converted = dataclasses.replace(envelope(seen), data=envelope(seen).data.ljust(size, b"\0"))
        known.fold(converted, now_ms)
        if number == 5:
            fold(known, make.decision(stopped), now_ms=now_ms)
    assert known.picture("train-1", stopped.frame_id) is not None
    assert known.pictures.bytes <= size * 40


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "com.example.other"},
        {"type": "dev.edge-agent.state.v2"},
        {"data": b"{"},
        {"data": b"{}"},
        {"data": b"\xff"},
        {"time": None},
        {"time": "yesterday"},
        {"source": "/planes/7"},
        {"source": "/trains/" + "x" * 200},
        {"source": "/trains/a\nb"},
        {"id": "x" * 200},
        {"id": "a\r\nSet-Cookie: b"},
    ],
)
def test_poisoned_message_is_counted_and_changes_nothing(changes: dict[str, object]) -> None:
    known = store()
    assert known.fold(dataclasses.replace(envelope(make.state()), **changes), NOW_MS) == []
    assert (known.unreadable + known.refused, known.trains(NOW_MS)) == (1, [])


def test_impossible_date_is_counted() -> None:
    known = store()
    converted = envelope(make.prediction(make.frame()))
    data = converted.data.replace(b"2026-11-21T18", b"2026-99-99T99")
    assert data != converted.data
    assert known.fold(dataclasses.replace(converted, data=data), NOW_MS) == []
    assert known.unreadable == 1


def test_picture_that_claims_to_be_huge_is_not_taken() -> None:
    known = store()
    huge = b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(100)
    known.fold(dataclasses.replace(envelope(make.frame()), data=huge), NOW_MS)
    assert known.newest("train-1") is None
    assert known.unreadable == 1


@given(st.binary(max_size=300), st.sampled_from(["frame", "prediction", "decision", "command", "fault", "state"]))
def test_no_bytes_break_the_store(data: bytes, kind: str) -> None:
    known = store()
    event = Envelope("id", "/trains/a", f"dev.edge-agent.{kind}.v1", data, time="2026-11-21T18:20:00Z")
    known.fold(event, NOW_MS)
    assert known.unreadable == 1


def test_active_train_is_not_pushed_out_by_invented_ones() -> None:
    known = store()
    for number in range(MAX_TRAINS):
        known.fold(envelope(make.state(), f"train-{number}"), NOW_MS)
    assert known.fold(envelope(make.state(), "one more"), NOW_MS + 1000) == []
    assert known.refused == 1
    known.fold(envelope(make.state(), "train-1"), NOW_MS + 70_000)
    known.fold(envelope(make.state(), "one more"), NOW_MS + 70_000)
    names = {train.id for train in known.trains(NOW_MS)}
    assert {"train-1", "one more"} <= names
    assert len(names) == MAX_TRAINS


def test_links_are_derived_from_events() -> None:
    known = store()
    fold(known, make.state(), Fault("mqtt_unreachable", "no broker", "", Severity.INFO, 0.3))
    links, later = known.trains(NOW_MS)[0].links, known.trains(NOW_MS + 10_000)[0].links
    assert (links.mqtt, links.kafka) == (Link(False, "no broker"), Link(True, "events arrive"))
    assert later.kafka == Link(False, "no events arrive")
    fold(known, Fault("mqtt_unreachable", "over", "", Severity.INFO, 0.4, active=False))
    assert known.trains(NOW_MS)[0].links.mqtt is None


def test_facts_that_events_do_not_contain_are_shown() -> None:
    known = store()
    known.update_facts("train-1", NOW_MS, name="Red", links=Links(), speed_mm_s=120.04)
    (train,) = known.trains(NOW_MS)
    assert (train.name, train.speed_mm_s, train.state) == ("Red", 120.0, None)


def item(number: int, cause: str | None = None, frame: str | None = None) -> Item:
    return Item(f"i{number}", "sign", number, frame, cause, None, SignData("stop", 0.9, BoxData(0, 0, 1, 1)))


def test_timeline_is_bounded_and_answers_the_newest_of_a_span() -> None:
    line = Timeline(max_items=10)
    for number in range(25):
        line.add(item(number))
    assert [each.at_ms for each in line.between(None, None, 3)] == [22, 23, 24]
    assert [each.at_ms for each in line.between(16, 19, 100)] == [16, 17, 18]
    assert line.get("i3") is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40))
def test_chain_ends_whatever_items_claim_of_each_other(pairs: list[tuple[int, int]]) -> None:
    line = Timeline()
    for number, cause in pairs:
        line.add(item(number, f"i{cause}", "frame" if number % 3 == 0 else None))
    chain = line.chain("frame")
    assert {each.id for each in chain} >= {each.id for each in line.between(None, None, 100) if each.frame_id}
