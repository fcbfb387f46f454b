"""What a gate remembers between commands, on clocks that the test turns."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr

from edge_agent.control.commands import Accepted, Authorizer, Code, CommandRequest, CommandRules, Refused, Verb
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
def gate(clocks: Clocks) -> Authorizer:
    gate = Authorizer(wall=lambda: clocks.wall_s, clock=lambda: clocks.loop_s)
    clocks.go(60)
    return gate


def drive(clocks: Clocks, command_id: str, shows: str = "t") -> CommandRequest:
    return CommandRequest(Verb.DRIVE, token=shows, command_id=command_id, issued_unix_s=clocks.wall_s)


def rules() -> CommandRules:
    return CommandRules(SecretStr("t"))


def code(gate: Authorizer, request: CommandRequest, read_rules: Callable[[], CommandRules] = rules) -> Code | None:
    verdict = gate.admit(request, read_rules)
    return verdict.code if isinstance(verdict, Refused) else None


def test_command_that_comes_twice_is_obeyed_once(gate: Authorizer, clocks: Clocks) -> None:
    assert code(gate, drive(clocks, "a")) is None
    assert code(gate, drive(clocks, "a")) is Code.REPLAYED


def test_command_that_was_refused_may_come_again(gate: Authorizer, clocks: Clocks) -> None:
    late = replace(drive(clocks, "a"), issued_unix_s=clocks.wall_s - 11)
    assert code(gate, late) is Code.STALE
    assert code(gate, drive(clocks, "a")) is None


def test_replay_after_the_clock_was_set_back_is_refused(gate: Authorizer, clocks: Clocks) -> None:
    recorded = drive(clocks, "a")
    assert code(gate, recorded) is None
    clocks.go(3600)
    assert code(gate, recorded) is Code.STALE
    clocks.wall_s -= 3600
    assert code(gate, recorded) is Code.REPLAYED


def test_command_of_before_the_start_is_refused_though_it_is_fresh(clocks: Clocks) -> None:
    gate = Authorizer(wall=lambda: clocks.wall_s, clock=lambda: clocks.loop_s)
    recorded = drive(clocks, "a")
    clocks.wall_s += 2  # the agent was down meanwhile
    assert code(gate, recorded) is Code.STALE


def test_nothing_moves_the_train_for_a_second_after_a_stop(gate: Authorizer, clocks: Clocks) -> None:
    assert isinstance(gate.admit(CommandRequest(Verb.STOP), rules), Accepted)
    clocks.go(0.9)
    assert code(gate, drive(clocks, "a")) is Code.STOPPED
    clocks.go(0.1)
    assert code(gate, drive(clocks, "a")) is None


def test_flood_with_the_token_is_refused_until_it_ends(gate: Authorizer, clocks: Clocks) -> None:
    codes = []
    for number in range(3000):
        clocks.go(0.001)
        codes.append(code(gate, drive(clocks, f"c{number}")))
    assert codes[:20] == [None] * 20
    assert set(codes[20:]) == {Code.TOO_MANY}
    clocks.go(1.0)
    assert code(gate, drive(clocks, "calm")) is None


def test_flood_without_the_token_does_not_keep_the_owner_out(gate: Authorizer, clocks: Clocks) -> None:
    for number in range(1000):
        assert code(gate, drive(clocks, f"c{number}", "guess")) is Code.WRONG_TOKEN
    assert code(gate, drive(clocks, "mine")) is None


def test_stop_in_a_flood_is_obeyed_and_holds(gate: Authorizer, clocks: Clocks) -> None:
    for number in range(100):
        gate.admit(drive(clocks, f"a{number}"), rules)
    assert isinstance(gate.admit(CommandRequest(Verb.STOP), rules), Accepted)
    verdicts = []
    for number in range(5000):
        clocks.go(0.001)
        verdicts.append(code(gate, drive(clocks, f"b{number}")))
    assert None not in verdicts


def test_new_token_works_at_once(clocks: Clocks) -> None:
    secret = SecretStr("old")

    def newest() -> CommandRules:
        return CommandRules(secret)

    gate = Authorizer(wall=lambda: clocks.wall_s, clock=lambda: clocks.loop_s)
    clocks.go(60)
    assert code(gate, drive(clocks, "a", "old"), newest) is None
    secret = SecretStr("new")
    assert code(gate, drive(clocks, "b", "old"), newest) is Code.WRONG_TOKEN
    assert code(gate, drive(clocks, "b", "new"), newest) is None


def test_unreadable_token_leaves_only_stops_and_is_not_told_to_the_sender(clocks: Clocks) -> None:
    def unreadable() -> CommandRules:
        raise ConfigError("mqtt.command_token_file: cannot read /etc/secret: Permission denied")

    gate = Authorizer()
    verdict = gate.admit(drive(clocks, "a"), unreadable)
    assert isinstance(verdict, Refused)
    assert verdict.code is Code.NO_TOKEN_SET
    assert "/etc" not in verdict.reason
    assert isinstance(gate.admit(CommandRequest(Verb.EMERGENCY_STOP), unreadable), Accepted)


def test_ids_that_are_remembered_are_bounded(gate: Authorizer, clocks: Clocks) -> None:
    for number in range(REMEMBERED + 1):
        clocks.go(1)
        assert code(gate, drive(clocks, f"c{number}")) is None
    clocks.go(1)
    assert code(gate, drive(clocks, "c1")) is Code.REPLAYED
    assert code(gate, drive(clocks, "c0")) is None
