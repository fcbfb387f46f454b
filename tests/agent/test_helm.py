"""Commands from the outside, carried out on a running agent: what each does to the train."""

from typing import Any

import pytest

from edge_agent.agent.helm import Helm
from edge_agent.commands import Instruction, Verb
from edge_agent.guard import Order


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
    answer = Helm(control, control).carry_out(instruction)  # type: ignore[arg-type]
    assert control.told == [told]
    assert (answer.accepted, answer.state, answer.reason) == (True, "running", "cruise")


def test_picture_on_request_is_nothing_to_the_train() -> None:
    control = Control()
    assert Helm(control, control).carry_out(Instruction(Verb.IMAGE, duration_s=5.0)).accepted  # type: ignore[arg-type]
    assert control.told == []
