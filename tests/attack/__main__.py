"""Runs every attack many times and writes its table into docs/chaos.md: `make attack`.

Rows are interleaved, as in tests.chaos. Exit code 1 if a bound was exceeded.
"""

import argparse
import contextlib
import logging
import sys
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
    parser.add_argument("--output", type=Path, help="replace the section of attacks in this file, instead of printing")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    outcomes = [Outcome(trial) for trial in TRIALS if options.only in trial.fault]
    with contextlib.suppress(KeyboardInterrupt):  # the table then holds what was measured
        try_all(outcomes, options.runs)
    section = markdown(outcomes)
    if options.output is None:
        print(section, end="")
    else:
        write_atomic(options.output, replace_section(options.output.read_text(), section).encode())
    return int(any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
