"""The lights: the hub's own shows the guard's state, the head light blinks for a sign; neither blocks the driver."""

import asyncio
from dataclasses import replace

import pytest

from edge_agent.control.lights import BLINK_S, BLINKS, COLOURS, Lights
from edge_agent.events import Action, Decision, Event, GuardState, HubStatus, TrainState
from edge_agent.hub.mock import MockHub
from edge_agent.runtime.queues import Fanout
from edge_agent.simulation.clock import run_virtual

STATE = TrainState("t1", GuardState.RUNNING, "", 60, HubStatus(connected=True), at_s=0.0, at_unix_s=0.0)
SIGN = Decision("d1", "f1", 0.0, 0.0, Action.STOP, 0, "stop", "stop sign")


def shown(*events: Event | str, percent: int = 80) -> list[tuple[str, int | str]]:
    """Publish these events, two seconds apart; return the writes. A text is an action of the hub."""
    hub = MockHub()

    async def main() -> None:
        fanout: Fanout[Event] = Fanout()
        await hub.reconnect()
        task = asyncio.create_task(Lights(hub, percent).run(fanout.subscribe("lights", 100)))
        for event in events:
            if event == "fail":
                hub.fail_next()
            elif isinstance(event, str):
                hub.drop_link()
                await hub.reconnect()
            else:
                fanout.publish(event)
            await asyncio.sleep(2.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(main())
    return [(write.kind, write.value) for write in hub.log if write.kind in ("show", "light")]


@pytest.mark.parametrize("state", GuardState)
def test_each_state_of_the_guard_has_a_colour(state: GuardState) -> None:
    assert shown(replace(STATE, guard=state)) == [("show", COLOURS[state])]


def test_states_have_different_colours() -> None:
    assert len(set(COLOURS.values())) == len(GuardState)


def test_same_state_again_is_not_written_again() -> None:
    assert shown(STATE, replace(STATE, power_percent=40), STATE) == [("show", "green")]


def test_colour_is_shown_again_after_the_link_was_lost() -> None:
    lost = replace(STATE, guard=GuardState.LINK_LOST, hub=HubStatus(connected=False))
    assert shown(STATE, lost, "reconnect", STATE) == [("show", "green"), ("show", "green")]


def test_colour_that_the_hub_did_not_take_is_shown_with_the_next_state() -> None:
    assert shown("fail", STATE, STATE) == [("show", "green")]


def test_sign_makes_the_head_light_blink_and_leaves_it_on() -> None:
    assert shown(SIGN) == [("light", 0), ("light", 80)] * BLINKS


def test_decision_without_a_sign_does_not_blink() -> None:
    assert shown(replace(SIGN, sign=None)) == []


def test_light_that_fails_ends_the_blinking_and_nothing_else() -> None:
    assert shown("fail", SIGN, STATE) == [("show", "green")]


def test_blinking_is_over_within_a_second_or_so() -> None:
    assert 2 * BLINKS * BLINK_S <= 1.0
