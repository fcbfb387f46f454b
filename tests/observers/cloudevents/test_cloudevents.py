"""Every event survives the way to another machine, as the CloudEvents SDK reads it."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cloudevents.core.bindings import kafka as sdk_kafka
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator

from edge_agent.events import Event, Frame
from edge_agent.observers.cloudevents import (
    EncodedImage,
    Envelope,
    EventContext,
    MalformedMessageError,
    from_cloudevent,
    kafka,
    structured,
    to_cloudevent,
)
from edge_agent.observers.cloudevents.images import encode_jpeg, encode_webp
from edge_agent.observers.cloudevents.payloads import payload_of, to_rfc3339
from tests.support import events as make, mqtt_messages
from tests.support.kafka_messages import message_of
from tools.schemas import event_schemas

CONTEXT = EventContext("train-1", 42, make.UNIX_S - 0.25)


def encoded(event: Event) -> Envelope:
    return to_cloudevent(event, CONTEXT, encode_jpeg(event.image) if isinstance(event, Frame) else None)


ALL = [pytest.param(encoded(event), id=type(event).__name__) for event in make.one_of_each()]


def sdk_attributes(envelope: Envelope) -> dict[str, str]:
    return {**envelope.attributes(), "datacontenttype": envelope.datacontenttype}


def texts(attributes: dict[str, Any]) -> dict[str, str]:
    plain = dict(attributes)
    plain["time"] = to_rfc3339(plain["time"].timestamp())
    return plain


@pytest.mark.parametrize("envelope", ALL)
def test_kafka_binary_message_is_read_alike_by_the_sdk_and_by_us(envelope: Envelope) -> None:
    message = message_of(envelope)
    event = sdk_kafka.from_binary_event(
        sdk_kafka.KafkaMessage(dict(message.headers), message.key, message.value), JSONFormat()
    )
    assert texts(event.get_attributes()) == sdk_attributes(envelope)
    data = event.get_data()
    assert (data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()) == envelope.data
    assert kafka.read(message.headers, message.value) == envelope


@pytest.mark.parametrize("envelope", ALL)
def test_kafka_structured_message_is_read_alike_by_the_sdk_and_by_us(envelope: Envelope) -> None:
    message = message_of(envelope, structured=True)
    event = sdk_kafka.from_structured_event(
        sdk_kafka.KafkaMessage(dict(message.headers), message.key, message.value), JSONFormat()
    )
    assert texts(event.get_attributes()) == sdk_attributes(envelope)
    assert kafka.read(message.headers, message.value) == envelope


@pytest.mark.parametrize("envelope", ALL)
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_message_written_by_the_sdk_is_read_by_us(envelope: Envelope, mode: str) -> None:
    first = message_of(envelope)
    event = sdk_kafka.from_binary_event(sdk_kafka.KafkaMessage(dict(first.headers), first.key, first.value))
    write = sdk_kafka.to_binary_event if mode == "binary" else sdk_kafka.to_structured_event
    message = write(event)
    again = kafka.read(message.headers.items(), message.value)
    assert again.attributes() | {"time": ""} == envelope.attributes() | {"time": ""}  # the SDK writes time its own way
    assert from_cloudevent(again) == from_cloudevent(envelope)


@pytest.mark.parametrize("envelope", ALL)
def test_mqtt_messages_of_both_modes_come_back(envelope: Envelope) -> None:
    properties = tuple(envelope.attributes().items())
    assert mqtt_messages.read(envelope.data, envelope.datacontenttype, properties) == envelope
    assert dict(properties)["type"] == envelope.type
    assert mqtt_messages.read(structured.write(envelope)) == envelope


@pytest.mark.parametrize("envelope", ALL)
def test_event_fits_its_schema(envelope: Envelope) -> None:
    kind = envelope.kind
    assert kind in event_schemas()
    schema = event_schemas()[kind]
    Draft202012Validator.check_schema(schema)
    document = json.loads(structured.write(envelope))
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)
    for key in schema["required"]:
        broken = {name: value for name, value in document.items() if name != key}
        assert list(Draft202012Validator(schema).iter_errors(broken)), f"{key} may not be missing"


def test_causation_leads_from_command_back_to_the_picture() -> None:
    chain = {envelope.id: envelope for envelope in map(encoded, make.one_of_each())}
    command = next(envelope for envelope in chain.values() if envelope.kind == "command")
    seen = []
    at: Envelope | None = command
    while at is not None:
        seen.append(at.kind)
        at = chain.get(at.causationid or "")
    assert seen == ["command", "decision", "prediction", "frame"]


@pytest.mark.parametrize("event", make.one_of_each(), ids=lambda event: type(event).__name__)
def test_copies_of_an_event_have_one_id(event: Event) -> None:
    other = EventContext("train-1", 43, make.UNIX_S)
    picture = encode_jpeg(event.image) if isinstance(event, Frame) else None
    assert encoded(event).id == to_cloudevent(event, other, picture).id


def test_fault_that_is_over_is_another_event_than_the_one_that_told_of_it() -> None:
    fault = make.fault()
    over = replace(fault, active=False)
    assert encoded(over).id != encoded(fault).id


def test_answer_leads_back_to_the_command_that_it_answers() -> None:
    assert encoded(make.answer("c-9")).causationid == "c-9"
    assert encoded(make.answer(None)).causationid is None


def test_payload_tells_latencies_instead_of_monotonic_times() -> None:
    frame, prediction, decision, command, *_ = make.one_of_each()
    assert isinstance(frame, Frame)
    values = {envelope.kind: json.loads(envelope.data) for envelope in map(encoded, (prediction, decision, command))}
    assert values["prediction"]["latency_ms"] == 30.0
    assert values["decision"]["latency_ms"] == 31.0
    assert values["command"]["latency_ms"] == 33.0
    assert values["prediction"]["taken_at"] == "2026-11-21T18:20:00.250Z"
    assert not [key for value in values.values() for key in value if key.endswith("_s")]


def test_time_is_when_it_happened_on_the_wall_clock() -> None:
    times = {envelope.kind: envelope.time for envelope in map(encoded, make.one_of_each())}
    assert times["frame"] == "2026-11-21T18:20:00.250Z"
    assert times["prediction"] == "2026-11-21T18:20:00.280Z"
    assert times["command"] == "2026-11-21T18:20:00.283Z"
    assert times["fault"] == times["state"] == "2026-11-21T18:20:00.250Z"


def test_value_comes_back_as_the_payload() -> None:
    for event in make.one_of_each():
        envelope = encoded(event)
        if isinstance(event, Frame):
            assert from_cloudevent(envelope) == EncodedImage(envelope.data, "image/jpeg")
        else:
            assert from_cloudevent(envelope) == payload_of(event)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_sequences_sort_as_texts_as_they_do_as_numbers(one: int, other: int) -> None:
    fault = make.fault()
    texts = [to_cloudevent(fault, EventContext("train-1", number, 0.0)).sequence or "" for number in (one, other)]
    assert (texts[0] < texts[1]) == (one < other)


def test_frame_without_its_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="picture"):
        to_cloudevent(make.frame(), CONTEXT)


def test_pictures_are_what_their_content_type_says() -> None:
    image = make.frame().image
    assert encode_jpeg(image).data.startswith(b"\xff\xd8\xff")
    webp = encode_webp(image)
    assert (webp.data[:4], webp.data[8:12], webp.content_type) == (b"RIFF", b"WEBP", "image/webp")


ENVELOPE = {"specversion": "1.0", "id": "1", "source": "/trains/a", "type": "dev.edge-agent.fault.v1"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"specversion":"1.0"}',
        b"[" * 100_000,
        json.dumps(ENVELOPE | {"specversion": "0.3"}).encode(),
        json.dumps(ENVELOPE | {"data_base64": "***"}).encode(),
        json.dumps(ENVELOPE | {"id": 7}).encode(),
    ],
)
def test_message_that_is_no_event_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        mqtt_messages.read(raw)
    with pytest.raises(MalformedMessageError):
        kafka.read([("content-type", b"application/cloudevents+json")], raw)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"code":1}', b'{"code":"a","message":"","remedy":"","severity":"bad","active":true}']
)
def test_value_of_another_shape_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessageError, match="invalid value of a fault"):
        from_cloudevent(Envelope("1", "/trains/a", "dev.edge-agent.fault.v1", data))


def test_event_of_another_type_is_malformed() -> None:
    with pytest.raises(MalformedMessageError, match="not an event of a train"):
        from_cloudevent(Envelope("1", "/trains/a", "com.example.order.v1", b"{}"))


@given(st.lists(st.tuples(st.text(max_size=12), st.binary(max_size=20)), max_size=8), st.binary(max_size=60))
def test_any_message_is_read_or_malformed(headers: list[tuple[str, bytes]], value: bytes) -> None:
    with contextlib.suppress(MalformedMessageError):
        from_cloudevent(kafka.read(headers, value))
