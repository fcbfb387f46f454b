"""Judges a long run by its record: did the train drive while the guard said no, or while something was wrong.

Works on what the motor was told and when, the guard's states, and the faults as they were made. Knows nothing of how
any of it came about.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edge_agent.events import CommandKind, GuardState

HALT_S = 0.5
"""The longest bound of the table: writes fail, and the link is dropped."""


@dataclass(frozen=True)
class Span:
    """From `start_s` to `end_s` the train must not drive, `bound_s` after the start at the latest."""

    start_s: float
    end_s: float
    bound_s: float
    why: str


@dataclass
class Record:
    """What happened in a run. Times are of one monotonic clock.

    `grace_s` is how long a power that was on its way when the guard said no may still arrive.
    """

    grace_s: float
    slack: float = 1.0
    motor: list[tuple[float, CommandKind]] = field(default_factory=list)
    states: list[tuple[float, GuardState]] = field(default_factory=list)
    faults: list[Span] = field(default_factory=list)

    def violations(self) -> list[str]:
        """Tell each moment at which the train drove and must not have."""
        spans = [*self.faults, *self._guard_says_no()]
        told = [f"drove {late_s:.3f} s into: {span.why}" for span in spans for late_s in self._driving_in(span)]
        return told + [f"was told to drive {late_s:.3f} s into: {why}" for late_s, why in self._told_against_guard()]

    def moving_share(self) -> float:
        """Tell for which part of the time the motor was driving."""
        if len(self.motor) < 2:
            return 0.0
        driving_s = sum(end_s - start_s for start_s, end_s in self._driving())
        return driving_s / (self.motor[-1][0] - self.motor[0][0])

    def _driving(self) -> Iterator[tuple[float, float]]:
        """Yield from when until when the motor drove."""
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
        """Yield how far into a span the motor drove on, or again, after the bound."""
        least_s = span.start_s + span.bound_s * self.slack
        for start_s, end_s in self._driving():
            if max(start_s, least_s) < min(end_s, span.end_s):
                yield min(end_s, span.end_s) - span.start_s

    def _guard_says_no(self) -> list[Span]:
        return [Span(start_s, end_s, HALT_S, f"the guard is {state}") for start_s, end_s, state in self._noes()]

    def _told_against_guard(self) -> Iterator[tuple[float, str]]:
        """Yield each power that reached the hub in spite of the guard."""
        driven = [at_s for at_s, kind in self.motor if kind is CommandKind.DRIVE]
        noes = self._noes()
        n = 0
        for at_s in driven:
            while n < len(noes) and noes[n][1] <= at_s:
                n += 1
            if n < len(noes) and noes[n][0] + self.grace_s * self.slack < at_s:
                yield at_s - noes[n][0], f"the guard is {noes[n][2]}"

    def _noes(self) -> Sequence[tuple[float, float, GuardState]]:
        """List from when until when the guard did not permit motion, and in which state it was then."""
        ends = [at_s for at_s, _ in self.states[1:]] + [float("inf")]
        return [
            (at_s, end_s, state)
            for (at_s, state), end_s in zip(self.states, ends, strict=True)
            if state is not GuardState.RUNNING
        ]
