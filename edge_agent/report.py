"""The run report: counts, latencies, decisions and the mission's outcome, gathered while the train drives.

Knows how to add up and how the report looks as JSON. Knows nothing of clocks, tasks or terminals. Everything is
bounded, so that a run of a day takes no more memory than one of a minute.
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
    """Durations in ms, in buckets 1 % apart: percentiles are true to 1 %, the maximum and the count are exact."""

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
        """Return the duration that `percent` of all do not exceed; None without any."""
        rank, seen = math.ceil(self.n * percent / 100), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(self.max_ms, _SMALLEST_MS * math.exp(_GROWTH * bucket))
        return None

    def above(self, limit_ms: float) -> int:
        """Count the durations above `limit_ms`, true to 1 %."""
        limit = 1 + int(math.log(limit_ms / _SMALLEST_MS) / _GROWTH)
        return sum(count for bucket, count in self._buckets.items() if bucket > limit)

    def as_dict(self) -> dict[str, float | int | None]:
        """Return `{"p50", "p95", "p99", "max", "n"}` in ms; None where there is nothing to tell."""
        values = {f"p{percent}": _rounded(self.percentile(percent)) for percent in (50, 95, 99)}
        return {**values, "max": _rounded(self.max_ms) if self.n else None, "n": self.n}


@dataclass(frozen=True, slots=True)
class Mission:
    """How it went, as the referee of the simulated world saw it, or `ended` for any other source.

    `margin_mm` is from the train's front to the cliff; `overruns` counts STOP signs passed without a stop.
    """

    outcome: str = "ended"
    margin_mm: float | None = None
    overruns: int = 0


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What was run. `clock` is `real` or `virtual` (faster than real time, latencies are then those of the model)."""

    run_id: str
    train_id: str
    source: str
    backend: str
    model: str
    sha256: str
    clock: str = "real"


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """One sign that acted, at `t_s` seconds of the run."""

    t_s: float
    frame_id: str | None
    sign: str | None
    action: str
    power_percent: int | None


@dataclass
class RunStats:
    """Adds up one run. Mutable; belongs to the event loop."""

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
        """Count one tick of the capture, and whether it came late."""
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
        """Count the latency of a command that a frame caused."""
        if command.taken_s is not None:
            self.to_command.add((command.written_s - command.taken_s) * 1000)

    def action(self, action: ActionTaken) -> None:
        """Keep a sign that acted."""
        self.actions_total += 1
        self.actions.append(action)

    def fault(self, fault: Fault) -> None:
        """Keep a fault, when it appears."""
        if fault.active:
            self.faults_total += 1
            self.faults.append(fault)

    def memory(self, rss_mib: float, at_s: float) -> None:
        """Note the resident memory: at first, from minute 2, the newest and the highest."""
        self.rss_mib.setdefault("first", rss_mib)
        if at_s - self.started_s >= 120:
            self.rss_mib.setdefault("minute_2", rss_mib)
        self.rss_mib["last"] = rss_mib
        self.rss_mib["max"] = max(rss_mib, self.rss_mib.get("max", 0.0))


def as_json(run: RunInfo, tally: RunStats, mission: Mission, ended_s: float, reason: str) -> dict[str, Any]:
    """Return the report as plain JSON values; the form is described in docs/report.md."""
    duration_s = max(ended_s - tally.started_s, 0.0)
    return {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "train_id": run.train_id,
        "source": run.source,
        "clock": run.clock,
        "detector": {"backend": run.backend, "model": run.model, "sha256": run.sha256},
        "frames": {
            "captured": tally.captured,
            "processed": tally.processed,
            "dropped": tally.dropped,
            "invalid": tally.invalid,
            "repeated": tally.repeated,
        },
        "fps": round(tally.processed / duration_s, 3) if duration_s else None,
        "ticks": {"n": tally.ticks, "late": tally.late_ticks},
        "duration_s": round(duration_s, 3),
        "latency_ms": {
            "capture_to_prediction": tally.to_prediction.as_dict(),
            "capture_to_command": tally.to_command.as_dict(),
            "inference": tally.inference.as_dict(),
            # Inference takes real time: on a virtual clock the difference means nothing.
            "over_inference": (tally.overhead if run.clock == "real" else LatencyHistogram()).as_dict(),
        },
        "loop_lag_ms": tally.loop_lag.as_dict(),
        "memory_mib": {key: round(value, 1) for key, value in tally.rss_mib.items()},
        "detections": dict(tally.detections.most_common()),
        "unknown_signs": tally.unknown_signs,
        "actions": [asdict(action) for action in tally.actions],
        "actions_total": tally.actions_total,
        "faults": [_fault(fault, tally.started_s) for fault in tally.faults],
        "faults_total": tally.faults_total,
        "failed_writes": tally.failed_writes,
        "observers_dropped": tally.observers_dropped,
        "mission": asdict(mission),
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
