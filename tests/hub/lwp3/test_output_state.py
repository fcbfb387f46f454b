"""Commands to one port and the hub's feedback on them: which is settled, and when a brake is confirmed."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from edge_agent.hub.lwp3 import Feedback, OutputCommand, PortOutput, brake, coast, start_power
from edge_agent.hub.lwp3.output_state import (
    FEEDBACK_AGE_S,
    TRANSITIONS,
    CommandState,
    FeedbackOutcome,
    feedback_outcome,
)

DONE = Feedback.COMPLETED | Feedback.IDLE
DRIVE = start_power(0, 60)
BRAKE = brake(0)


def after(*steps: OutputCommand | Feedback, now_s: float = 0.0) -> PortOutput:
    """Apply commands and feedback, one after the other."""
    port = PortOutput()
    for step in steps:
        port = port.with_command(step, now_s) if isinstance(step, OutputCommand) else port.with_feedback(step)
    return port


@pytest.mark.parametrize(
    ("flags", "result"),
    [
        (Feedback.COMPLETED | Feedback.IDLE, FeedbackOutcome.COMPLETED),
        (Feedback.COMPLETED | Feedback.DISCARDED | Feedback.IDLE, FeedbackOutcome.COMPLETED),
        (Feedback.DISCARDED | Feedback.IN_PROGRESS, FeedbackOutcome.DISCARDED),
        (Feedback.BUSY | Feedback.IN_PROGRESS, FeedbackOutcome.BUSY),
        (Feedback.IN_PROGRESS, FeedbackOutcome.IN_PROGRESS),
        (Feedback.IDLE, FeedbackOutcome.NOTHING),
        (Feedback(0), FeedbackOutcome.NOTHING),
    ],
)
def test_feedback_bits_are_read_in_order_of_precedence(flags: Feedback, result: FeedbackOutcome) -> None:
    assert feedback_outcome(flags) is result


def test_table_covers_every_open_state_and_every_outcome() -> None:
    open_states = (CommandState.WRITTEN, CommandState.RUNNING)
    assert set(TRANSITIONS) == {(state, result) for state in open_states for result in FeedbackOutcome}


@pytest.mark.parametrize(("state", "result"), TRANSITIONS)
def test_feedback_moves_the_oldest_command_as_the_table_says(state: CommandState, result: FeedbackOutcome) -> None:
    flags = {
        FeedbackOutcome.COMPLETED: Feedback.COMPLETED,
        FeedbackOutcome.DISCARDED: Feedback.DISCARDED,
        FeedbackOutcome.BUSY: Feedback.BUSY,
        FeedbackOutcome.IN_PROGRESS: Feedback.IN_PROGRESS,
        FeedbackOutcome.NOTHING: Feedback.IDLE,
    }[result]
    port = after(DRIVE, DRIVE)
    port = replace(port, open=(replace(port.open[0], state=state), port.open[1])).with_feedback(flags)
    becomes = TRANSITIONS[state, result]
    if becomes in (CommandState.DONE, CommandState.DROPPED):
        assert len(port.open) == 1
        assert port.discarded == (becomes is CommandState.DROPPED)
    else:
        assert [entry.state for entry in port.open] == [becomes, CommandState.WRITTEN]


def test_brake_completed_is_confirmed() -> None:
    port = after(BRAKE)
    assert (port.braking, port.brake_confirmed) == (True, False)
    assert port.with_feedback(DONE).brake_confirmed


def test_brake_in_progress_is_not_confirmed_until_completed() -> None:
    assert not after(BRAKE, Feedback.IN_PROGRESS).brake_confirmed
    assert after(BRAKE, Feedback.IN_PROGRESS, DONE).brake_confirmed


@pytest.mark.parametrize("flags", [Feedback.DISCARDED, Feedback.BUSY, Feedback.IDLE, Feedback(0)])
def test_brake_discarded_or_not_settled_is_not_confirmed(flags: Feedback) -> None:
    assert not after(BRAKE, flags).brake_confirmed


def test_feedback_on_the_drive_before_does_not_confirm_the_brake() -> None:
    assert not after(DRIVE, BRAKE, DONE).brake_confirmed
    assert after(DRIVE, BRAKE, DONE, DONE).brake_confirmed


def test_lost_feedback_delays_the_confirmation_by_one_repeat() -> None:
    assert not after(DRIVE, BRAKE, DONE, BRAKE).brake_confirmed
    assert after(DRIVE, BRAKE, DONE, BRAKE, DONE).brake_confirmed


def test_feedback_on_a_brake_that_a_drive_followed_confirms_nothing() -> None:
    assert not after(BRAKE, DRIVE, DONE).brake_confirmed
    assert not after(BRAKE, DRIVE, BRAKE, DONE).brake_confirmed
    assert not after(BRAKE, DRIVE, BRAKE, DONE, DONE).brake_confirmed
    assert after(BRAKE, DRIVE, BRAKE, DONE, DONE, DONE).brake_confirmed


def test_confirmed_brake_stays_confirmed_while_repeated() -> None:
    assert after(BRAKE, DONE, BRAKE).brake_confirmed
    assert after(BRAKE, DONE, BRAKE, Feedback.DISCARDED).brake_confirmed


@pytest.mark.parametrize("command", [DRIVE, coast(0)])
def test_anything_else_written_ends_the_confirmation(command: OutputCommand) -> None:
    assert not after(BRAKE, DONE, command).brake_confirmed
    assert not after(BRAKE, DONE, command, DONE).brake_confirmed


def test_command_without_feedback_asked_for_is_not_waited_for() -> None:
    quiet = OutputCommand(0, 0, b"\x32", feedback=False)
    assert after(quiet).open == ()
    assert after(quiet, BRAKE, DONE).brake_confirmed


def test_feedback_overdue_is_forgotten() -> None:
    port = after(DRIVE, DRIVE, now_s=10.0).with_command(BRAKE, 10.0 + FEEDBACK_AGE_S)
    assert len(port.open) == 1
    assert port.with_feedback(DONE).brake_confirmed


def test_unexpected_feedback_changes_nothing() -> None:
    port = after(BRAKE, DONE)
    assert port.with_feedback(Feedback.DISCARDED) == port


@given(st.lists(st.sampled_from([DRIVE, BRAKE, coast(0), *Feedback]), max_size=25))
def test_brake_is_never_confirmed_after_anything_but_a_brake(steps: list[OutputCommand | Feedback]) -> None:
    port = after(*steps)
    written = [step for step in steps if isinstance(step, OutputCommand)]
    assert port.power == (written[-1].power if written else None)
    if port.brake_confirmed:
        assert written[-1] == BRAKE
        assert Feedback.COMPLETED in steps[steps.index(BRAKE) :]


@given(st.lists(st.sampled_from([DRIVE, BRAKE]), max_size=12))
def test_faithful_hub_confirms_a_brake_exactly_when_it_carried_it_out(written: list[OutputCommand]) -> None:
    """Feedback comes late, but in order and one for each command: no brake is confirmed before its own arrives."""
    port = after(*written)
    for answered in range(1, len(written) + 1):
        port = port.with_feedback(DONE)
        settled = written[answered - 1 :]
        assert port.brake_confirmed == all(command == BRAKE for command in settled)
