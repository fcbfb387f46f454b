"""Drives the default world over many seeds on a virtual clock and prints how each mission went.

`make seeds`, or `python -m tests.seeds --count 50 --jobs 2 [--json] [--detector none] [--battery 20] [--films DIR]`.
Exit 1 when a train derailed. Of the signs that must be obeyed it tells how many were obeyed in time, late, never and
twice, and of the actions how many were wrong (support/obedience.py). Besides, against the simulator's truth, how many
decisions were false, and how long after its first readable picture (true box 16 px high) each sign was confirmed, and
acted. `--films` keeps each mission as a film with its truth, for judging other builds by the same pictures:
tests/films.py.
"""

import argparse
import json
import logging
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from edge_agent.agent import RunOptions, run
from edge_agent.config import load, load_rules
from edge_agent.observers.recorder import Recorder
from edge_agent.simulation.clock import run_virtual

from .support.obedience import Verdict, Witness, judge
from .support.sightings import Judge, percentiles


@dataclass(frozen=True)
class Result:
    """One mission."""

    seed: int
    outcome: str
    margin_mm: float | None
    overruns: int
    signs: tuple[tuple[str, float, str], ...]
    wrong: tuple[str, ...]
    duration_s: float
    actions: tuple[str, ...]
    false_decisions: int
    readable: int
    confirmed_after_s: tuple[float | None, ...]
    decided_after_s: tuple[float | None, ...]


def drive(seed: int, overrides: dict[str, object], films: Path | None = None) -> Result:
    """Drive one mission; with `films` keep it as seed-N.mp4, .jsonl and .json (the report) in that folder."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = load(None, {**overrides, "sim.seed": seed, "hub.kind": "mock", "capture.source": "sim"}, {}).settings
    rules = load_rules(settings.policy.rules)
    sightings, witness = Judge(rules.signs), Witness()
    recorders = (Recorder(films / f"seed-{seed}.mp4", settings.capture.fps),) if films else ()
    sinks = (sightings, witness, *recorders)
    report: dict[str, Any] = run_virtual(run(RunOptions(settings, rules, sinks=sinks, virtual=True)))
    mission = report["mission"]
    if films:
        (films / f"seed-{seed}.json").write_text(json.dumps(mission) + "\n", encoding="utf-8")
    obedience = judge(mission["signs"], report["actions"], witness.labels)
    return Result(
        seed=seed,
        outcome=mission["outcome"],
        margin_mm=mission["margin_mm"],
        overruns=mission["overruns"],
        signs=obedience.signs,
        wrong=obedience.wrong,
        duration_s=report["duration_s"],
        actions=tuple(action["sign"] for action in report["actions"]),
        false_decisions=sightings.false_decisions,
        readable=len(sightings.passages),
        confirmed_after_s=tuple(passage.confirmed_after_s for passage in sightings.passages),
        decided_after_s=tuple(passage.decided_after_s for passage in sightings.passages),
    )


def summary(results: list[Result]) -> dict[str, Any]:
    """Add the missions up."""
    hours = sum(result.duration_s for result in results) / 3600
    verdicts = [verdict for result in results for _, _, verdict in result.signs]
    margins = [result.margin_mm for result in results if result.outcome == "stopped" and result.margin_mm is not None]
    return {
        "missions": len(results),
        "stopped": sum(result.outcome == "stopped" for result in results),
        "derailed": [result.seed for result in results if result.outcome == "derailed"],
        "ended": [result.seed for result in results if result.outcome == "ended"],
        "overruns": sum(result.overruns for result in results),
        "signs_to_obey": len(verdicts),
        **{verdict.value.replace(" ", "_"): verdicts.count(verdict) for verdict in Verdict},
        "wrong": sum(len(result.wrong) for result in results),
        "margin_mm": {"min": min(margins, default=None), "median": statistics.median(margins) if margins else None},
        "duration_s": {"min": min(r.duration_s for r in results), "max": max(r.duration_s for r in results)},
        "false_decisions_per_hour": round(sum(result.false_decisions for result in results) / hours, 2),
        "signs_readable": sum(result.readable for result in results),
        "first_readable_to_confirmed_s": percentiles(w for result in results for w in result.confirmed_after_s),
        "first_readable_to_decision_s": percentiles(w for result in results for w in result.decided_after_s),
    }


def _line(result: Result) -> str:
    """Return how many signs were obeyed in time, and each that was not."""
    amiss = [f"{label} at {at_mm:.0f} mm: {verdict}" for label, at_mm, verdict in result.signs if verdict != "in time"]
    amiss += [f"wrong: {label}" for label in result.wrong]
    good = sum(verdict == Verdict.IN_TIME for _, _, verdict in result.signs)
    return f"{good} of {len(result.signs)} in time" + "".join(f"; {one}" for one in amiss)


def main() -> int:
    """Parse, drive, print."""
    parser = argparse.ArgumentParser(description="Drive the default world over many seeds on a virtual clock.")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--detector", default=None)
    parser.add_argument("--battery", type=int, default=None)
    parser.add_argument("--films", type=Path, default=None, help="a folder that keeps each mission as a film")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    overrides = {"detector.backend": asked.detector, "sim.battery_percent": asked.battery, "detector.threads": 1}
    if asked.films:
        asked.films.mkdir(parents=True, exist_ok=True)
    work = partial(drive, overrides=overrides, films=asked.films)
    results = []
    with ProcessPoolExecutor(asked.jobs) as pool:
        for result in pool.map(work, range(asked.first, asked.first + asked.count)):
            results.append(result)
            print(
                f"seed {result.seed:3d}  {result.outcome:8s}  margin {result.margin_mm or 0:6.0f} mm  "
                f"overruns {result.overruns}  {result.duration_s:5.1f} s  {_line(result)}",
                file=sys.stderr,
                flush=True,
            )
    total = summary(results)
    print(json.dumps({"summary": total, "missions": [asdict(result) for result in results]} if asked.json else total))
    return 1 if total["derailed"] else 0


if __name__ == "__main__":
    sys.exit(main())
