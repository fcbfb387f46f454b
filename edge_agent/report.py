"""The run report: counts, latencies, decisions and the mission's outcome, gathered while the train drives.

Everything is bounded, so that a run of a day takes no more memory than one of a minute.
"""

import math
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_agent.events import Fault, MotorCommand, Prediction

SCHEMA = 1
KEPT_ACTIONS = 1000
KEPT_FAULTS = 200

_SMALLEST_MS = 0.001
_GROWTH = math.log(1.01)  # neighbouring buckets differ by 1 %


class LatencyHistogram:
    """A histogram of durations in ms with logarithmic buckets: percentiles to 1 %, maximum and count exact."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.max_ms = 0.0
        self.n = 0

    def add(self, value_ms: float) -> None:
        """Count one duration; negative ones count as zero."""
        self.n += 1
        self.max_ms = max(self.max_ms, value_ms)
        self._buckets[0 if value_ms <= _SMALLEST_MS else 1 + int(math.log(value_ms / _SMALLEST_MS) / _GROWTH)] += 1

    def percentile(self, percent: float) -> float | None:
        """Return a percentile in ms; None without any durations."""
        rank, seen = math.ceil(self.n * percent / 100), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(self.max_ms, _SMALLEST_MS * math.exp(_GROWTH * bucket))
        return None

    def above(self, limit_ms: float) -> int:
        """Return the number of durations above `limit_ms`, to 1 %."""
        limit = 1 + int(math.log(limit_ms / _SMALLEST_MS) / _GROWTH)
        return sum(count for bucket, count in self._buckets.items() if bucket > limit)

    def as_dict(self) -> dict[str, float | int | None]:
        """Return `{"p50", "p95", "p99", "max", "n"}` in ms; None where there are no durations."""
        values = {f"p{percent}": _rounded(self.percentile(percent)) for percent in (50, 95, 99)}
        return {**values, "max": _rounded(self.max_ms) if self.n else None, "n": self.n}


@dataclass(frozen=True, slots=True)
class MissionSign:
    """A sign of the simulated world that faces the train, at `at_mm` along the track.

    `counts`: it must be obeyed; others cannot be read in time. `passed_s` is when the train's front passed it, from the
    world's beginning; None where it never did. `disobeyed`: it was passed without its stop, or faster than its limit.
    """

    sign: str
    at_mm: float
    counts: bool
    passed_s: float | None
    disobeyed: bool


@dataclass(frozen=True, slots=True)
class Mission:
    """The outcome by the simulated world's rules; `ended` for any other source.

    `margin_mm` is the distance from the train's front to the cliff, `overruns` counts STOP signs passed without a stop.
    """

    outcome: str = "ended"
    margin_mm: float | None = None
    overruns: int = 0
    signs: tuple[MissionSign, ...] = ()

    def text(self) -> str:
        """Return it in words."""
        text = "derailed: the train fell off the end of the rails" if self.outcome == "derailed" else self.outcome
        if self.outcome == "stopped" and self.margin_mm is not None:
            text = f"stopped {self.margin_mm:.0f} mm before the cliff"
        return f"{text}, {self.overruns} STOP sign(s) run over" if self.overruns else text


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Identifies a run. `clock` is `real` or `virtual`: faster than real time, with modelled latencies."""

    run_id: str
    train_id: str
    source: str
    backend: str
    model: str
    sha256: str
    clock: str = "real"


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """A sign that changed what the train does, at `t_s` seconds of the run."""

    t_s: float
    frame_id: str | None
    sign: str | None
    action: str
    power_percent: int | None


