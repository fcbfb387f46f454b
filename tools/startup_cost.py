"""What each start-up trick brings: process start, or the loop's lag, with the agent as it is and without one trick.

`python -m tools.startup_cost [--only openblas,timerfd] [--rounds 20] [--lag-rounds 3] [--lag-s 16]` takes about ten
minutes on an idle machine. Every sample is a process of its own, and all arms of a group run interleaved (A B C C B A).
A trick is taken away by patching the child process before the agent begins; nothing in the product is switchable.
A patch that no longer finds what it replaces fails, so that no trick is measured against itself.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_agent.bench import stats
from edge_agent.bench.launch import agent_start_s, picture_folder
from edge_agent.bench.measure import Bench
from edge_agent.bench.result import QUICK
from edge_agent.errors import RetryableError

LEAST_GAIN = 0.10
"""A trick that brings less than this share is not worth its lines."""

_PATCH = """
import ast, gc, importlib, os, pathlib, sys
def patch(owner, name, value):
    old = getattr(owner, name)  # raises where there is nothing to replace
    setattr(owner, name, value(old))
def late_imports(*files):
    import edge_agent
    root = pathlib.Path(edge_agent.__file__).parent
    found = []
    for file in (one for pattern in files for one in root.glob(pattern)):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for node in ast.walk(function):
                    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module.startswith("edge_agent"):
                        found.append(node.module)
    assert found, files
    return sorted(set(found))
def load(modules):
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:  # an extra that is not installed
            if str(error.name).startswith("edge_agent"):
                raise
LATE = ("edge_agent.agent.console", "edge_agent.agent.gpu_upgrade")  # what load_when_driving loads
def after_agent(act):
    # Run `act` where edge_agent.agent has just been imported: a run does that while its detector is being opened.
    import edge_agent.cli.startup as startup
    patch(startup, "preload_detector", lambda preload: lambda settings: (preload(settings), act())[0])
