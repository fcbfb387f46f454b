"""The twelve goals, the plans of a run, and results as JSON and as a table."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent import __version__
from edge_agent.bench.stats import Block, Interval
from edge_agent.config import Settings, load

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Goal:
    """One ratio to reach; `better` is `lower` or `higher`."""

    name: str
    target: float
    better: str = "lower"


GOALS: dict[int, Goal] = {
    1: Goal("frame to command, p50: agent / paced bare loop", 1.03),
    2: Goal("frame to command, p99: agent / paced bare loop", 1.10),
    3: Goal("frame to command with a stub detector, p50: agent / five processes over MQTT", 0.10),
    4: Goal("CPU seconds a frame: agent with mirrors / paced bare loop", 1.10),
    5: Goal("frames a second flat out: agent / bare loop", 0.97, "higher"),
    6: Goal("frame to command, p99: brokers black-holed / healthy", 1.02),
    7: Goal("p99 of the frame's age at inference start, detector 3 times too slow / frame period", 1.05),
    8: Goal("loop lag, p99: loaded / idle", 1.5),
    9: Goal("memory: growth after warm-up / memory", 0.001),
    10: Goal("process start to first command: agent / bare imports, session and first run", 1.15),
    11: Goal("first command: with a corrupt engine / without", 1.10),
    12: Goal("pacing drift / period", 0.01),
}


@dataclass(frozen=True, slots=True)
class Ratio:
    """One goal's result; `interval` is None where it could not be measured, with the reason in `note`.

    `n` gives the number of samples.
    """

    goal: int
    interval: Interval | None
    n: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value reaches the goal; None where it was not measured."""
        if self.interval is None:
            return None
        goal = GOALS[self.goal]
        return self.interval.value <= goal.target if goal.better == "lower" else self.interval.value >= goal.target

    def details(self) -> str:
        """Return the number of samples and the note, for people."""
        return "; ".join(part for part in (self.n and f"n {self.n}", self.note) if part)

    def as_json(self) -> dict[str, Any]:
        """Return the ratio as plain JSON values."""
        goal, interval = GOALS[self.goal], self.interval
        return {
            "goal": self.goal,
            "name": goal.name,
            "ratio": None if interval is None else round(interval.value, 5),
            "ci95": None if interval is None else [round(interval.low, 5), round(interval.high, 5)],
            "target": goal.target,
            "better": goal.better,
            "n": self.n,
            "note": self.note,
        }


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that ran on it."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("onnxruntime", "numpy", "opencv-python-headless")},
        "edge-agent": __version__,
        "load_before": round(os.getloadavg()[0], 1),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def as_json(ratios: Sequence[Ratio], where: dict[str, Any]) -> dict[str, Any]:
    """Return the whole result, in the format of docs/benchmarks.md."""
    return {"schema": SCHEMA, "machine": where, "ratios": [ratio.as_json() for ratio in ratios]}


def rows(ratios: Iterable[Ratio]) -> list[tuple[str, ...]]:
    """Return the table: number, name, value, interval, goal and verdict."""
    lines: list[tuple[str, ...]] = [("#", "ratio", "value", "95% interval", "goal", "")]
    for ratio in ratios:
        goal, interval = GOALS[ratio.goal], ratio.interval
        sign = "<=" if goal.better == "lower" else ">="
        verdict = {True: "met", False: "missed", None: "not measured"}[ratio.met]
        value = "-" if interval is None else _figure(interval.value)
        span = "-" if interval is None else f"{_figure(interval.low)} to {_figure(interval.high)}"
        lines.append((str(ratio.goal), goal.name, value, span, f"{sign} {goal.target:g}", verdict))
    return lines


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"


MIN_SAMPLES_P99 = 6000
"""With fewer samples, a 99th percentile is only an indication."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of a block of each kind, rounds there and back, and counts.

    `arms` is the paced comparison (goals 1, 2, 4, 6), `flat` flat out, `five` the five processes, `slow` the detector
    that is too slow, `idle` the idle loop, `memory` the one long run, `starts` the starts of each kind, `ticks` and
    `tick_s` the pace, `scale_s` each number of agents, `holed_s` two agents whose memory is compared.
    """

    arms_s: float
    arm_rounds: int
    flat_s: float
    five_s: float
    five_rounds: int
    slow_s: float
    idle_s: float
    memory_s: float
    starts: int
    ticks: int
    tick_s: float
    scale_s: float
    holed_s: float


QUICK = Plan(5, 1, 2, 4, 1, 8, 3, 10, 1, 1_000, 0.01, 6, 6)
"""Two minutes: a first impression."""
FULL = Plan(78, 4, 10, 15, 2, 150, 15, 600, 8, 36_000, 0.01, 30, 60)
"""A little over an hour: more than 6,000 frames in each arm of the paced comparison, 36,000 frames for memory."""

_LENIENT: Mapping[str, object] = {
    # A pause is measured instead of ending the drive: the limits are as wide as possible.
    "capture.source": "memory",
    "capture.max_age_ms": 5000,
    "hub.kind": "mock",
    "guard.arm": "always",
    "guard.lease_ms": 2000,
    "guard.latch_ms": 60_000,
    "guard.loop_stall_ms": 2000,
    "guard.min_free_disk_mb": 0,
    "console.enabled": False,
    "console.metrics": False,
    "log.level": "error",
}


def bench_settings(changes: Mapping[str, object]) -> Settings:
    """Return the shipped settings with `changes`, no page, and guard limits that a busy machine does not reach."""
    return load(None, {**_LENIENT, **changes}, profile=None).settings


@dataclass(frozen=True, slots=True)
class ChildReport:
    """What an agent in a process of its own printed: a line a second, and the latencies at the end."""

    lines: tuple[dict[str, Any], ...]
    latency_ms: Mapping[str, float | None]

    def column(self, key: str) -> Block:
        """Return one figure over all lines."""
        return np.array([line[key] for line in self.lines], np.float64)
