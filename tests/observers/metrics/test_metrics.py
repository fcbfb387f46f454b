"""Figures as a Prometheus server reads them: names by its conventions, and values that events add up to."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from edge_agent.events import Event, GuardState, HubStatus
from edge_agent.observers.metrics import (
    DropCounts,
    MirrorFigures,
    OutboxFigures,
    ScrapeCollector,
    TrainMetrics,
    drop_metrics,
    lag_histogram,
    mirror_metrics,
    new_registry,
    observer_metrics,
    outbox_metrics,
    render,
)
from tests.support import events as make

MIRROR = MirrorFigures(
    connected=True,
    attempts=3,
    failures=2,
    published=100,
    denied=1,
    dropped=7,
    images_dropped=9,
    waiting=4,
    commands_accepted=5,
    commands_refused=6,
    commands_discarded=8,
)
OUTBOX = OutboxFigures({"safety": 3}, {"safety": 3000}, {"image": 12}, 1, oldest_age_s=61.5, commit_s=0.002)


def everything(*events: Event) -> CollectorRegistry:
    """Return a registry with every collector that there is."""
    registry = new_registry()
    train = TrainMetrics(registry, lambda: {"version": "0.1.0", "train": "train-1"})
    for event in events:
        train.fold(event)
    lag_histogram(registry).observe(0.003)
    for read in (
        lambda: drop_metrics(DropCounts(2, 1, 0, 0)),
        lambda: observer_metrics({"mqtt": 3}, {"mqtt": 1}),
        lambda: mirror_metrics({"mqtt": MIRROR, "kafka": replace(MIRROR, connected=False)}),
        lambda: outbox_metrics(OUTBOX),
    ):
        registry.register(ScrapeCollector(read))
    return registry


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """Return every sample as a Prometheus server reads it, under the text of its name and labels."""
    body, _ = render(registry)
    found = {}
    for family in parse(body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


ONE_OF_EACH = make.one_of_each()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("edge_agent_info{train=train-1,version=0.1.0}", 1),
        ("edge_agent_frames_captured_total", 2),
        ("edge_agent_frames_processed_total", 1),
        ("edge_agent_frames_dropped_total{reason=stale}", 2),
        ("edge_agent_frames_dropped_total{reason=invalid}", 1),
        ("edge_agent_inference_duration_seconds_count", 1),
        ("edge_agent_inference_duration_seconds_sum", 0.01425),
        ("edge_agent_inference_duration_seconds_bucket{le=0.01}", 0),
        ("edge_agent_inference_duration_seconds_bucket{le=0.015}", 1),
        ("edge_agent_inference_duration_seconds_bucket{le=+Inf}", 1),
        ("edge_agent_prediction_latency_seconds_count", 1),
        ("edge_agent_command_latency_seconds_count", 1),
        ("edge_agent_detections_total{label=stop}", 1),
        ("edge_agent_decisions_total{action=stop}", 1),
        ("edge_agent_hub_commands_total{kind=brake}", 1),
        ("edge_agent_faults_total{code=camera_lost,severity=stop}", 1),
        ("edge_agent_fault_active{code=camera_lost}", 1),
        ("edge_agent_guard_state{state=running}", 1),
        ("edge_agent_guard_state{state=disarmed}", 0),
        ("edge_agent_motor_power_ratio", 0.75),
        ("edge_agent_hub_connected", 1),
        ("edge_agent_hub_battery_ratio", 0.81),
        ("edge_agent_hub_battery_volts", 7.512),
        ("edge_agent_hub_alert{alert=low_voltage}", 1),
        ("edge_agent_last_frame_timestamp_seconds", make.UNIX_S),
        ("edge_agent_event_loop_lag_seconds_bucket{le=0.002}", 0),
        ("edge_agent_event_loop_lag_seconds_bucket{le=0.005}", 1),
        ("edge_agent_observer_dropped_total{observer=mqtt}", 3),
        ("edge_agent_mirror_connected{mirror=mqtt}", 1),
        ("edge_agent_mirror_connected{mirror=kafka}", 0),
        ("edge_agent_mirror_published_total{mirror=mqtt}", 100),
        ("edge_agent_mirror_dropped_total{mirror=mqtt}", 7),
        ("edge_agent_mirror_waiting{mirror=mqtt}", 4),
        ("edge_agent_remote_commands_total{mirror=mqtt,result=refused}", 6),
        ("edge_agent_answers_total{channel=kafka,result=accepted}", 1),
        ("edge_agent_outbox_rows{kind=safety}", 3),
        ("edge_agent_outbox_evicted_total{kind=image}", 12),
        ("edge_agent_outbox_oldest_age_seconds", 61.5),
    ],
)
def test_events_add_up_to(name: str, value: float) -> None:
    assert samples(everything(*ONE_OF_EACH))[name] == pytest.approx(value)


def test_process_has_its_own_figures() -> None:
    assert samples(everything())["process_resident_memory_bytes"] > 0


def families() -> list[Any]:
    return [family for family in parse(render(everything(*ONE_OF_EACH))[0].decode()) if "process" not in family.name]


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_name_is_by_the_conventions_of_prometheus(family: Any) -> None:
    """https://prometheus.io/docs/practices/naming/: a prefix, base units, `_total` on counters and on nothing else."""
    assert re.fullmatch(r"edge_agent(_[a-z]+)*", family.name)
    assert family.documentation.endswith("."), "told what it is"
    assert not re.search(r"_(ms|mv|ma|percent|kb|mb|minutes)$", family.name)
    for sample in family.samples:
        assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
        assert family.type != "histogram" or family.name.endswith("_seconds")