@dataclass
class RunStats:
    """Statistics of one run, mutable; used in the event loop only. Sizes are in MiB, times by the loop's clock."""

    started_s: float
    captured: int = 0
    processed: int = 0
    dropped: int = 0
    repeated: int = 0
    invalid: int = 0
    late_ticks: int = 0
    ticks: int = 0
    failed_writes: int = 0
    unknown_signs: int = 0
    actions_total: int = 0
    faults_total: int = 0
    detections: Counter[str] = field(default_factory=Counter)
    actions: deque[ActionTaken] = field(default_factory=lambda: deque(maxlen=KEPT_ACTIONS))
    faults: deque[Fault] = field(default_factory=lambda: deque(maxlen=KEPT_FAULTS))
    to_prediction: LatencyHistogram = field(default_factory=LatencyHistogram)
    to_command: LatencyHistogram = field(default_factory=LatencyHistogram)
    inference: LatencyHistogram = field(default_factory=LatencyHistogram)
    overhead: LatencyHistogram = field(default_factory=LatencyHistogram)
    loop_lag: LatencyHistogram = field(default_factory=LatencyHistogram)
    rss_mib: dict[str, float] = field(default_factory=dict)
    observers_dropped: dict[str, int] = field(default_factory=dict)

    def tick(self, late_s: float, late_limit_s: float) -> None:
        """Count a tick of the capture, and whether it was late."""
        self.ticks += 1
        self.late_ticks += late_s > late_limit_s

    def prediction(self, prediction: Prediction) -> None:
        """Count a prediction, its detections and its latency."""
        self.processed += 1
        self.detections.update(detection.label for detection in prediction.detections)
        latency_ms = (prediction.done_s - prediction.taken_s) * 1000
        self.to_prediction.add(latency_ms)
        self.inference.add(prediction.inference_ms)
        self.overhead.add(latency_ms - prediction.inference_ms)

    def command(self, command: MotorCommand) -> None:
        """Record the latency of a motor command that a frame caused."""
        if command.taken_s is not None:
            self.to_command.add((command.written_s - command.taken_s) * 1000)

    def action(self, action: ActionTaken) -> None:
        """Record a sign that acted."""
        self.actions_total += 1
        self.actions.append(action)

    def fault(self, fault: Fault) -> None:
        """Record a fault when it appears."""
        if fault.active:
            self.faults_total += 1
            self.faults.append(fault)

    def memory(self, rss_mib: float, at_s: float) -> None:
        """Record the resident memory: the first value, the first from minute 2 on, the last and the highest."""
        self.rss_mib.setdefault("first", rss_mib)
        if at_s - self.started_s >= 120:
            self.rss_mib.setdefault("minute_2", rss_mib)
        self.rss_mib["last"] = rss_mib
        self.rss_mib["max"] = max(rss_mib, self.rss_mib.get("max", 0.0))


def as_json(run: RunInfo, stats: RunStats, mission: Mission, ended_s: float, reason: str) -> dict[str, Any]:
    """Return the report as JSON values; docs/report.md describes the format."""
    duration_s = max(ended_s - stats.started_s, 0.0)
    return {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "train_id": run.train_id,
        "source": run.source,
        "clock": run.clock,
        "detector": {"backend": run.backend, "model": run.model, "sha256": run.sha256},
        "frames": {
            "captured": stats.captured,
            "processed": stats.processed,
            "dropped": stats.dropped,
            "invalid": stats.invalid,
            "repeated": stats.repeated,
        },
        "fps": round(stats.processed / duration_s, 3) if duration_s else None,
        "ticks": {"n": stats.ticks, "late": stats.late_ticks},
        "duration_s": round(duration_s, 3),
        "latency_ms": {
            "capture_to_prediction": stats.to_prediction.as_dict(),
            "capture_to_command": stats.to_command.as_dict(),
            "inference": stats.inference.as_dict(),
            # Inference takes real time: on a virtual clock the difference means nothing.
            "over_inference": (stats.overhead if run.clock == "real" else LatencyHistogram()).as_dict(),
        },
        "loop_lag_ms": stats.loop_lag.as_dict(),
        "memory_mib": {key: round(value, 1) for key, value in stats.rss_mib.items()},
        "detections": dict(stats.detections.most_common()),
        "unknown_signs": stats.unknown_signs,
        "actions": [asdict(action) for action in stats.actions],
        "actions_total": stats.actions_total,
        "faults": [_fault(fault, stats.started_s) for fault in stats.faults],
        "faults_total": stats.faults_total,
        "failed_writes": stats.failed_writes,
        "observers_dropped": stats.observers_dropped,
        "mission": {**asdict(mission), "signs": [asdict(sign) for sign in mission.signs]},
        "ended_by": reason,
    }


def _fault(fault: Fault, started_s: float) -> dict[str, Any]:
    return {
        "t_s": round(fault.at_s - started_s, 3),
        "code": fault.code,
        "severity": fault.severity.value,
        "message": fault.message,
        "remedy": fault.remedy,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
