"""Commands from the outside, carried out on a running agent: what each does to the train."""

from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.agent.commands import REFUSALS_PER_S, CommandExecutor
from edge_agent.control.commands import Code, Instruction, Refused, Verb
from edge_agent.control.guard import Order
from edge_agent.events import CommandResult


class Control:
    """Keeps what it is told."""

    class permit:  # noqa: N801 - stands in for an attribute
        class state:  # noqa: N801
            value = "running"

        reason = "cruise"

    def __init__(self) -> None:
        self.told: list[Any] = []

    def order(self, order: Order) -> None:
        self.told.append(order)

    def set_cruise_power(self, power_percent: int) -> None:
        self.told.append(power_percent)

    def pause(self, paused: bool) -> None:
        self.told.append("paused" if paused else "taking frames")


def helm(
    control: Control, answers: list[CommandResult] | None = None, now_s: Callable[[], float] = lambda: 7.0
) -> CommandExecutor:
    publish = (answers if answers is not None else []).append
    return CommandExecutor(control, control, publish=publish, clock=now_s)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instruction", "told"),
    [
        (Instruction(Verb.STOP), Order.STOP),
        (Instruction(Verb.EMERGENCY_STOP), Order.EMERGENCY_STOP),
        (Instruction(Verb.ARM), Order.ARM),
        (Instruction(Verb.DISARM), Order.DISARM),
        (Instruction(Verb.REARM), Order.REARM),
        (Instruction(Verb.DRIVE), Order.DRIVE),
        (Instruction(Verb.POWER, power_percent=45), 45),
        (Instruction(Verb.CAPTURE_START), "taking frames"),
        (Instruction(Verb.CAPTURE_STOP), "paused"),
    ],
    ids=lambda value: getattr(value, "verb", None),
)
def test_instruction_becomes_what_it_names_and_is_acknowledged(instruction: Instruction, told: object) -> None:
    control = Control()
    answer = helm(control).carry_out("mqtt", instruction)
    assert control.told == [told]
    assert (answer.accepted, answer.state, answer.reason) == (True, "running", "cruise")


def test_picture_on_request_is_nothing_to_the_train() -> None:
    control = Control()
    assert helm(control).carry_out("mqtt", Instruction(Verb.IMAGE, duration_s=5.0)).accepted
    assert control.told == []


def test_observers_are_told_of_each_command_and_who_gave_it() -> None:
    answers: list[CommandResult] = []
    helm(Control(), answers).carry_out("console", Instruction(Verb.DRIVE, "c-1"), "ada")
    assert answers == [CommandResult("console", "ada", "c-1", "drive", True, None, "running", "cruise", 7.0)]


def test_observers_are_told_of_each_refusal_and_why() -> None:
    answers: list[CommandResult] = []
    helm(Control(), answers).refuse("kafka", "drive", "c-1", Refused(Code.STALE, "given 12 s ago"), None)
    assert answers == [CommandResult("kafka", None, "c-1", "drive", False, "stale", None, "given 12 s ago", 7.0)]


def test_flood_of_refusals_is_not_told_in_full_and_later_ones_are() -> None:
    answers: list[CommandResult] = []
    now_s = 7.0
    wheel = helm(Control(), answers, lambda: now_s)
    for number in range(1000):
        wheel.refuse("mqtt", "drive", str(number), Refused(Code.NO_TOKEN, "no token"))
    assert [answer.command_id for answer in answers] == [str(number) for number in range(REFUSALS_PER_S)]
    assert wheel.untold == 1000 - REFUSALS_PER_S
    now_s = 8.1
    wheel.refuse("mqtt", "drive", "later", Refused(Code.NO_TOKEN, "no token"))
    assert answers[-1].command_id == "later"


def test_stop_among_a_flood_of_refusals_is_told() -> None:
    answers: list[CommandResult] = []
    wheel = helm(Control(), answers)
    for _ in range(100):
        wheel.refuse("mqtt", "drive", None, Refused(Code.NO_TOKEN, "no token"))
    wheel.carry_out("mqtt", Instruction(Verb.STOP))
    assert (answers[-1].verb, answers[-1].accepted) == ("stop", True)
