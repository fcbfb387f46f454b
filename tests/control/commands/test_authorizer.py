"""What an authorizer remembers between commands, on clocks that the test turns."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr

from edge_agent.control.commands import Authorizer, Channel, Code, Command, CommandRules, Verb
from edge_agent.control.commands.authorizer import REMEMBERED
from edge_agent.errors import ConfigError


@dataclass
class Clocks:
    wall_s: float = 1_795_285_200.0
    loop_s: float = 50.0

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.loop_s += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def authorizer(clocks: Clocks) -> Authorizer:
    authorizer = Authorizer(wall=lambda: clocks.wall_s, clock=lambda: clocks.loop_s)
    clocks.go(60)
    return authorizer


def drive(clocks: Clocks, command_id: str, shows: str = "t") -> Command:
    return Command(Channel.MQTT, "drive", Verb.DRIVE, token=shows, command_id=command_id, issued_unix_s=clocks.wall_s)


def stop(verb: Verb = Verb.STOP) -> Command:
    return Command(Channel.KAFKA, verb, verb)


def rules() -> CommandRules:
    return CommandRules(SecretStr("t"))


def code(authorizer: Authorizer, command: Command, read_rules: Callable[[], CommandRules] = rules) -> Code | None:
    refusal = authorizer.authorize(command, read_rules).refusal
    return refusal.code if refusal is not None else None


def test_command_that_comes_twice_is_obeyed_once(authorizer: Authorizer, clocks: Clocks) -> None:
    assert code(authorizer, drive(clocks, "a")) is None
    assert code(authorizer, drive(clocks, "a")) is Code.REPLAYED


def test_command_that_was_refused_may_come_again(authorizer: Authorizer, clocks: Clocks) -> None:
    late = replace(drive(clocks, "a"), issued_unix_s=clocks.wall_s - 11)
    assert code(authorizer, late) is Code.STALE
    assert code(authorizer, drive(clocks, "a")) is None


def test_replay_after_the_clock_was_set_back_is_refused(authorizer: Authorizer, clocks: Clocks) -> None:
    recorded = drive(clocks, "a")
    assert code(authorizer, recorded) is None
    clocks.go(3600)
    assert code(authorizer, recorded) is Code.STALE
    clocks.wall_s -= 3600
    assert code(authorizer, recorded) is Code.REPLAYED


def test_command_of_before_the_start_is_refused_though_it_is_fresh(clocks: Clocks) -> None:
    authorizer = Authorizer(wall=lambda: clocks.wall_s, clock=lambda: clocks.loop_s)
    recorded = drive(clocks, "a")
    clocks.wall_s += 2  # the agent was down meanwhile
    assert code(authorizer, recorded) is Code.STALE


def test_nothing_moves_the_train_for_a_second_after_a_stop(authorizer: Authorizer, clocks: Clocks) -> None:
    assert code(authorizer, stop()) is None
    clocks.go(0.9)
    assert code(authorizer, drive(clocks, "a")) is Code.STOPPED
    clocks.go(0.1)
    assert code(authorizer, drive(clocks, "a")) is None


def test_flood_with_the_token_is_refused_until_it_ends(authorizer: Authorizer, clocks: Clocks) -> None:
    codes = []
    for number in range(3000):
        clocks.go(0.001)
        codes.append(code(authorizer, drive(clocks, f"c{number}")))
    assert codes[:20] == [None] * 20
    assert set(codes[20:]) == {Code.TOO_MANY}
    clocks.go(1.0)
    assert code(authorizer, drive(clocks, "calm")) is None


def test_flood_without_the_token_does_not_keep_the_owner_out(authorizer: Authorizer, clocks: Clocks) -> None:
    for number in range(1000):
        assert code(authorizer, drive(clocks, f"c{number}", "guess")) is Code.WRONG_TOKEN
    assert code(authorizer, drive(clocks, "mine")) is None


def test_stop_in_a_flood_is_obeyed_and_holds(authorizer: Authorizer, clocks: Clocks) -> None:
    for number in range(100):
        code(authorizer, drive(clocks, f"a{number}"))
    assert code(authorizer, stop()) is None
    codes = []
    for number in range(5000):
        clocks.go(0.001)
        codes.append(code(authorizer, drive(clocks, f"b{number}")))
    assert None not in codes


def test_new_token_works_at_once(clocks: Clocks) -> None:
    secret = SecretStr("old")

    def newest() -> CommandRules:
        return CommandRules(secret)

    authorizer = Authorizer(wall=lambda: clocks.wall_s, clock=lambda: clocks.loop_s)
    clocks.go(60)
    assert code(authorizer, drive(clocks, "a", "old"), newest) is None
    secret = SecretStr("new")
    assert code(authorizer, drive(clocks, "b", "old"), newest) is Code.WRONG_TOKEN
    assert code(authorizer, drive(clocks, "b", "new"), newest) is None


def test_unreadable_token_leaves_only_stops_and_is_not_told_to_the_sender(clocks: Clocks) -> None:
    def unreadable() -> CommandRules:
        raise ConfigError("mqtt.command_token_file: cannot read /etc/secret: Permission denied")

    authorizer = Authorizer()
    refusal = authorizer.authorize(drive(clocks, "a"), unreadable).refusal
    assert refusal is not None
    assert refusal.code is Code.NO_TOKEN_SET
    assert "/etc" not in refusal.reason
    assert code(authorizer, stop(Verb.EMERGENCY_STOP), unreadable) is None


def test_ids_that_are_remembered_are_bounded(authorizer: Authorizer, clocks: Clocks) -> None:
    for number in range(REMEMBERED + 1):
        clocks.go(1)
        assert code(authorizer, drive(clocks, f"c{number}")) is None
    clocks.go(1)
    assert code(authorizer, drive(clocks, "c1")) is Code.REPLAYED
    assert code(authorizer, drive(clocks, "c0")) is None
