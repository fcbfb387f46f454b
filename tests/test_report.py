"""The report adds up truly and stays bounded."""

import json
import random
from dataclasses import replace

import pytest

from edge_agent.events import Fault, Severity
from edge_agent.report import (
    KEPT_ACTIONS,
    KEPT_FAULTS,
    ActionTaken,
    LatencyHistogram,
    Mission,
    RunInfo,
    RunStats,
    as_json,
)

RUN = RunInfo("id", "train-1", "sim", "onnxruntime", "signs.onnx", "ab" * 32)


@pytest.mark.parametrize("percent", [0, 50, 95, 99, 100])
def test_percentile_is_true_to_one_percent(percent: float) -> None:
    values = [random.Random(percent).lognormvariate(2, 1) for _ in range(5000)]  # noqa: S311 - no secret
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(0, round(len(values) * percent / 100) - 1)]
    assert histogram.percentile(percent) == pytest.approx(exact, rel=0.011)
    assert histogram.as_dict()["max"] == pytest.approx(max(values), abs=0.001)
    assert histogram.n == 5000


def test_empty_histogram_tells_nothing() -> None:
    assert LatencyHistogram().as_dict() == {"p50": None, "p95": None, "p99": None, "max": None, "n": 0}


def test_zero_and_negative_durations_count_as_zero() -> None:
    histogram = LatencyHistogram()
    histogram.add(0.0)
    histogram.add(-1.0)
    assert histogram.percentile(99) == 0.0


def test_values_above_a_limit_are_counted() -> None:
    histogram = LatencyHistogram()
    for value in (1.0, 9.0, 11.0, 50.0):
        histogram.add(value)
    assert histogram.above(10.0) == 2


def test_day_long_run_keeps_the_newest_actions_and_faults_only() -> None:
    stats = RunStats(started_s=0.0)
    for n in range(5000):
        stats.action(ActionTaken(float(n), "f", "stop", "stop", None))
        stats.fault(Fault("blind", "m", "r", Severity.STOP, float(n)))
    report = as_json(RUN, stats, Mission(), 5000.0, "SIGTERM")
    assert len(report["actions"]) == KEPT_ACTIONS
    assert report["actions"][-1]["t_s"] == 4999.0
    assert len(report["faults"]) == KEPT_FAULTS
    assert (report["actions_total"], report["faults_total"]) == (5000, 5000)


def test_fault_that_ends_is_not_another_fault() -> None:
    stats = RunStats(started_s=0.0)
    stats.fault(Fault("blind", "m", "r", Severity.STOP, 1.0, active=False))
    assert stats.faults_total == 0


def test_report_has_the_documented_form_and_is_json() -> None:
    report = as_json(RUN, RunStats(started_s=10.0), Mission("stopped", 41.5, 0), 40.0, "the source has ended")
    assert json.loads(json.dumps(report)) == report
    assert report["schema"] == 1
    assert report["detector"] == {"backend": "onnxruntime", "model": "signs.onnx", "sha256": "ab" * 32}
    assert report["mission"] == {"outcome": "stopped", "margin_mm": 41.5, "overruns": 0, "signs": []}
    assert report["duration_s"] == 30.0
    assert {"captured", "processed", "dropped", "invalid"} <= set(report["frames"])
    assert {"capture_to_prediction", "capture_to_command"} <= set(report["latency_ms"])


def test_memory_growth_is_counted_from_minute_two() -> None:
    stats = RunStats(started_s=0.0)
    for at_s, mib in ((0, 100.0), (60, 150.0), (120, 160.0), (300, 165.0), (310, 161.0)):
        stats.memory(mib, at_s)
    assert stats.rss_mib == {"first": 100.0, "last": 161.0, "max": 165.0, "minute_2": 160.0}


@pytest.mark.parametrize(("clock", "counted"), [("real", 1), ("virtual", 0)])
def test_time_over_inference_is_told_on_a_real_clock_only(clock: str, counted: int) -> None:
    stats = RunStats(started_s=0.0)
    stats.overhead.add(3.0)
    report = as_json(replace(RUN, clock=clock), stats, Mission(), 1.0, "the source has ended")
    assert report["latency_ms"]["over_inference"]["n"] == counted
