"""State of the commands written to one port: a pure state machine over the hub's feedback.

A hub answers commands in the sequence in which they were written, and a feedback does not name its command: each
feedback settles the oldest open command. If one is lost, the next one confirms instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from edge_agent.hub.lwp3.codes import Feedback
from edge_agent.hub.lwp3.port_messages import OutputCommand

FEEDBACK_AGE_S = 1.0
"""Age at which an unanswered command is dropped; else a lost feedback would delay every later one."""


class CommandState(StrEnum):
    """Progress of one command."""

    WRITTEN = "written"
    RUNNING = "running"
    DONE = "done"
    DROPPED = "dropped"


class FeedbackOutcome(StrEnum):
    """Meaning of a feedback for its command; see `feedback_outcome`."""

    COMPLETED = "completed"
    DISCARDED = "discarded"
    BUSY = "busy"
    IN_PROGRESS = "in_progress"
    NOTHING = "nothing"


TRANSITIONS: Mapping[tuple[CommandState, FeedbackOutcome], CommandState] = {
    (CommandState.WRITTEN, FeedbackOutcome.COMPLETED): CommandState.DONE,
    (CommandState.WRITTEN, FeedbackOutcome.DISCARDED): CommandState.DROPPED,
    # Busy before the command runs means that the port has not accepted it.
    (CommandState.WRITTEN, FeedbackOutcome.BUSY): CommandState.DROPPED,
    (CommandState.WRITTEN, FeedbackOutcome.IN_PROGRESS): CommandState.RUNNING,
    (CommandState.WRITTEN, FeedbackOutcome.NOTHING): CommandState.WRITTEN,
    (CommandState.RUNNING, FeedbackOutcome.COMPLETED): CommandState.DONE,
    (CommandState.RUNNING, FeedbackOutcome.DISCARDED): CommandState.DROPPED,
    (CommandState.RUNNING, FeedbackOutcome.BUSY): CommandState.RUNNING,
    (CommandState.RUNNING, FeedbackOutcome.IN_PROGRESS): CommandState.RUNNING,
    (CommandState.RUNNING, FeedbackOutcome.NOTHING): CommandState.RUNNING,
}
"""DONE and DROPPED are final: a settled command leaves the port's list."""

_PRECEDENCE = (
    # Together with DISCARDED it means that this command was completed and discarded an earlier one.
    (Feedback.COMPLETED, FeedbackOutcome.COMPLETED),
    (Feedback.DISCARDED, FeedbackOutcome.DISCARDED),
    (Feedback.BUSY, FeedbackOutcome.BUSY),
    (Feedback.IN_PROGRESS, FeedbackOutcome.IN_PROGRESS),
)


def feedback_outcome(flags: Feedback) -> FeedbackOutcome:
    """Decode feedback bits: completed before discarded, busy and in progress; idle alone settles nothing."""
    return next((result for flag, result in _PRECEDENCE if flag in flags), FeedbackOutcome.NOTHING)


@dataclass(frozen=True, slots=True)
class OpenCommand:
    """A command that awaits its feedback."""

    power: int | None
    is_brake: bool
    written_s: float
    state: CommandState = CommandState.WRITTEN


@dataclass(frozen=True, slots=True)
class PortOutput:
    """Commands of one port since the link was established.

    `power` is the last one written (None before any). `brake_confirmed` is true from the hub's confirmation of a brake
    until anything else is written.
    """

    power: int | None = None
    braking: bool = False
    brake_confirmed: bool = False
    open: tuple[OpenCommand, ...] = ()
    discarded: int = 0

    def with_command(self, command: OutputCommand, now_s: float) -> "PortOutput":
        """Return the state after a write at `now_s` of any monotonic clock."""
        kept = tuple(entry for entry in self.open if now_s - entry.written_s < FEEDBACK_AGE_S)
        if command.feedback:
            kept += (OpenCommand(command.power, command.is_brake, now_s),)
        return replace(
            self,
            power=command.power,
            braking=command.is_brake,
            brake_confirmed=self.brake_confirmed and command.is_brake,
            open=kept,
        )

    def with_feedback(self, flags: Feedback) -> "PortOutput":
        """Return the state after a feedback for the oldest open command; without one nothing changes."""
        if not self.open:
            return self
        oldest, *later = self.open
        state = TRANSITIONS[oldest.state, feedback_outcome(flags)]
        if state is CommandState.DROPPED:
            return replace(self, open=tuple(later), discarded=self.discarded + 1)
        if state is CommandState.DONE:
            # A power written after the brake, even one still open, means that the train may move again.
            holds = self.braking and oldest.is_brake and all(entry.is_brake for entry in later)
            return replace(self, open=tuple(later), brake_confirmed=self.brake_confirmed or holds)
        return replace(self, open=(replace(oldest, state=state), *later))
