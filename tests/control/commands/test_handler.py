"""A desk: what comes in by one channel is judged, carried out and told; the rules are read apart from the loop."""

import asyncio
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from edge_agent.config import CommandSettings
from edge_agent.control.commands import (
    Acknowledgement,
    Authorizer,
    Code,
    CommandHandler,
    CommandRequest,
    CommandRules,
    Instruction,
    Refused,
    Verb,
    parse_command,
    read_rules,
)
from edge_agent.errors import ConfigError

WORD = "open sesame"


class Train:
    """Keeps what it is told."""

    def __init__(self, rules: CommandRules | None = None, gate: Authorizer | None = None) -> None:
        self.obeyed: list[tuple[Instruction, str | None]] = []
        self.refused: list[tuple[str, str | None, Code, str | None]] = []
        self.read_in: list[str] = []
        self._rules = rules or CommandRules(SecretStr(WORD))
        self.desk = CommandHandler(gate or old_gate(), self._read, obey=self._obey, refuse=self._refuse)

    def _read(self) -> CommandRules:
        self.read_in.append(threading.current_thread().name)
        return self._rules

    def _obey(self, instruction: Instruction, who: str | None) -> Acknowledgement:
        self.obeyed.append((instruction, who))
        return Acknowledgement(True, "running", "as you wish")

    def _refuse(self, name: str, command_id: str | None, why: Refused, who: str | None) -> None:
        self.refused.append((name, command_id, why.code, who))


def old_gate() -> Authorizer:
    """Return a gate that has been there for an hour."""
    began = [time.monotonic() - 3600]
    return Authorizer(clock=lambda: began.pop() if began else time.monotonic())


def body(command_id: str = "c-1", **changes: Any) -> bytes:
    return json.dumps({"id": command_id, "issued_at": time.time(), **changes}).encode()


def shown(request: CommandRequest | Refused, token: str = WORD) -> CommandRequest:
    assert isinstance(request, CommandRequest)
    return replace(request, token=token)


async def test_command_with_everything_in_order_is_obeyed_and_its_rules_are_read_outside_the_loop() -> None:
    train = Train()
    answer = await train.desk.take("drive", shown(parse_command("drive", body())), "ada")
    assert answer == Acknowledgement(True, "running", "as you wish")
    assert [(instruction.verb, who) for instruction, who in train.obeyed] == [(Verb.DRIVE, "ada")]
    assert train.read_in == ["command"]


async def test_stop_is_obeyed_before_anything_else_runs() -> None:
    train = Train()
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "something else")
    await train.desk.take("stop", parse_command("stop", b""))
    assert (ran, train.read_in) == ([], [])
    assert train.obeyed == [(Instruction(Verb.STOP), None)]


async def test_refusal_is_returned_and_told() -> None:
    train = Train()
    answer = await train.desk.take("drive", shown(parse_command("drive", body("c-7")), "guess"), "eve")
    assert isinstance(answer, Refused)
    assert answer.code is Code.WRONG_TOKEN
    assert train.refused == [("drive", "c-7", Code.WRONG_TOKEN, "eve")]
    assert train.obeyed == []


async def test_command_of_an_unknown_name_is_refused() -> None:
    train = Train()
    answer = await train.desk.take("fly", parse_command("fly", body()))
    assert isinstance(answer, Refused)
    assert "there is no command of this name" in answer.reason
    assert train.refused == [("fly", None, Code.MALFORMED, None)]


async def test_sender_that_the_channel_vouches_for_needs_no_token_but_everything_else() -> None:
    train = Train(CommandRules(None))
    request = parse_command("drive", body())
    assert isinstance(request, CommandRequest)
    vouched = replace(request, vouched=True)
    assert isinstance(await train.desk.take("drive", vouched), Acknowledgement)
    again = await train.desk.take("drive", vouched)
    assert isinstance(again, Refused)
    assert again.code is Code.REPLAYED


async def test_command_obeyed_by_one_channel_is_not_obeyed_again_by_another() -> None:
    gate = old_gate()
    one, other = Train(gate=gate), Train(gate=gate)
    request = shown(parse_command("drive", body()))
    await one.desk.take("drive", request)
    assert isinstance(await other.desk.take("drive", request), Refused)
    assert other.refused == [("drive", "c-1", Code.REPLAYED, None)]


async def test_stop_by_one_channel_holds_what_comes_by_another() -> None:
    gate = old_gate()
    one, other = Train(gate=gate), Train(gate=gate)
    await one.desk.take("stop", parse_command("stop", b""))
    await other.desk.take("drive", shown(parse_command("drive", body())))
    assert other.refused == [("drive", "c-1", Code.STOPPED, None)]


def test_body_can_never_vouch_for_its_sender() -> None:
    request = parse_command("drive", body(vouched=True, by="ada"))
    assert isinstance(request, CommandRequest)
    assert (request.vouched, request.by) == (False, "ada")


@pytest.mark.parametrize("verb", ["capture_start", "capture_stop", "disarm"])
def test_verbs_are_names_too(verb: str) -> None:
    request = parse_command(verb, body())
    assert isinstance(request, CommandRequest)
    assert request.verb == verb


def test_rules_are_the_limits_of_all_channels_with_the_token_of_one() -> None:
    limits = CommandSettings(max_age_s=2.0, hold_s=3.0, max_per_s=4)
    rules = read_rules(limits, SecretStr(WORD), None, "kafka.command_token_file")
    assert (rules.max_age_s, rules.max_ahead_s, rules.hold_s, rules.max_per_s) == (2.0, 5.0, 3.0, 4)
    assert rules.token == SecretStr(WORD)


def test_token_file_that_is_missing_is_told_by_its_setting(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"kafka\.command_token_file: cannot read"):
        read_rules(CommandSettings(), None, tmp_path / "none", "kafka.command_token_file")
