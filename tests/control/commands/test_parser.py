"""How commands are written, and that no body whatsoever upsets the reader."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.control.commands import NAMES, STOPPING, Code, CommandRequest, Refused, Verb, parse_command


def body(**keys: Any) -> bytes:
    return json.dumps(keys).encode()


def test_command_is_read_with_all_it_holds() -> None:
    shown = "t"
    raw = body(token=shown, id="c-1", issued_at="2026-11-21T18:20:00.5+01:00", power_percent=60, reason="faster")
    assert parse_command("power", raw, retained=True) == CommandRequest(
        Verb.POWER, True, token=shown, command_id="c-1", issued_unix_s=1795281600.5, power_percent=60, reason="faster"
    )


@pytest.mark.parametrize("text", ["2026-11-21T17:20:00.5Z", 1795281600.5])
def test_moment_is_read_as_text_and_as_number(text: object) -> None:
    command = parse_command("drive", body(issued_at=text))
    assert isinstance(command, CommandRequest)
    assert command.issued_unix_s == 1795281600.5


@pytest.mark.parametrize("value", ["yesterday", "2026-11-21T18:20:00", True, [], {}, "9" * 400])
def test_moment_that_is_none_is_refused(value: object) -> None:
    verdict = parse_command("drive", body(issued_at=value))
    assert isinstance(verdict, Refused)
    assert (verdict.code, "issued_at" in verdict.reason) == (Code.MALFORMED, True)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_moment_that_is_no_finite_number_is_refused(number: str) -> None:
    assert isinstance(parse_command("drive", b'{"issued_at": ' + number.encode() + b"}"), Refused)


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
    ],
)
def test_switch_is_read_as_bare_word_and_as_document(name: str, raw: bytes, verb: Verb) -> None:
    command = parse_command(name, raw)
    assert isinstance(command, CommandRequest)
    assert command.verb is verb


@pytest.mark.parametrize(
    ("name", "raw"), [("arm", b'{"value": "maybe"}'), ("capture", b""), ("capture", b'{"value": 1}')]
)
def test_switch_to_nowhere_is_refused_with_what_it_may_be_set_to(name: str, raw: bytes) -> None:
    verdict = parse_command(name, raw)
    assert isinstance(verdict, Refused)
    assert " or " in verdict.reason


@pytest.mark.parametrize("raw", [b"", b"ON", b"[]", b"\xff", b'{"a":' * 2000, b'{"token": "' + b"x" * 5000 + b'"}'])
def test_moving_command_that_is_no_document_is_refused(raw: bytes) -> None:
    verdict = parse_command("drive", raw)
    assert isinstance(verdict, Refused)
    assert verdict.code is Code.MALFORMED


@pytest.mark.parametrize("name", ["stop", "emergency_stop", "disarm"])
@settings(max_examples=25)
@given(raw=st.binary() | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps).map(str.encode))
def test_stop_is_read_from_any_body(name: str, raw: bytes) -> None:
    command = parse_command(name, raw)
    assert isinstance(command, CommandRequest)
    assert command.verb in STOPPING


_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
_keys = st.sampled_from(["token", "id", "issued_at", "reason", "power_percent", "duration_s", "value"])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(document=st.dictionaries(_keys, _values))
def test_any_document_is_read_into_values_of_the_right_kind(name: str, document: dict[str, Any]) -> None:
    command = parse_command(name, json.dumps(document).encode())
    if isinstance(command, CommandRequest):
        assert isinstance(command.token, str | None)
        assert type(command.power_percent) in (int, type(None))
        assert command.reason.isprintable()
        assert command.command_id is None or command.command_id.isprintable()


def test_reason_is_one_printable_line_of_bounded_length() -> None:
    command = parse_command("rearm", body(reason="track\r\nclear\x1b[31m" + "x" * 500))
    assert isinstance(command, CommandRequest)
    assert command.reason.startswith("track  clear [31mx")
    assert len(command.reason) == 200
