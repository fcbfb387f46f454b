"""`edge-agent bench`: compare the agent's pace with that of bare loops, on this machine."""

import json
import sys
from typing import Annotated

import typer

from edge_agent.cli.options import JsonOption
from edge_agent.errors import UsageError

QuickOption = Annotated[bool, typer.Option("--quick", help="Take two minutes instead of an hour, with fewer samples.")]
OnlyOption = Annotated[str | None, typer.Option("--only", metavar="1,2", help="Measure only these of the twelve.")]


def bench(quick: QuickOption = False, only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """Measure the agent against bare baselines, in interleaved blocks, and print twelve ratios with 95% intervals.

    Run it on an idle machine. The comparison with five processes over MQTT needs mosquitto.
    """
    goals = _goals(only)
    from edge_agent.bench.goals import measure
    from edge_agent.bench.measure import Bench
    from edge_agent.bench.result import FULL, QUICK, as_json as document, machine, rows
    from edge_agent.cli.output import show
    from edge_agent.runtime import log

    log.configure("error", "console")
    where = machine()
    with Bench(QUICK if quick else FULL, _progress) as bench:
        ratios = list(measure(bench, goals))
    if as_json:
        typer.echo(json.dumps(document(ratios, where)))
    else:
        show({}, False, rows(ratios))
        for ratio in ratios:
            typer.echo(f"{ratio.goal}: {ratio.details()}")


def _goals(only: str | None) -> list[int]:
    """Parse `--only`; raises UsageError for anything that is not a goal's number."""
    from edge_agent.bench.result import GOALS

    if only is None:
        return list(GOALS)
    parts = [part.strip() for part in only.split(",")]
    goals = [int(part) for part in parts if part.isdecimal() and int(part) in GOALS]
    if len(goals) != len(parts):
        raise UsageError(f"--only {only}: not a list of goals", remedy="give numbers from 1 to 12, as in 1,2")
    return goals


def _progress(message: str) -> None:
    sys.stderr.write(f"edge-agent bench: {message}\n")
    sys.stderr.flush()
