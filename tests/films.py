"""Judges a build, this one or another revision's, by films of the generated worlds.

`python -m tests.seeds --count 50 --films DIR` drives the worlds with this build and films them;
`python -m tests.films DIR [REVISION ...]` then lets this build and each revision, checked out into a folder of its own,
see the same pictures, and prints for each what became of the signs that must be obeyed. In a film the train does what
it did when it was filmed: a sign is obeyed in time when it acts before the filmed train passes it, and late is not
told apart.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.compare_builds import ROOT, build_path, checkout

from .support.obedience import Obedience, judge

PERIOD_S = 0.1
_AROUND = 3  # frames: an action comes some time after its picture was taken


def labels_at(film: Path) -> list[frozenset[str]]:
    """Return the labels in each picture of a film, from the .jsonl beside it."""
    lines = map(json.loads, film.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines())
    return [frozenset(one["label"] for one in line.get("detections", ())) for line in lines if "frame" in line]


def judge_film(film: Path, report: Mapping[str, Any]) -> Obedience:
    """Judge the actions of a run's report by the truth of the film that it saw."""
    shown = labels_at(film)
    signs = json.loads(film.with_suffix(".json").read_text(encoding="utf-8"))["signs"]
    actions, pictures = [], {}
    for action in report["actions"]:
        at = round(action["t_s"] / PERIOD_S)
        around = shown[max(0, at - _AROUND) : at + 1]
        actions.append({**action, "frame_id": str(at)})
        pictures[str(at)] = frozenset[str]().union(*around)
    return judge([{**sign, "disobeyed": False} for sign in signs], actions, pictures)


def run_build(tree: Path, film: Path) -> dict[str, Any]:
    """Let the build in `tree` see a film; return its report. Raises CalledProcessError when the run fails."""
    report = film.with_suffix(".report.json").resolve()
    command = [sys.executable, "-m", "edge_agent", "run", "--dry-run", "--no-realtime"]
    command += ["--source", str(film.resolve()), "--report", str(report)]
    environment = {**os.environ, **build_path(tree)}
    subprocess.run(command, env=environment, cwd=tree, check=True, capture_output=True)
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    report.unlink()
    return told


def main() -> None:
    """Run each build over the films and print the counts."""
    parser = argparse.ArgumentParser(description="Builds beside each other on films of the generated worlds.")
    parser.add_argument("films", type=Path)
    parser.add_argument("revisions", nargs="*")
    asked = parser.parse_args()
    films = sorted(asked.films.glob("*.mp4"))
    for revision in ("this build", *asked.revisions):
        with contextlib.ExitStack() as stack:
            tree = ROOT if revision == "this build" else stack.enter_context(checkout(revision))
            found = [judge_film(film, run_build(tree, film)) for film in films]
        counts = Counter(verdict.value for one in found for *_, verdict in one.signs)
        counts["wrong"] = sum(len(one.wrong) for one in found)
        sys.stdout.write(json.dumps({"build": revision, "films": len(films), **counts}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
