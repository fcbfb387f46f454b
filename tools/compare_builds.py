"""Compare this build with another revision: start, loop lag, CPU a frame with mirrors, both in turns in one run.

`python -m tools.compare_builds REVISION [--rounds 6] [--seconds 20] [--starts 12] [--json FILE]` checks REVISION out
into a temporary folder and runs both builds as processes of their own, A B B A, with the same interpreter, libraries,
pictures and brokers. Each ratio is this build's median over the other's, with a bootstrap interval over the runs.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.bench import brokers, launch, scene, stats

ROOT = Path(__file__).resolve().parents[1]
WARM_S = 3.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_END_S = 20.0

FIGURES = {
    "start_s": "process start to first command (s)",
    "cpu_ms": "CPU a frame with MQTT and Kafka (ms)",
    "lag_p99_ms": "loop lag with mirrors, p99 (ms)",
    "command_p99_ms": "capture to command with mirrors, p99 (ms)",
}


@contextlib.contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Check a revision out into a temporary folder; yields the folder."""
    with tempfile.TemporaryDirectory(prefix="edge-agent-build-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), revision], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def build_path(tree: Path) -> dict[str, str]:
    """Return what makes `python -m edge_agent` the build in `tree`, whatever the working directory."""
    return {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}


def run_once(
    tree: Path, folder: Path, source: Path, mirrors: Mapping[str, str], seconds: float
) -> tuple[float, float, float]:
    """Run one agent with mirrors; return CPU ms a frame, the loop's lag p99 and capture to command p99, both in ms."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "edge_agent", "run", "--dry-run", "--report", str(report)]
    process = subprocess.Popen(
        command,
        env=launch.agent_environment(source, folder, {**build_path(tree), **mirrors}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(WARM_S)  # the start is measured on its own
        before_s, began_s = _cpu_s(process.pid), time.monotonic()
        time.sleep(seconds)
        used_s, span_s = _cpu_s(process.pid) - before_s, time.monotonic() - began_s
        process.send_signal(signal.SIGTERM)
        process.wait(_END_S)
    finally:
        process.kill()
        process.wait()
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    frames = told["fps"] * span_s
    return used_s * 1000 / frames, told["loop_lag_ms"]["p99"], told["latency_ms"]["capture_to_command"]["p99"]


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far: utime and stime of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def main() -> None:
    """Measure, print a table, and write JSON where asked for."""
    parser = argparse.ArgumentParser(description="This build against another revision.")
    parser.add_argument("revision")
    parser.add_argument("--rounds", type=int, default=6, help="times A B B A with mirrors")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run with mirrors")
    parser.add_argument("--starts", type=int, default=12, help="times A B B A from process start to first command")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    taken: dict[str, dict[str, list[float]]] = {name: {"this": [], "other": []} for name in FIGURES}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-agent-compare-")))
        trees = {"this": ROOT, "other": stack.enter_context(checkout(options.revision))}
        source = launch.picture_folder(folder, scene.render(8))
        mirrors = {
            "EDGE_AGENT_MQTT__ENABLED": "true",
            "EDGE_AGENT_MQTT__PORT": str(stack.enter_context(brokers.mosquitto(folder))),
            "EDGE_AGENT_KAFKA__ENABLED": "true",
            "EDGE_AGENT_KAFKA__BOOTSTRAP_SERVERS": f'["127.0.0.1:{stack.enter_context(brokers.kafka())}"]',
        }
        states = {name: folder / name for name in trees}
        for state in states.values():
            state.mkdir()
        for name in stats.interleaved(("this", "other"), options.starts):
            taken["start_s"][name].append(launch.agent_start_s(source, states[name], build_path(trees[name])))
        for number, name in enumerate(stats.interleaved(("this", "other"), options.rounds), 1):
            sys.stderr.write(f"run {number} of {4 * options.rounds}: {name}\n")
            figures = run_once(trees[name], states[name], source, mirrors, options.seconds)
            for key, value in zip(("cpu_ms", "lag_p99_ms", "command_p99_ms"), figures, strict=True):
                taken[key][name].append(value)
    result = {}
    for key, title in FIGURES.items():
        ours, others = np.array(taken[key]["this"]), np.array(taken[key]["other"])
        if not len(ours):
            continue
        # Each run is a block of its own: its samples are not independent, the runs are.
        made = stats.ratio([np.array([one]) for one in ours], [np.array([one]) for one in others], stats.median)
        result[key] = {"this": np.median(ours), "other": np.median(others), "n": len(ours)}
        result[key] |= {"ratio": made.value, "low": made.low, "high": made.high}
        sys.stdout.write(
            f"{title}: {np.median(ours):.3g} and {np.median(others):.3g}, "
            f"ratio {made.value:.3f} ({made.low:.3f} to {made.high:.3f}), n {len(ours)} each\n"
        )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
