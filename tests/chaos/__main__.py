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
from .table import STOP_BOUND_MS, TRIALS, Outcome, markdown, percentile


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
    for n in range(options.runs):
        for outcome in outcomes:
            failed = len(outcome.failures)
            outcome.try_once()
            gc.collect()
            _progress(n, outcome, outcome.failures[failed:])
    stops_ms = stops(options.stops) if options.stops else []
    text = markdown(outcomes, stops_ms)
    if options.output is None:
        print(text, end="")
    else:
        write_atomic(options.output, text.encode())
    slow = bool(stops_ms) and percentile(stops_ms, 99) > STOP_BOUND_MS
    return int(slow or any(outcome.failures for outcome in outcomes))


def _progress(run: int, outcome: Outcome, failures: list[str]) -> None:
    measured = f"{outcome.measured_ms[-1]:.0f} ms" if outcome.measured_ms else ""
    print(
        f"{run + 1:3d}  {outcome.trial.fault:45s} {failures[0] if failures else measured}", file=sys.stderr, flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