"""

_AS_COMMAND = "sys.argv[0] = 'edge-agent'\nfrom edge_agent.cli import main\nmain()\n"

_WATCH_LAG = """
import numpy
from edge_agent.bench.blocks import agent_block
from edge_agent.bench.result import bench_settings
from edge_agent.config import load_rules
from edge_agent.runtime import log
log.configure("error", "console")
settings = bench_settings(json.loads(sys.argv[3]))
rules, pictures = load_rules(settings.policy.rules), numpy.load(sys.argv[1])
cv2.setNumThreads(1)
gc.freeze()  # what `edge-agent run` does before the loop begins
block = agent_block(settings, rules, pictures, float(sys.argv[2]), probe=True)
print(json.dumps(block.lag_ms.tolist()))
"""


@dataclass(frozen=True, slots=True)
class Trick:
    """One trick: what it is measured by (a key of GROUPS), and what takes it away in a child process."""

    group: str
    what: str
    without: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


GROUPS = {
    "start": "process start to first command, s",
    "help": "`edge-agent --help`, s",
    "brake": "`edge-agent hub brake` without a hub, s",
    "lag": "loop lag p99 with the detector and the mirrors, ms",
}

TRICKS = {
    "lazy-commands": Trick(
        "start",
        "only the named command's file is loaded",
        "import edge_agent.cli.program as program\n"
        "patch(program, 'build', lambda build: lambda names: build(program.COMMANDS))\n",
    ),
    "lean-structlog": Trick(
        "start",
        "structlog is loaded without rich",
        "import edge_agent.cli.startup as startup\n"
        "patch(startup, 'load_structlog', lambda load_structlog: lambda: None)\n",
    ),
    "preload-detector": Trick(
        "start",
        "the detector is opened while the agent's code is loaded",
        "import edge_agent.cli.startup as startup\n"
        "patch(startup, 'preload_detector', lambda preload: lambda settings: None)\n",
    ),
    "load-when-driving": Trick(
        "start",
        "web server and GPU code are loaded once the train drives",
        "after_agent(lambda: load(LATE))\n",
    ),
    "only-needed": Trick(
        "start",
        "hub, mirrors and simulation are loaded only where the settings ask for them",
        "after_agent(lambda: load(set(late_imports('agent/*.py')) - set(LATE)))\n",
    ),
    "openblas": Trick(
        "start",
        "numpy's algebra starts no threads",
        environment={"OPENBLAS_NUM_THREADS": str(os.cpu_count() or 1)},
    ),
    "late-imports": Trick("help", "a command's function imports what it runs", "load(late_imports('cli/*.py'))\n"),
    "direct-brake": Trick(
        "brake",
        "the brake is called without the command line's parser",
        "from edge_agent.cli.program import main\nmain()\n",
    ),
    "timerfd": Trick(
        "lag",
        "timers by timerfd instead of epoll's milliseconds",
        "import asyncio\nimport edge_agent.runtime.event_loop as event_loop\n"
        "patch(event_loop, 'new_loop', lambda old: asyncio.new_event_loop)\n",
    ),
    "gc-freeze": Trick("lag", "what was imported is not collected again", "patch(gc, 'freeze', lambda old: int)\n"),
}
AS_IT_IS = "as it is"


class Samples:
    """Runs one process a sample and returns its figures.

    Args:
        bench: pictures, brokers and a folder.
        lag_s: seconds of a block in which the loop's lag is watched.
    """

    def __init__(self, bench: Bench, lag_s: float) -> None:
        self._bench = bench
        self._lag_s = lag_s
        self._source = picture_folder(bench.folder, bench.pictures[:8])
        self._pictures = bench.folder / "lag-pictures.npy"
        np.save(self._pictures, np.stack(bench.pictures))

    def take(self, group: str, trick: Trick | None) -> stats.Block:
        """Return one sample of a group's figure, or all lags of one block in ms, without `trick`."""
        without = trick.without if trick else ""
        more = dict(trick.environment) if trick else {}
        if group == "start":
            program = ("-c", _PATCH + without + _AS_COMMAND)
            return np.array([agent_start_s(self._source, self._bench.folder / "state", more, program)])
        if group == "help":
            return np.array([_elapsed_s(_PATCH + without + _AS_COMMAND, ["--help"], more)])
        if group == "brake":
            more["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={self._bench.folder / 'no-bus'}"
            return np.array([_elapsed_s(_PATCH + (without or _AS_COMMAND), ["hub", "brake"], more)])
        return self._lag_ms(without, more)

    def _lag_ms(self, without: str, more: Mapping[str, str]) -> stats.Block:
        self._bench.start_brokers()
        state = {"state.directory": str(self._bench.folder / "state"), "capture.fps": 10.0}
        settings = json.dumps({**state, **self._bench.mirrors["loaded"]})
        arguments = [str(self._pictures), str(self._lag_s), settings]
        done = _child("import cv2, json\n" + _PATCH + without + _WATCH_LAG, arguments, more)
        if done.returncode:
            raise RetryableError(f"the agent failed: {done.stderr[-300:]}", remedy="read what the child prints")
        return np.array(json.loads(done.stdout.splitlines()[-1]))


def _child(code: str, arguments: Sequence[str], more: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=False)


def _elapsed_s(code: str, arguments: Sequence[str], more: Mapping[str, str]) -> float:
    """Return how long a command takes in s; one that fails for want of a hub has run all the same."""
    began_s = time.perf_counter()
    done = _child(code, arguments, more)
    took_s = time.perf_counter() - began_s
    if "Traceback" in done.stderr:
        raise RetryableError(f"the command failed: {done.stderr[-300:]}", remedy="read what the child prints")
    return took_s


def measure(samples: Samples, only: Sequence[str], rounds: int, lag_rounds: int) -> list[tuple[str, ...]]:
    """Measure the tricks named in `only`, group by group, and return the table's rows."""
    rows: list[tuple[str, ...]] = [("trick", "figure", "as it is", "without", "without / as it is", "verdict")]
    for group, figure in GROUPS.items():
        tricks = {name: TRICKS[name] for name in only if TRICKS[name].group == group}
        if not tricks:
            continue
        taken: dict[str, list[stats.Block]] = {arm: [] for arm in (AS_IT_IS, *tricks)}
        samples.take("start" if group == "lag" else group, None)  # fill the file cache
        count = {"start": rounds, "lag": lag_rounds}.get(group, max(1, rounds // 4))  # the others are beyond doubt
        for number, arm in enumerate(stats.interleaved(list(taken), count), 1):
            sys.stderr.write(f"{group} {number}: {arm}\n")
            taken[arm].append(samples.take(group, tricks.get(arm)))
        statistic = stats.percentile(99) if group == "lag" else stats.median
        for name in tricks:
            rows.append(_row(name, figure, taken[AS_IT_IS], taken[name], statistic))
    return rows


def _row(
    name: str, figure: str, ours: Sequence[stats.Block], without: Sequence[stats.Block], statistic: stats.Statistic
) -> tuple[str, ...]:
    ratio = stats.ratio(without, ours, statistic)
    gain = 1 - 1 / ratio.value
    sure = ratio.low > 1 / (1 - LEAST_GAIN) or ratio.high < 1 / (1 - LEAST_GAIN)
    verdict = f"{'keep' if gain >= LEAST_GAIN else 'drop'}: brings {gain:.0%}{'' if sure else ', not certain'}"
    values = [f"{statistic(np.concatenate(side)):.3f}" for side in (ours, without)]
    return (name, figure, *values, f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})", verdict)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description="Measure what each start-up trick brings.")
    parser.add_argument("--only", default=",".join(TRICKS), help=f"of {', '.join(TRICKS)}")
    parser.add_argument("--rounds", type=int, default=20, help="rounds, there and back, of each start")
    parser.add_argument("--lag-rounds", type=int, default=3, help="rounds, there and back, of each block of lag")
    parser.add_argument("--lag-s", type=float, default=16.0, help="seconds of such a block")
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := set(only) - set(TRICKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with Bench(QUICK, lambda arguments: None) as bench:
        rows = measure(Samples(bench, options.lag_s), only, options.rounds, options.lag_rounds)
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    sys.stdout.write("\n".join([head, "|---" * len(rows[0]) + "|", *body]) + "\n")


if __name__ == "__main__":
    main()
