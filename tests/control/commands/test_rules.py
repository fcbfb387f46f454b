"""Which commands the train obeys: one test a rule."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import SecretStr

from edge_agent.control.commands import (
    STOPPING,
    Channel,
    Code,
    Command,
    CommandHistory,
    CommandRules,
    Verb,
    check_rules,
)

NOW_S = 1_795_285_200.0
RULES = CommandRules(SecretStr("open sesame"))
MOVING = sorted(set(Verb) - STOPPING)


WORDS = "open sesame"


def command(verb: Verb = Verb.DRIVE, **changes: Any) -> Command:
    values: dict[str, Any] = {
        "token": WORDS,
        "command_id": "c-1",
        "issued_unix_s": NOW_S - 0.5,
        "reason": "checked the track",
        "power_percent": 60,
        "duration_s": 30.0,
    }
    return Command(Channel.MQTT, verb, verb, **{**values, **changes})


def code(command: Command, rules: CommandRules = RULES, history: CommandHistory | None = None) -> Code | None:
    refusal = check_rules(command, NOW_S, rules, history or CommandHistory())
    return refusal.code if refusal is not None else None


@pytest.mark.parametrize("verb", list(Verb))
def test_command_with_everything_in_order_is_obeyed(verb: Verb) -> None:
    assert check_rules(command(verb), NOW_S, RULES, CommandHistory()) is None


@pytest.mark.parametrize("verb", sorted(STOPPING))
@settings(max_examples=25)
@given(
    token=st.none() | st.text(),
    retained=st.booleans(),
    issued=st.none() | st.floats(),
    command_id=st.sampled_from([None, "", "seen"]),
    rules=st.sampled_from([RULES, CommandRules(None)]),
    history=st.sampled_from([CommandHistory(), CommandHistory({"seen"}, 0.0, 0.0, 10_000)]),
)
def test_stop_is_obeyed_whatever_comes_with_it(
    verb: Verb,
    token: str | None,
    retained: bool,
    issued: float | None,
    command_id: str | None,
    rules: CommandRules,
    history: CommandHistory,
) -> None:
    stop = Command(
        Channel.KAFKA, verb, verb, retained=retained, token=token, command_id=command_id, issued_unix_s=issued
    )
    assert code(stop, rules, history) is None


@pytest.mark.parametrize("verb", MOVING)
@pytest.mark.parametrize(
    ("changes", "rules", "history", "expected"),
    [
        ({"retained": True}, RULES, CommandHistory(), Code.RETAINED),
        ({}, CommandRules(None), CommandHistory(), Code.NO_TOKEN_SET),
        ({"token": None}, RULES, CommandHistory(), Code.NO_TOKEN),
        ({"token": ""}, RULES, CommandHistory(), Code.WRONG_TOKEN),
        ({"token": "open sesam"}, RULES, CommandHistory(), Code.WRONG_TOKEN),
        ({"token": "\ud800"}, RULES, CommandHistory(), Code.WRONG_TOKEN),
        ({}, RULES, CommandHistory(recent=21), Code.TOO_MANY),
        ({}, RULES, CommandHistory(since_stop_s=0.99), Code.STOPPED),
        ({"issued_unix_s": None}, RULES, CommandHistory(), Code.NO_TIME),
        ({"issued_unix_s": NOW_S - 10.1}, RULES, CommandHistory(), Code.STALE),
        ({"issued_unix_s": NOW_S - 3}, RULES, CommandHistory(up_s=2.9), Code.STALE),
        ({"issued_unix_s": NOW_S + 5.1}, RULES, CommandHistory(), Code.EARLY),
        ({"command_id": None}, RULES, CommandHistory(), Code.NO_ID),
        ({"command_id": ""}, RULES, CommandHistory(), Code.NO_ID),
        ({}, RULES, CommandHistory({"c-1"}), Code.REPLAYED),
    ],
)
def test_moving_command_is_refused_for_each_rule_it_breaks(
    verb: Verb, changes: dict[str, Any], rules: CommandRules, history: CommandHistory, expected: Code
) -> None:
    assert code(command(verb, **changes), rules, history) is expected


@pytest.mark.parametrize(
    ("changes", "history"),
    [
        ({"issued_unix_s": NOW_S - 10}, CommandHistory()),
        ({"issued_unix_s": NOW_S + 5}, CommandHistory(up_s=0.0)),
        ({}, CommandHistory(up_s=0.5)),
        ({}, CommandHistory(since_stop_s=1.0)),
        ({}, CommandHistory(recent=20)),
        ({}, CommandHistory({"c-2"})),
    ],
)
def test_moving_command_at_the_edge_of_a_rule_is_obeyed(changes: dict[str, Any], history: CommandHistory) -> None:
    assert code(command(**changes), history=history) is None


@pytest.mark.parametrize(
    ("verb", "changes"),
    [
        (Verb.POWER, {"power_percent": None}),
        (Verb.POWER, {"power_percent": 0}),
        (Verb.POWER, {"power_percent": 101}),
        (Verb.IMAGE, {"duration_s": None}),
        (Verb.IMAGE, {"duration_s": 0.0}),
        (Verb.IMAGE, {"duration_s": 300.1}),
        (Verb.REARM, {"reason": ""}),
    ],
)
def test_command_without_the_value_it_needs_is_refused(verb: Verb, changes: dict[str, Any]) -> None:
    assert code(command(verb, **changes)) is Code.VALUE


@pytest.mark.parametrize(
    ("issued_s", "words"),
    [(NOW_S - 37.25, "given 37.2 s ago"), (NOW_S + 3600, "given 3600.0 s in the future")],
)
def test_refusal_for_the_moment_tells_the_skew_and_the_trains_clock(issued_s: float, words: str) -> None:
    refusal = check_rules(command(issued_unix_s=issued_s), NOW_S, RULES, CommandHistory())
    assert refusal is not None
    assert words in refusal.reason
    assert "the train's clock shows 2026-11-21T18:20:00Z" in refusal.reason


def test_sender_without_the_token_is_told_nothing_of_what_else_is_wrong() -> None:
    assert code(command(token=WORDS[1:]), history=CommandHistory({"c-1"}, recent=99)) is Code.WRONG_TOKEN


def test_command_and_rules_show_no_token_when_printed() -> None:
    assert "sesame" not in repr(command())
    assert "sesame" not in repr(RULES)


def test_pictures_are_not_sent_on_request_by_a_channel_that_carries_none() -> None:
    assert code(command(Verb.IMAGE), CommandRules(RULES.token, images=False)) is Code.VALUE
