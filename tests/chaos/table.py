"""All faults, and the Markdown table of their results."""

import gc
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from . import faults_brokers, faults_hub, faults_loop, faults_process, faults_sight, faults_storage
from .trial import Trial

TRIALS: tuple[Trial, ...] = (
    *faults_sight.TRIALS,
    *faults_loop.TRIALS,
    *faults_process.TRIALS,
    *faults_hub.TRIALS,
    *faults_storage.TRIALS,
    *faults_brokers.TRIALS,
)

STOP_BOUND_MS = 60.0
"""Bound of the p99 of a stop, from the decision to the brake's bytes at the hub: one connection interval and 10 ms."""


INTRODUCTION = """# Faults, and what the train does

Written by `make chaos`. A complete agent drives an emulated hub through bleak, D-Bus and LWP3 bytes, in real time;
each fault is injected at a random moment while the train is at full power. The time runs from the fault to the stop
of the motor: by the brake's bytes at the hub, or by the loss of the link, on which LEGO's firmware stops it. For
signs it starts with the frame that confirmed the sign. In no run may the motor drive after the stop. Faults of a real
broker are tested in tests/observers; tests/soak measures their effect on latency.

The emulated Bluetooth stack takes the times that were measured on Linux 6.1 with bluetoothd 5.66: a connection event
every 50 ms carries writes to the hub, and its answers at the next one; a link outlives the radio by 420 ms; a
disconnect takes 2.4 s, the adapter's `Powered=false` 0.02 s. A brake therefore needs up to 50 ms to the hub. What the
agent can only notice by missing answers stops within 800 ms: up to 100 ms until the next write, 300 ms (or five
connection intervals) without an answer, 50 ms to the guard's next step, 100 ms in which the brake is not confirmed
either, and the end of the link. Two rows take longer, as the stack allows no more: nobody reaches a hub whose
bluetoothd was killed, or whose D-Bus daemon, until the kernel drops the orphaned link after 2 s and the hub stops by
itself; and while bluetoothd stands still (SIGSTOP) the brake waits in its queue, so that row counts from when it goes
on. Where another device uses the adapter, it is not switched off, and the end of the link takes up to 2.9 s instead
of 0.02 s.
"""


@dataclass
class Outcome:
    """Results of one fault."""

    trial: Trial
    measured_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    runs: int = 0

    def try_once(self) -> None:
        """Run it once more."""
        self.runs += 1
        try:
            ms = self.trial.try_once(1.0)
        except Exception as error:  # noqa: BLE001 - any error is a result
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        if ms is None:
            return
        self.measured_ms.append(ms)
        if self.trial.bound_ms is not None and ms > self.trial.bound_ms:
            self.failures.append(f"{ms:.0f} ms, the bound is {self.trial.bound_ms:.0f} ms")

    @property
    def held(self) -> int:
        """Number of runs in which the train did what it must, in time."""
        return self.runs - len(self.failures)

    def row(self) -> str:
        """Format the result as a row of the table."""
        bound = "" if self.trial.bound_ms is None else f"{self.trial.bound_ms:.0f}"
        median = f"{statistics.median(self.measured_ms):.0f}" if self.measured_ms else ""
        worst = f"{max(self.measured_ms):.0f}" if self.measured_ms else ""
        cells = (self.trial.fault, self.trial.train, bound, median, worst, f"{self.held}/{self.runs}")
        return f"| {' | '.join(cells)} |"


def try_all(outcomes: Sequence[Outcome], runs: int) -> None:
    """Run every trial so many times, interleaved, and print the progress."""
    for n in range(runs):
        for outcome in outcomes:
            failed = len(outcome.failures)
            outcome.try_once()
            gc.collect()
            measured = f"{outcome.measured_ms[-1]:.0f} ms" if outcome.measured_ms else ""
            result = outcome.failures[failed] if outcome.failures[failed:] else measured
            print(f"{n + 1:3d}  {outcome.trial.fault:45s} {result}", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def rows(what: str, outcomes: Sequence[Outcome], *remarks: str) -> list[str]:
    """Return the lines of a table of results, remarks, the machine, and what was not held."""
    lines = [
        f"| {what} | the train | bound ms | median ms | worst ms | held |",
        "|---|---|---:|---:|---:|---:|",
        *(outcome.row() for outcome in outcomes),
        "",
        *(line for remark in remarks for line in (remark, "")),
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; load average {os.getloadavg()[0]:.1f} at the end.",
    ]
    failed = [outcome for outcome in outcomes if outcome.failures]
    if failed:
        lines += ["", "Not held:", ""]
        lines += [f"- {one.trial.fault}: {failure}" for one in failed for failure in one.failures]
    return lines


def markdown(outcomes: Sequence[Outcome], stops_ms: Sequence[float]) -> str:
    """Format the document."""
    remarks = []
    if stops_ms:
        p50, p99 = (f"{percentile(stops_ms, percent):.1f}" for percent in (50, 99))
        remarks.append(
            "From the decision to stop to the brake's bytes at the hub, at random moments of a start: "
            f"p50 {p50} ms, p99 {p99} ms (bound {STOP_BOUND_MS:.0f} ms), worst {max(stops_ms):.1f} ms, "
            f"of {len(stops_ms)}."
        )
    return "\n".join([*INTRODUCTION.splitlines(), "", *rows("fault", outcomes, *remarks)]) + "\n"


ATTACKS = "## Attacks"
"""Heading of the last section of docs/chaos.md, which tests.attack writes."""


def without_attacks(document: str) -> str:
    """Return docs/chaos.md up to the section of attacks."""
    return document.partition(f"\n{ATTACKS}\n")[0]


def attacks_of(document: str) -> str:
    """Return the section of attacks of docs/chaos.md, with an empty line before it; empty if there is none."""
    _, heading, section = document.partition(f"\n{ATTACKS}\n")
    return heading + section
