"""Measures how figures change with the number of agents on one machine."""

from dataclasses import dataclass

import numpy as np

from edge_agent.bench.measure import PACED_FPS, Bench
from edge_agent.bench.singles import child_report, start_child

COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class ScaleResult:
    """Medians over `count` agents: frames a second each, ms to the command, CPU ms a frame, MiB each."""

    count: int
    fps: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    rss_mib: float


def run_agents(bench: Bench, count: int) -> ScaleResult:
    """Run `count` agents at the same time; raises RetryableError where one fails."""
    seconds = bench.plan.scale_s
    bench.report_progress(f"{count} agents for {seconds:g} s")
    running = [start_child(bench, f"train-{index}", seconds, PACED_FPS, real=True) for index in range(count)]
    reports = [child_report(process, seconds + 60 + 10 * count) for process in running]
    seen = [(one.column("t_s"), one.column("frames"), one.column("cpu_s")) for one in reports]
    frames = [counted[-1] - counted[1] for _, counted, _ in seen]
    return ScaleResult(
        count,
        float(np.median([done / (at[-1] - at[1]) for done, (at, _, _) in zip(frames, seen, strict=True)])),
        float(np.median([one.latency_ms["p50"] or np.nan for one in reports])),
        float(np.median([one.latency_ms["p99"] or np.nan for one in reports])),
        float(np.median([(cpu[-1] - cpu[1]) * 1000 / max(d, 1) for d, (_, _, cpu) in zip(frames, seen, strict=True)])),
        float(np.median([one.column("rss_mib")[-1] for one in reports])),
    )
