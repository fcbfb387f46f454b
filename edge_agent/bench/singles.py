"""What is measured on processes of their own: memory over time, starts, and many agents on one machine."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edge_agent.bench import stats
from edge_agent.bench.launch import agent_start_s, bare_start_s, picture_folder
from edge_agent.bench.measure import Bench
from edge_agent.bench.result import ChildReport, Ratio
from edge_agent.bench.stats import Interval
from edge_agent.errors import RetryableError

MEMORY_FPS = 60.0
FRAMES_AN_HOUR = 36_000


def start_child(
    bench: Bench, name: str, seconds: float, fps: float, *, real: bool = False, arm: str = "mirrored"
) -> "subprocess.Popen[str]":
    """Start an agent with an arm's settings in a process of its own, with a state folder of its own."""
    pictures, state = bench.folder / "child-pictures.npy", bench.folder / name
    if not pictures.exists():
        np.save(pictures, np.stack(bench.pictures))
    state.mkdir(exist_ok=True)
    settings: dict[str, object] = {**bench.mirrors.get(arm, {}), "state.directory": str(state)}
    settings |= {"train.id": name}
    if "kafka.outbox.path" in settings:
        settings["kafka.outbox.path"] = str(state / "outbox.db")
    arguments = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    command = [sys.executable, "-m", "edge_agent.bench.child", str(seconds), str(fps), *arguments]
    command += ["--pictures", str(pictures), *(["--real"] if real else [])]
    process = subprocess.Popen(  # noqa: S603 - a fixed command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    bench.stack.callback(process.kill)  # agents end with the benchmark, however it ends
    return process


def child_report(process: "subprocess.Popen[str]", timeout_s: float) -> ChildReport:
    """Wait for such an agent to end and return what it printed; raises RetryableError where it failed."""
    try:
        out, problems = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise RetryableError("the agent did not end in time", remedy="run it on a quieter machine") from error
    lines = [json.loads(line) for line in out.splitlines()]
    if process.returncode or len(lines) < 3:
        last = (problems.strip().splitlines() or ["nothing"])[-1]
        raise RetryableError(f"the agent failed: {last[:200]}", remedy="run it by hand")
    return ChildReport(tuple(lines[:-1]), lines[-1]["latency_ms"])


def memory(bench: Bench) -> Ratio:
    """Goal 9: memory with mirrors on, at 60 frames a second, so that an hour's frames take ten minutes."""
    bench.start_brokers()
    seconds = bench.plan.memory_s
    bench.report_progress(f"memory: {seconds:g} s at {MEMORY_FPS:g} frames a second")
    report = bench.memory_report = child_report(start_child(bench, "memory", seconds, MEMORY_FPS), seconds + 120)
    rss, frames = report.column("rss_mib"), report.column("frames")
    warm = max(1, round(len(rss) * 0.2))
    window = max(1, (len(rss) - warm) // 10)
    first, last = rss[warm : warm + window], rss[-window:]
    growth = stats.ratio([last], [first], stats.median)
    counted = int(frames[-1] - frames[warm])
    short = f"an hour at 10 a second has {FRAMES_AN_HOUR:,}" if counted < 0.9 * FRAMES_AN_HOUR else ""
    note = f"{np.median(first):.1f} to {np.median(last):.1f} MiB"
    notes = "; ".join(part for part in (note, short, bench.without) if part)
    return Ratio(9, Interval(growth.value - 1, growth.low - 1, growth.high - 1), f"{counted:,} frames", notes)


def holed_memory(bench: Bench) -> float:
    """Return how many MiB more an agent with black-holed brokers uses than one with healthy brokers.

    Both run at the same time, and so have the same frames.
    """
    seconds = bench.plan.holed_s
    bench.report_progress(f"memory with black-holed brokers: {seconds:g} s")
    running = [start_child(bench, f"memory-{arm}", seconds, MEMORY_FPS, arm=arm) for arm in ("holed", "mirrored")]
    holed, healthy = (child_report(process, seconds + 120).column("rss_mib") for process in running)
    last = max(1, len(healthy) // 3)
    return float(np.median(holed[-last:]) - np.median(healthy[-last:]))


def starts(bench: Bench, goals: Iterable[int]) -> list[Ratio]:
    """Goals 10 and 11: fresh processes, the kinds interleaved."""
    wanted = {10, 11} & set(goals)
    arms = ["agent", *(["bare"] if 10 in wanted else []), *(["corrupt"] if 11 in wanted else [])]
    source = picture_folder(bench.folder, bench.pictures[:8])
    engine = _corrupt_engine(bench.folder, bench.model)
    settings = bench.settings("plain")
    threads = settings.detector.threads or 2
    taken: dict[str, list[float]] = {arm: [] for arm in arms}
    for number, arm in enumerate(stats.interleaved(arms, bench.plan.starts), 1):
        bench.report_progress(f"start {number} of {2 * len(arms) * bench.plan.starts}: {arm}")
        if arm == "bare":
            taken[arm].append(bare_start_s(bench.model, source / "000.jpg", threads))
        else:
            more = {"EDGE_AGENT_DETECTOR__MODEL": str(engine)} if arm == "corrupt" else {}
            taken[arm].append(agent_start_s(source, bench.folder / "start", more))
    return [
        _start_ratio(goal, taken["agent" if goal == 10 else "corrupt"], taken["bare" if goal == 10 else "agent"])
        for goal in sorted(wanted)
    ]


def _start_ratio(goal: int, ours: Sequence[float], other: Sequence[float]) -> Ratio:
    ratio = stats.ratio([np.array(ours)], [np.array(other)], stats.median)
    note = f"{np.median(ours):.2f} s, {np.median(other):.2f} s"
    return Ratio(goal, ratio, f"{len(ours)} and {len(other)} starts", note)


def _corrupt_engine(folder: Path, model: Path) -> Path:
    """Write an engine that TensorRT cannot load, beside the ONNX file that is used instead."""
    place = folder / "corrupt"
    place.mkdir(exist_ok=True)
    for suffix in (".onnx", ".json"):
        shutil.copyfile(model.with_suffix(suffix), place / f"signs{suffix}")
    engine = place / "signs.engine"
    engine.write_bytes(b"not an engine" * 1000)
    return engine
