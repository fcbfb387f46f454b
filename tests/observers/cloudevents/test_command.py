"""Commands through Kafka: what a console writes, the train reads, and the CloudEvents SDK too."""

import contextlib
import json
from typing import Any

import pytest
from cloudevents.core.bindings import kafka as sdk_kafka
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator

from edge_agent.control.commands import Verb, parse_command
from edge_agent.observers.cloudevents import MalformedMessageError, OrderData, read_command, write_command
from tests.support.kafka_messages import message_of
from tools.schemas import command_schema

NOW = "2026-11-21T18:20:00.250Z"
FULL = OrderData("c-1", NOW, token="open sesame", by="ada", reason="track is clear", power_percent=60)  # noqa: S106


@pytest.mark.parametrize("data", [FULL, OrderData("c-2", NOW)])
def test_order_is_read_as_it_was_written(data: OrderData) -> None:
    message = message_of(write_command("train-1", "power", data, source="/consoles/fleet"))
    assert message.key == b"train-1"
    order = read_command(message.headers, message.value)
    assert (order.name, order.message_id, order.issued_at, order.source) == ("power", data.id, NOW, "/consoles/fleet")
    command = parse_command(order)
    if data is FULL:
        assert (command.verb, command.command_id, command.token) == (Verb.POWER, "c-1", "open sesame")
        assert (command.sender, command.reason, command.power_percent) == ("ada", "track is clear", 60)


def test_order_is_a_cloudevent_to_the_sdk() -> None:
    message = message_of(write_command("train-1", "drive", FULL, source="/consoles/fleet"))
    event = sdk_kafka.from_binary_event(sdk_kafka.KafkaMessage(dict(message.headers), message.key, message.value))
    assert (event.get_type(), event.get_subject(), event.get_id()) == ("dev.edge-agent.order.v1", "drive", "c-1")


def test_structured_order_is_read_too() -> None:
    document: dict[str, Any] = {"specversion": "1.0", "id": "c-3", "source": "/me", "type": "dev.edge-agent.order.v1"}
    raw = json.dumps(document | {"subject": "drive", "time": NOW, "data": {"token": "x"}}).encode()
    order = read_command([("content-type", b"application/cloudevents+json")], raw)
    assert isinstance(order.body, bytes)
    assert (order.name, json.loads(order.body)) == ("drive", {"token": "x"})


def test_token_is_in_no_printout() -> None:
    envelope = write_command("train-1", "drive", FULL, source="/consoles/fleet")
    message = message_of(envelope)
    order = read_command(message.headers, message.value)
    assert "sesame" not in f"{FULL} {order} {envelope}"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ce_type": b"dev.edge-agent.fault.v1"}, "not a command"),
        ({"ce_subject": b""}, "subject"),
        ({"ce_id": b""}, "id"),
    ],
)
def test_message_that_is_no_order_is_malformed(change: dict[str, bytes], why: str) -> None:
    message = message_of(write_command("train-1", "drive", FULL, source="/consoles/fleet"))
    with pytest.raises(MalformedMessageError, match=why):
        read_command((dict(message.headers) | change).items(), message.value)


@given(st.lists(st.tuples(st.sampled_from(["ce_type", "ce_subject", "content-type", "x"]), st.binary())), st.binary())
def test_any_message_is_read_or_malformed(headers: list[tuple[str, bytes]], value: bytes) -> None:
    with contextlib.suppress(MalformedMessageError):
        read_command(headers, value)


def test_command_fits_its_schema() -> None:
    message = message_of(write_command("train-1", "drive", FULL, source="/consoles/fleet"))
    Draft202012Validator(command_schema()).validate(json.loads(message.value))
