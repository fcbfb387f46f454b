"""The handler: what comes in by any channel is authorized there, executed in the train's loop, and reported."""

import asyncio
import threading
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from edge_agent.config import CommandSettings
from edge_agent.control.commands import (
    Authorizer,
    Channel,
    Code,
    Command,
    CommandHandler,
    CommandMessage,
    CommandRules,
    Verb,
    parse_command,
    read_rules,
)
from edge_agent.errors import ConfigError
from edge_agent.events import CommandResult
from tests.support.commands import RULES, TOKEN, RecordingExecutor, body, old_authorizer


class Train:
    """A handler, what its train has done, and where the rules were read."""

    def __init__(self, rules: CommandRules = RULES, authorizer: Authorizer | None = None) -> None:
        self.executor = RecordingExecutor()
        self.read_in: list[str] = []
        self.rules_are_read = threading.Event()
        self.rules_may_be_read = threading.Event()
        self.rules_may_be_read.set()
        self._rules = rules
        self.handler = CommandHandler(authorizer or old_authorizer(), self._read, self.executor)

    def _read(self, _channel: Channel) -> CommandRules:
        self.read_in.append(threading.current_thread().name)
        self.rules_are_read.set()
        assert self.rules_may_be_read.wait(30)
        return self._rules

    def verbs(self) -> list[Verb | None]:
        return [command.verb for command in self.executor.executed]

    def codes(self) -> list[str | None]:
        return [result.code for result in self.executor.results]


def read(name: str, raw: bytes, channel: Channel = Channel.MQTT, **more: Any) -> Command:
    return parse_command(CommandMessage(channel, name, raw, **more))


async def test_command_with_everything_in_order_is_executed_and_its_rules_are_read_outside_the_loop() -> None:
    train = Train()
    result = await train.handler.handle(read("drive", body(by="ada")))
    assert (result.accepted, result.state, result.reason, result.who) == (True, "running", "done", "ada")
    assert train.verbs() == [Verb.DRIVE]
    assert train.read_in == ["command"]


async def test_stop_is_executed_before_anything_that_comes_after_it_and_nothing_is_read() -> None:
    train = Train()
    train.handler.submit(read("stop", b""))
    asyncio.get_running_loop().call_soon(train.executor.executed.append, read("drive", b"{}"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert train.verbs() == [Verb.STOP, Verb.DRIVE]
    assert train.read_in == []


async def test_stop_overtakes_a_command_whose_token_is_slow_to_read() -> None:
    train = Train()
    train.rules_may_be_read.clear()
    driving = asyncio.create_task(train.handler.handle(read("drive", body())))
    await asyncio.to_thread(train.rules_are_read.wait, 30)
    result = await train.handler.handle(read("stop", b"", Channel.KAFKA))
    assert (result.accepted, train.verbs()) == (True, [Verb.STOP])
    train.rules_may_be_read.set()
    await driving


async def test_refusal_is_returned_and_reported() -> None:
    train = Train()
    result = await train.handler.handle(read("drive", body("c-7", shows="guess", by="eve")))
    assert result.code == Code.WRONG_TOKEN
    assert train.executor.results == [result]
    assert (result.verb, result.command_id, result.who) == ("drive", "c-7", "eve")
    assert train.verbs() == []


async def test_command_of_an_unknown_name_is_refused_and_no_token_read() -> None:
    train = Train()
    result = await train.handler.handle(read("fly", body()))
    assert "there is no command of this name" in result.reason
    assert (result.verb, result.code, train.read_in) == ("fly", Code.MALFORMED, [])


async def test_sender_that_the_channel_vouches_for_needs_no_token_but_everything_else() -> None:
    train = Train(CommandRules(None))
    vouched = read("drive", body(shows=None), vouched=True)
    assert (await train.handler.handle(vouched)).accepted
    assert (await train.handler.handle(vouched)).code == Code.REPLAYED


async def test_command_obeyed_by_one_channel_is_not_obeyed_again_by_another() -> None:
    train = Train()
    raw = body()
    await train.handler.handle(read("drive", raw, Channel.MQTT))
    result = await train.handler.handle(read("drive", raw, Channel.KAFKA))
    assert (result.channel, result.code) == ("kafka", Code.REPLAYED)


async def test_stop_by_one_channel_holds_what_comes_by_another() -> None:
    train = Train()
    await train.handler.handle(read("stop", b"", Channel.CONSOLE))
    assert (await train.handler.handle(read("drive", body(), Channel.MQTT))).code == Code.STOPPED


async def test_results_are_counted_by_channel() -> None:
    train = Train()
    for channel, name in ((Channel.MQTT, "stop"), (Channel.KAFKA, "stop"), (Channel.KAFKA, "fly")):
        await train.handler.handle(read(name, b"", channel))
    assert (train.handler.accepted[Channel.MQTT], train.handler.refused[Channel.MQTT]) == (1, 0)
    assert (train.handler.accepted[Channel.KAFKA], train.handler.refused[Channel.KAFKA]) == (1, 1)


@pytest.mark.parametrize(("channel", "events"), [(Channel.MQTT, ["command", "command_refused"]), (Channel.CONSOLE, [])])
async def test_decisions_are_logged_without_the_token_unless_the_channel_logs_them(
    channel: Channel, events: list[str]
) -> None:
    train = Train()
    with structlog.testing.capture_logs() as logs:
        train.handler.submit(read("drive", body(), channel))
        train.handler.submit(read("drive", body(shows="guess"), channel))
    assert [log["event"] for log in logs] == events
    assert "guess" not in str(logs)
    assert TOKEN not in str(logs)


async def test_sender_that_has_given_up_waiting_does_no_harm() -> None:
    train = Train()
    waiting = asyncio.create_task(train.handler.handle(read("stop", b"")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await train.handler.handle(read("disarm", b""))).accepted
    assert train.verbs() == [Verb.STOP, Verb.DISARM]


@pytest.mark.parametrize("name", ["drive", "stop"])
def test_command_after_the_end_of_the_run_moves_nothing_and_is_replied_to(name: str) -> None:
    async def make() -> Train:
        return Train()

    train, replies = asyncio.run(make()), list[CommandResult]()
    train.handler.submit(read(name, body()), replies.append)
    assert train.verbs() == []
    assert [(reply.accepted, reply.code, reply.reason) for reply in replies] == [
        (False, "failed", "the agent is shutting down")
    ]


def test_body_can_never_vouch_for_its_sender() -> None:
    command = read("drive", body(vouched=True, by="ada"))
    assert (command.vouched, command.sender) == (False, "ada")


@pytest.mark.parametrize("verb", ["capture_start", "capture_stop", "disarm"])
def test_verbs_are_names_too(verb: str) -> None:
    assert read(verb, body()).verb == verb


def test_rules_are_the_limits_of_all_channels_with_the_token_of_one() -> None:
    limits = CommandSettings(max_age_s=2.0, hold_s=3.0, max_per_s=4)
    rules = read_rules(limits, SecretStr(TOKEN), None, "kafka.command_token_file")
    assert (rules.max_age_s, rules.max_ahead_s, rules.hold_s, rules.max_per_s) == (2.0, 5.0, 3.0, 4)
    assert rules.token == SecretStr(TOKEN)


def test_token_file_that_is_missing_is_told_by_its_setting(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"kafka\.command_token_file: cannot read"):
        read_rules(CommandSettings(), None, tmp_path / "none", "kafka.command_token_file")
