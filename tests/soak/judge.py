"""Checks the record of a long run: the train must not drive while the guard forbids it, nor during a fault."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edge_agent.events import CommandKind, GuardState

HALT_S = 0.5
"""Longest bound of docs/chaos.md: writes fail, and the link is dropped."""


@dataclass(frozen=True)
class Span:
    """Time from `start_s` to `end_s`; at most `bound_s` after its start the train must not drive."""

    start_s: float
    end_s: float
    bound_s: float
    why: str


@dataclass
class Record:
    """Record of a run. All times are of one monotonic clock.

    `grace_s` is how long a write in progress may still arrive after the guard forbade motion.
    """

    grace_s: float
    slack: float = 1.0
    motor: list[tuple[float, CommandKind]] = field(default_factory=list)
    states: list[tuple[float, GuardState]] = field(default_factory=list)
    faults: list[Span] = field(default_factory=list)

    def violations(self) -> list[str]:
        """Return a line for each moment at which the train drove and must not have."""
        spans = [*self.faults, *self._forbidden_spans()]
        late = [f"drove {late_s:.3f} s into: {span.why}" for span in spans for late_s in self._driving_in(span)]
        return late + [
            f"got a command to drive {late_s:.3f} s into: {why}" for late_s, why in self._commands_against_guard()
        ]

    def moving_share(self) -> float:
        """Return the share of the time in which the motor was driving."""
        if len(self.motor) < 2:
            return 0.0
        driving_s = sum(end_s - start_s for start_s, end_s in self._driving())
        return driving_s / (self.motor[-1][0] - self.motor[0][0])

    def _driving(self) -> Iterator[tuple[float, float]]:
        """Yield the times in which the motor drove, as (start, end)."""
        since_s: float | None = None
        for at_s, kind in self.motor:
            if kind is CommandKind.DRIVE:
                since_s = at_s if since_s is None else since_s
            elif since_s is not None:
                yield since_s, at_s
                since_s = None
        if since_s is not None:
            yield since_s, self.motor[-1][0]

    def _driving_in(self, span: Span) -> Iterator[float]:
        """Yield for how long into a span the motor drove after the bound."""
        least_s = span.start_s + span.bound_s * self.slack
        for start_s, end_s in self._driving():
            if max(start_s, least_s) < min(end_s, span.end_s):
                yield min(end_s, span.end_s) - span.start_s

    def _forbidden_spans(self) -> list[Span]:
        return [Span(start_s, end_s, HALT_S, f"the guard is {state}") for start_s, end_s, state in self._forbidden()]

    def _commands_against_guard(self) -> Iterator[tuple[float, str]]:
        """Yield each power that reached the hub although the guard forbade motion."""
        driven = [at_s for at_s, kind in self.motor if kind is CommandKind.DRIVE]
        forbidden = self._forbidden()
        n = 0
        for at_s in driven:
            while n < len(forbidden) and forbidden[n][1] <= at_s:
                n += 1
            if n < len(forbidden) and forbidden[n][0] + self.grace_s * self.slack < at_s:
                yield at_s - forbidden[n][0], f"the guard is {forbidden[n][2]}"

    def _forbidden(self) -> Sequence[tuple[float, float, GuardState]]:
        """Return the times in which the guard forbade motion, as (start, end, state)."""
        ends = [at_s for at_s, _ in self.states[1:]] + [float("inf")]
        return [
            (at_s, end_s, state)
            for (at_s, state), end_s in zip(self.states, ends, strict=True)
            if state is not GuardState.RUNNING
        ]
