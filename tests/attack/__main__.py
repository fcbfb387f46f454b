"""Runs every attack many times and writes its table into docs/chaos.md: `make attack`.

Rows are interleaved, as in tests.chaos. An attack mostly waits, so `--jobs` processes share the runs. Exit code 1 if a
bound was exceeded.
"""

import argparse
import contextlib
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from edge_agent.runtime.files import write_atomic
from tests.chaos.table import Outcome, try_all

from .table import TRIALS, markdown, replace_section


def main() -> int:
    """Run the attacks and write the table."""
    parser = argparse.ArgumentParser(description="Run every attack and write the table of bounds and measurements.")
    parser.add_argument("--runs", type=int, default=20, help="runs of each attack")
    parser.add_argument("--only", default="", help="only attacks whose name contains this")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the runs")
    parser.add_argument("--output", type=Path, help="replace the section of attacks in this file, instead of printing")
    parser.add_argument("--json", type=Path, help="write what was measured into this file, instead of a table")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    outcomes = [Outcome(trial) for trial in TRIALS if options.only in trial.fault]
    with contextlib.suppress(KeyboardInterrupt):  # the table then holds what was measured
        if options.jobs > 1:
            share_runs(outcomes, options.runs, options.jobs, options.only)
        else:
            try_all(outcomes, options.runs)
    if options.json is not None:
        found = {one.trial.fault: [one.runs, one.measured_ms, one.failures] for one in outcomes}
        write_atomic(options.json, json.dumps(found).encode())
        return 0
    section = markdown(outcomes)
    if options.output is None:
        print(section, end="")
    else:
        write_atomic(options.output, replace_section(options.output.read_text(), section).encode())
    return int(any(outcome.failures for outcome in outcomes))


def share_runs(outcomes: Sequence[Outcome], runs: int, jobs: int, only: str) -> None:
    """Let so many processes make the runs, and add what they have measured to the outcomes."""
    shares = [runs // jobs + (job < runs % jobs) for job in range(jobs)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{job}.json" for job in range(jobs)]
        commands = [
            [sys.executable, "-m", "tests.attack", "--runs", str(share), "--only", only, "--json", str(file)]
            for share, file in zip(shares, files, strict=True)
        ]
        processes = [subprocess.Popen(command) for command in commands]
        for process in processes:
            if process.wait() != 0:
                raise SystemExit(f"a process of `--jobs` ended with {process.returncode}")
        for file in files:
            add_measured(outcomes, json.loads(file.read_text()))


def add_measured(outcomes: Sequence[Outcome], found: Mapping[str, tuple[int, list[float], list[str]]]) -> None:
    """Add to the outcomes what a process has measured: runs, ms and failures by the name of the attack."""
    for outcome in outcomes:
        runs, measured_ms, failures = found[outcome.trial.fault]
        outcome.runs += runs
        outcome.measured_ms += measured_ms
        outcome.failures += failures


if __name__ == "__main__":
    sys.exit(main())
