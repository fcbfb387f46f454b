"""How commands are written, and that no body whatsoever upsets the reader."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from edge_agent.control.commands import (
    NAMES,
    SWITCHES,
    Channel,
    Code,
    Command,
    CommandMessage,
    Refusal,
    Verb,
    parse_command,
)
from edge_agent.control.commands.parser import MAX_BYTES


def parse(name: str, raw: bytes, **more: Any) -> Command:
    return parse_command(CommandMessage(Channel.MQTT, name, raw, **more))


def refusal(name: str, raw: bytes) -> Refusal:
    """Return why a command is not read; a stop it is not then."""
    command = parse(name, raw)
    assert command.malformed is not None
    assert not command.stops
    return command.malformed


def body(**keys: Any) -> bytes:
    return json.dumps(keys).encode()


def test_command_is_read_with_all_it_holds() -> None:
    shown = "t"
    raw = body(token=shown, id="c-1", issued_at="2026-11-21T18:20:00.5+01:00", power_percent=60, reason="faster")
    assert parse("power", raw, retained=True) == Command(
        Channel.MQTT,
        "power",
        Verb.POWER,
        retained=True,
        token=shown,
        command_id="c-1",
        issued_unix_s=1795281600.5,
        power_percent=60,
        reason="faster",
    )


@pytest.mark.parametrize("text", ["2026-11-21T17:20:00.5Z", 1795281600.5])
def test_moment_is_read_as_text_and_as_number(text: object) -> None:
    command = parse("drive", body(issued_at=text))
    assert command.malformed is None
    assert command.issued_unix_s == 1795281600.5


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-11-21T18:20:00", True, [], {}, "9" * 400, 1e15, -1e15, 253_402_300_800]
)
def test_moment_that_is_none_is_refused(value: object) -> None:
    verdict = refusal("drive", body(issued_at=value))
    assert (verdict.code, "issued_at" in verdict.reason) == (Code.MALFORMED, True)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_moment_that_is_no_finite_number_is_refused(number: str) -> None:
    assert refusal("drive", b'{"issued_at": ' + number.encode() + b"}").code is Code.MALFORMED


@pytest.mark.parametrize(
    ("name", "raw", "verb"),
    [
        ("arm", b"OFF", Verb.DISARM),
        ("arm", b'"off"', Verb.DISARM),
        ("arm", b'{"value": "OFF"}', Verb.DISARM),
        ("arm", b'{"value": false}', Verb.DISARM),
        ("arm", b'{"value": "ON"}', Verb.ARM),
        ("arm", b"{}", Verb.ARM),
        ("capture", b"stop", Verb.CAPTURE_STOP),
        ("capture", b'{"value": "stop"}', Verb.CAPTURE_STOP),
        ("capture", b'{"command": "stop"}', Verb.CAPTURE_STOP),
        ("capture", b'{"value": "start"}', Verb.CAPTURE_START),
        ("arm", b'{"value": "ON "}', Verb.ARM),
    ],
)
def test_switch_is_read_as_bare_word_and_as_document(name: str, raw: bytes, verb: Verb) -> None:
    command = parse(name, raw)
    assert command.malformed is None
    assert command.verb is verb


@pytest.mark.parametrize("name", sorted(SWITCHES))
@pytest.mark.parametrize(
    "raw",
    [
        b"off ",
        b"\xef\xbb\xbfOFF\r\n\0",
        b" " * 20 + b"off",
        b"off" + b" " * MAX_BYTES,
        b'{"value": "off "}',
        json.dumps({"reason": "x" * MAX_BYTES, "value": "off"}).encode(),
        json.dumps({"value": "Off", "reason": "x" * MAX_BYTES}).encode(),
        b'{"value" : "off", "reason": "cut short',
        b'{"value": "off", "reason": ' + b"[" * 4000,
        json.dumps({"reason": "x" * 1_000_000, "value": "off"}).encode(),
        b'{"reason": "' + b"\xff" * 3_000_000 + b'", "value": "off", "reason": "' + b"x" * 1_000_000 + b'"}',
        b'"' * 65_530 + b'"value": "off"' + b'"' * 65_536,
    ],
    ids=range(12),
)
def test_switch_that_stops_is_found_in_any_form(name: str, raw: bytes) -> None:
    command = parse(name, raw)
    assert command.stops
    assert command.malformed is None


@pytest.mark.parametrize("name", sorted(SWITCHES))
@pytest.mark.parametrize("raw", [b"[" * 100_000, b"\0" * 1_000_000, b"\xff" * 1_000_000, b"offoff" * 100_000])
def test_large_body_without_a_word_stops_nothing(name: str, raw: bytes) -> None:
    assert refusal(name, raw).code is Code.MALFORMED


def test_long_document_that_switches_on_is_refused() -> None:
    raw = json.dumps({"value": "on", "reason": "off, stop, false" + "x" * MAX_BYTES}).encode()
    assert refusal("arm", raw).code is Code.MALFORMED


@pytest.mark.parametrize(
    ("name", "raw"), [("arm", b'{"value": "maybe"}'), ("capture", b""), ("capture", b'{"value": 1}')]
)
def test_switch_to_nowhere_is_refused_with_what_it_may_be_set_to(name: str, raw: bytes) -> None:
    assert " or " in refusal(name, raw).reason


@pytest.mark.parametrize("raw", [b"", b"ON", b"[]", b"\xff", b'{"a":' * 2000, b'{"token": "' + b"x" * 5000 + b'"}'])
def test_moving_command_that_is_no_document_is_refused(raw: bytes) -> None:
    assert refusal("drive", raw).code is Code.MALFORMED


@pytest.mark.parametrize("name", ["stop", "emergency_stop", "disarm"])
@settings(max_examples=25)
@given(raw=st.binary() | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps).map(str.encode))
def test_stop_is_read_from_any_body(name: str, raw: bytes) -> None:
    command = parse(name, raw)
    assert command.stops
    assert command.malformed is None


_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
_keys = st.sampled_from(["token", "id", "issued_at", "reason", "power_percent", "duration_s", "value"])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(document=st.dictionaries(_keys, _values))
def test_any_document_is_read_into_values_of_the_right_kind(name: str, document: dict[str, Any]) -> None:
    command = parse(name, json.dumps(document).encode())
    assert isinstance(command.token, str | None)
    assert type(command.power_percent) in (int, type(None))
    assert command.reason.isprintable()
    assert command.command_id is None or command.command_id.isprintable()


def test_reason_is_one_printable_line_of_bounded_length() -> None:
    command = parse("rearm", body(reason="track\r\nclear\x1b[31m" + "x" * 500))
    assert command.malformed is None
    assert command.reason.startswith("track  clear [31mx")
    assert len(command.reason) == 200


def test_what_the_channel_knows_of_the_sender_goes_before_what_the_body_says() -> None:
    shown, header = "a", "b"
    command = parse("drive", body(token=shown, by="eve"), token=header, sender="ada", source="/consoles/booth")
    assert (command.token, command.sender) == (header, "ada")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (body(id="c-1", issued_at=5.0, by="ada"), ("c-1", 5.0, "ada")),
        (body(issued_at=None, by="x" * 500), ("m-1", 7.0, "/consoles/booth")),
        (b"", ("m-1", 7.0, "/consoles/booth")),
    ],
)
def test_what_the_message_brings_stands_in_for_what_the_body_lacks(raw: bytes, expected: tuple[object, ...]) -> None:
    command = parse("stop", raw, source="/consoles/booth", message_id="m-1", issued_at=7.0)
    assert (command.command_id, command.issued_unix_s, command.sender) == expected


def test_document_that_the_channel_has_read_is_not_read_again() -> None:
    command = parse_command(CommandMessage(Channel.CONSOLE, "arm", {"value": "off", "id": "c-1"}))
    assert (command.verb, command.name, command.command_id) == (Verb.DISARM, "arm", "c-1")


@pytest.mark.parametrize("name", ["fly", "fly\n", "x" * 500, ""])
def test_name_that_is_none_is_refused_and_fit_to_be_logged(name: str) -> None:
    assert "there is no command of this name" in refusal(name, body(id="c-1")).reason
    command = parse(name, body(id="c-1"))
    assert (command.name, command.command_id) == (name if name == "fly" else "", "c-1")
