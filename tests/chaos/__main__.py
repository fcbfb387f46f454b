"""Runs every fault many times and writes the table: `make chaos`, or `python -m tests.chaos --runs 20`.

Rows are interleaved, so that a busy minute of the machine does not affect a single row. Exit code 1 if a bound was
exceeded.
"""

import argparse
import gc
import sys
from pathlib import Path

from edge_agent.runtime.files import write_atomic

from .latency import stops
from .table import STOP_BOUND_MS, TRIALS, Outcome, attacks_of, markdown, percentile, try_all


def main() -> int:
    """Run the trials and write the table."""
    parser = argparse.ArgumentParser(description="Inject every fault and write the table of bounds and measurements.")
    parser.add_argument("--runs", type=int, default=20, help="runs of each fault")
    parser.add_argument("--stops", type=int, default=1000, help="number of stops to measure")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    parser.add_argument("--output", type=Path, help="write the Markdown to this file instead of stdout")
    options = parser.parse_args()
    gc.collect()
    gc.freeze()  # as `edge-agent run` does: later collections skip the modules
    outcomes = [Outcome(trial) for trial in TRIALS if options.only in trial.fault]
    try_all(outcomes, options.runs)
    stops_ms = stops(options.stops) if options.stops else []
    text = markdown(outcomes, stops_ms)
    if options.output is None:
        print(text, end="")
    else:
        before = options.output.read_text() if options.output.exists() else ""
        write_atomic(options.output, (text + attacks_of(before)).encode())
    slow = bool(stops_ms) and percentile(stops_ms, 99) > STOP_BOUND_MS
    return int(slow or any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