@pytest.mark.parametrize("guard", list(GuardState))
def test_guard_is_in_exactly_one_state(guard: GuardState) -> None:
    found = samples(everything(make.state(guard)))
    states = {name: value for name, value in found.items() if name.startswith("edge_agent_guard_state")}
    assert len(states) == len(GuardState)
    assert [name for name, value in states.items() if value] == [f"edge_agent_guard_state{{state={guard.value}}}"]


def test_fault_that_is_over_stays_counted() -> None:
    fault = make.fault()
    found = samples(everything(fault, replace(fault, active=False), fault, replace(fault, active=False)))
    assert found["edge_agent_fault_active{code=camera_lost}"] == 0
    assert found["edge_agent_faults_total{code=camera_lost,severity=stop}"] == 2


def test_frames_are_counted_by_their_numbers_though_some_never_came_here() -> None:
    assert samples(everything(make.frame(0), make.frame(41)))["edge_agent_frames_captured_total"] == 42


def test_what_the_hub_does_not_tell_is_not_told() -> None:
    state = replace(make.state(), hub=HubStatus(connected=False))
    found = samples(everything(state))
    assert found["edge_agent_hub_connected"] == 0
    assert not [name for name in found if "battery" in name or "signal" in name or "alert" in name]


def test_figures_before_any_event_are_zero_or_missing() -> None:
    found = samples(everything())
    assert found["edge_agent_frames_captured_total"] == 0
    assert not [name for name in found if "guard" in name or "timestamp" in name]


def test_scraper_that_asks_for_openmetrics_gets_it() -> None:
    body, content_type = render(everything(*ONE_OF_EACH), "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert len(list(parse_openmetrics(body.decode()))) > 20  # type: ignore[no-untyped-call]


def test_two_registries_know_nothing_of_each_other() -> None:
    one, other = everything(make.frame(4)), everything()
    assert samples(one)["edge_agent_frames_captured_total"] == 5
    assert samples(other)["edge_agent_frames_captured_total"] == 0


def test_source_that_fails_takes_only_its_own_figures_with_it() -> None:
    def broken() -> Iterator[Metric]:
        raise LookupError

    registry = everything(make.frame())
    registry.register(ScrapeCollector(broken))
    assert samples(registry)["edge_agent_frames_captured_total"] == 2


def test_duration_below_zero_counts_as_none() -> None:
    command = replace(make.command(make.decision(make.frame())), taken_s=0.0)
    found = samples(everything(*(replace(command, written_s=late_s) for late_s in (-5, 0.3, 0.31))))
    name = "edge_agent_command_latency_seconds"
    assert (found[f"{name}_bucket{{le=0.01}}"], found[f"{name}_bucket{{le=0.3}}"], found[f"{name}_count"]) == (1, 2, 3)
    assert found[f"{name}_sum"] == pytest.approx(0.61)
