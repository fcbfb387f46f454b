"""Results of trials, and the tables of docs/device.md. Pure: no machine, no clock."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """Results of one fault: milliseconds of each run in which the train did what it must, and why it did not in others.

    `bound_ms` is None for a row that is only measured. A time of None is a run without one (the train drives on).
    """

    section: str
    fault: str
    train: str
    bound_ms: float | None = None
    times_ms: tuple[float | None, ...] = ()
    failures: tuple[str, ...] = field(default=())

    @property
    def late(self) -> tuple[float, ...]:
        """Times above the bound."""
        if self.bound_ms is None:
            return ()
        return tuple(ms for ms in self.times_ms if ms is not None and ms > self.bound_ms)

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.times_ms) + len(self.failures)

    @property
    def held(self) -> int:
        """Number of runs in which the train did what it must, in time."""
        return len(self.times_ms) - len(self.late)

    def cells(self) -> tuple[str, ...]:
        """Format as the cells of a row: fault, train, bound, p50, max, held."""
        times = sorted(ms for ms in self.times_ms if ms is not None)
        bound = "" if self.bound_ms is None else f"{self.bound_ms:.0f}"
        median, worst = (f"{percentile(times, 50):.0f}", f"{times[-1]:.0f}") if times else ("", "")
        return (self.fault, self.train, bound, median, worst, f"{self.held}/{self.runs}")


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest of ordered values that so many percent do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def merged(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Put the runs of the same fault together, in the order in which the faults first appear."""
    by_fault: dict[tuple[str, str], Row] = {}
    for row in rows:
        at = (row.section, row.fault)
        before = by_fault.get(at, Row(row.section, row.fault, row.train, row.bound_ms))
        times, failures = before.times_ms + row.times_ms, before.failures + row.failures
        by_fault[at] = Row(row.section, row.fault, row.train, row.bound_ms, times, failures)
    return tuple(by_fault.values())


def to_json(rows: Iterable[Row]) -> str:
    """Encode rows, a line each."""
    return "".join(json.dumps(asdict(row)) + "\n" for row in rows)


def from_json(text: str) -> tuple[Row, ...]:
    """Decode what `to_json` made."""
    return tuple(_row(json.loads(line)) for line in text.splitlines())


def _row(values: Mapping[str, object]) -> Row:
    made = dict(values)
    for name in ("times_ms", "failures"):
        made[name] = tuple(made[name])  # type: ignore[arg-type]
    return Row(**made)  # type: ignore[arg-type]


def section(title: str, rows: Sequence[Row]) -> str:
    """Format a section: a table, and below it what was not held."""
    lines = [
        f"## {title}",
        "",
        "| fault | the train | bound ms | p50 ms | max ms | held |",
        "|---|---|---:|---:|---:|---:|",
    ]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    missed = [f"- {row.fault}: {reason}" for row in rows for reason in _reasons(row)]
    return "\n".join([*lines, *(["", "Not held:", "", *missed] if missed else []), ""])


def _reasons(row: Row) -> list[str]:
    """List why runs were not held, equal reasons once."""
    late = [f"{len(row.late)} of {row.runs} late, the worst {max(row.late):.0f} ms"] if row.late else []
    counted: dict[str, int] = {}
    for failure in row.failures:
        counted[failure] = counted.get(failure, 0) + 1
    return late + [f"{reason} ({count} of {row.runs})" for reason, count in counted.items()]


def replaced(document: str, title: str, text: str) -> str:
    """Return a document with the section of that title replaced, or added at its end."""
    heading = f"## {title}\n"
    before, found, rest = document.partition(heading)
    if not found:
        return f"{document.rstrip()}\n\n{text}"
    _, next_heading, after = rest.partition("\n## ")
    return before + text + (next_heading + after if next_heading else "")
