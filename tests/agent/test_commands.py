"""Commands from outside, executed: what each does to the train, and what observers get of it."""

from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.agent.commands import REFUSALS_PER_S, CommandExecutor
from edge_agent.control.commands import Channel, Code, Command, Refusal, Verb
from edge_agent.control.guard import Order
from edge_agent.events import CommandResult


class Control:
    """Records what is called."""

    class permit:  # noqa: N801 - stands in for an attribute
        class state:  # noqa: N801
            value = "running"

        reason = "cruise"

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.refuses = ""

    def order(self, order: Order) -> str:
        self.calls.append(order)
        return self.refuses

    def set_cruise_power(self, power_percent: int) -> None:
        self.calls.append(power_percent)

    def pause(self, paused: bool) -> None:
        self.calls.append("paused" if paused else "taking frames")

    def set_capture_stopped(self, stopped: bool) -> None:
        self.calls.append("braked for it" if stopped else "released")


def given(verb: Verb, channel: Channel = Channel.MQTT, command_id: str | None = None, **more: Any) -> Command:
    return Command(channel, verb, verb, command_id=command_id, **more)


def refused(code: Code, command_id: str | None = None) -> tuple[Command, Refusal]:
    return given(Verb.DRIVE, command_id=command_id), Refusal(code, "why")


def executor_of(
    control: Control, answers: list[CommandResult] | None = None, now_s: Callable[[], float] = lambda: 7.0
) -> CommandExecutor:
    publish = (answers if answers is not None else []).append
    return CommandExecutor(control, control, publish=publish, clock=now_s)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "call"),
    [
        (given(Verb.STOP), Order.STOP),
        (given(Verb.EMERGENCY_STOP), Order.EMERGENCY_STOP),
        (given(Verb.ARM), Order.ARM),
        (given(Verb.DISARM), Order.DISARM),
        (given(Verb.REARM), Order.REARM),
        (given(Verb.DRIVE), Order.DRIVE),
        (given(Verb.POWER, power_percent=45), 45),
        (given(Verb.CAPTURE_START), ("taking frames", "released")),
        (given(Verb.CAPTURE_STOP), ("paused", "braked for it")),
    ],
    ids=lambda value: getattr(value, "verb", None),
)
def test_command_becomes_what_it_names_and_results_in_the_guards_state(command: Command, call: object) -> None:
    control = Control()
    result = executor_of(control).execute(command)
    assert control.calls == (list(call) if isinstance(call, tuple) else [call])
    assert (result.accepted, result.state, result.reason) == (True, "running", "cruise")


def test_order_that_the_guard_refuses_is_not_accepted_and_says_why() -> None:
    control, answers = Control(), list[CommandResult]()
    control.refuses = "the train is not armed"
    result = executor_of(control, answers).execute(given(Verb.DRIVE, command_id="c-1"))
    assert [result] == answers
    assert (result.accepted, result.code, result.state) == (False, "wrong_state", "running")
    assert result.reason == "the train is not armed"


def test_picture_on_request_is_nothing_to_the_train() -> None:
    control = Control()
    assert executor_of(control).execute(given(Verb.IMAGE, duration_s=5.0)).accepted
    assert control.calls == []


def test_observers_are_told_of_each_command_and_who_gave_it() -> None:
    answers: list[CommandResult] = []
    result = executor_of(Control(), answers).execute(given(Verb.DRIVE, Channel.CONSOLE, "c-1", sender="ada"))
    assert (
        [result] == answers == [CommandResult("console", "ada", "c-1", "drive", True, None, "running", "cruise", 7.0)]
    )


def test_observers_are_told_of_each_refusal_and_why() -> None:
    answers: list[CommandResult] = []
    command = given(Verb.DRIVE, Channel.KAFKA, "c-1")
    result = executor_of(Control(), answers).refuse(command, Refusal(Code.STALE, "given 12 s ago"))
    assert (
        [result]
        == answers
        == [CommandResult("kafka", None, "c-1", "drive", False, "stale", None, "given 12 s ago", 7.0)]
    )


def test_flood_of_refusals_is_not_published_in_full_and_later_ones_are() -> None:
    answers: list[CommandResult] = []
    now_s = 7.0
    executor = executor_of(Control(), answers, lambda: now_s)
    for number in range(1000):
        executor.refuse(*refused(Code.NO_TOKEN, str(number)))
    assert [answer.command_id for answer in answers] == [str(number) for number in range(REFUSALS_PER_S)]
    assert executor.refusals_suppressed == 1000 - REFUSALS_PER_S
    now_s = 8.1
    executor.refuse(*refused(Code.NO_TOKEN, "later"))
    assert answers[-1].command_id == "later"


def test_stop_among_a_flood_of_refusals_is_published() -> None:
    answers: list[CommandResult] = []
    executor = executor_of(Control(), answers)
    for _ in range(100):
        executor.refuse(*refused(Code.NO_TOKEN))
    executor.execute(given(Verb.STOP))
    assert (answers[-1].verb, answers[-1].accepted) == ("stop", True)
