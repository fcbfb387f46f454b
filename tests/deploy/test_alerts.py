"""Each alert on an ill train and beside a well one: just before it must fire, and just after; by promtool."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.promtool import RULES, alerts, dump, promtool

MINUTE = 4  # samples


@dataclass(frozen=True)
class Case:
    """What Prometheus has scraped every 15 s from a train that is ill and from one that is well, and when it tells."""

    alert: str
    series: dict[str, tuple[str, str]]
    quiet: str
    fires: str


def gauge(name: str, ill: str, well: str, *, alert: str, quiet: str, fires: str) -> Case:
    return Case(alert, {name: (ill, well)}, quiet, fires)


def fault(code: str, alert: str, *, quiet: str = "0m", fires: str) -> Case:
    return gauge(f'edge_agent_fault_active{{code="{code}"}}', "0x4 1x20", "0x24", alert=alert, quiet=quiet, fires=fires)


def slow(name: str, alert: str) -> Case:
    """Half of what the ill train does takes up to a second; the well one does all of it within 10 ms."""
    buckets = {f'{name}_bucket{{le="{le}"}}': ill for le, ill in (("0.01", "0+1x200"), ("1.0", "0+2x200"))}
    series = {key: (ill, "0+2x200") for key, ill in buckets.items()}
    return Case(alert, {**series, f'{name}_bucket{{le="+Inf"}}': ("0+2x200", "0+2x200")}, "1m", "30m")


def grows(name: str, alert: str, *, by: int = 1, fires: str = "6m") -> Case:
    """Stands still for two minutes, then grows at each scrape."""
    return gauge(name, f"7x8 {7 + by}+{by}x40", "7x60", alert=alert, quiet="2m", fires=fires)


CASES = [
    gauge("up", "1x4 0x20", "1x24", alert="EdgeAgentDown", quiet="2m", fires="2m30s"),
    gauge(
        'edge_agent_guard_state{state="init"}', "1x20", "1x4 0x16", alert="EdgeAgentNotReady", quiet="1m45s", fires="2m"
    ),
    gauge(
        'edge_agent_guard_state{state="fault_latched"}',
        "0x4 1x20",
        "0x24",
        alert="EdgeAgentGuardLatched",
        quiet="1m15s",
        fires="1m30s",
    ),
    fault("integrity", "EdgeAgentModelUntrusted", quiet="1m", fires="1m15s"),
    Case(
        "EdgeAgentBlind",
        {
            "edge_agent_frames_processed_total": ("0+150x4 600x40", "0+150x40"),
            'edge_agent_guard_state{state="init"}': ("0x40", "0x40"),
        },
        "2m45s",
        "4m",
    ),
    gauge(
        "process_start_time_seconds",
        "10x4 20x4 30x4 40x20",
        "10x8 20x30",
        alert="EdgeAgentRestarting",
        quiet="3m",
        fires="4m",
    ),
    gauge(
        "edge_agent_hub_connected",
        "1x4 0x20",
        "1x4 0x1 1x18",
        alert="EdgeAgentHubDisconnected",
        quiet="1m30s",
        fires="1m45s",
    ),
    gauge(
        "edge_agent_hub_connected",
        "1 0 1 0 1 0 1 0 1",
        "1 0 1 0 1 1 1 1 1",
        alert="EdgeAgentHubFlapping",
        quiet="1m30s",
        fires="2m",
    ),
    fault("hub_trouble", "EdgeAgentHubTrouble", quiet="1m", fires="1m15s"),
    fault("battery_low", "EdgeAgentBatteryLow", quiet="2m", fires="2m15s"),
    gauge(
        "edge_agent_hub_battery_ratio",
        "0.3x4 0.19x20",
        "0.2x24",
        alert="EdgeAgentBatteryLow",
        quiet="2m",
        fires="2m15s",
    ),
    grows("edge_agent_hub_failed_writes_total", "EdgeAgentHubWritesFailing"),
    slow("edge_agent_command_latency_seconds", "EdgeAgentCommandLate"),
    slow("edge_agent_prediction_latency_seconds", "EdgeAgentPredictionLate"),
    slow("edge_agent_event_loop_lag_seconds", "EdgeAgentLoopLagging"),
    Case(
        "EdgeAgentFramesDropped",
        {
            "edge_agent_frames_captured_total": ("0+150x60", "0+150x60"),
            'edge_agent_frames_dropped_total{reason="stale"}': ("0+8x60", "0+8x60"),
            'edge_agent_frames_dropped_total{reason="repeated"}': ("0+8x60", "0+6x60"),
        },
        "4m",
        "10m",
    ),
    fault("engine_refused", "EdgeAgentDetectorFellBack", quiet="1m", fires="1m15s"),
    gauge(
        "process_resident_memory_bytes",
        "3e8x4 9e8x60",
        "3e8x4 7e8x60",
        alert="EdgeAgentMemoryHigh",
        quiet="11m",
        fires="12m",
    ),
    gauge(
        'edge_agent_mirror_connected{mirror="kafka"}',
        "1x4 0x60",
        "1x4 0x16 1x44",
        alert="EdgeAgentMirrorDisconnected",
        quiet="6m",
        fires="6m15s",
    ),
    grows('edge_agent_mirror_dropped_total{mirror="mqtt"}', "EdgeAgentMirrorLosesEvents"),
    grows('edge_agent_mirror_denied_total{mirror="mqtt"}', "EdgeAgentMirrorDenied"),
    grows('edge_agent_remote_commands_total{mirror="mqtt",result="refused"}', "EdgeAgentCommandsRefused", by=2),
    grows('edge_agent_observer_dropped_total{observer="console"}', "EdgeAgentObserverSlow", fires="8m"),
    gauge(
        "edge_agent_outbox_oldest_age_seconds",
        "3500+15x80",
        "100x80",
        alert="EdgeAgentOutboxBacklog",
        quiet="11m",
        fires="12m",
    ),
    grows('edge_agent_outbox_evicted_total{kind="safety"}', "EdgeAgentOutboxEvicting"),
    grows("edge_agent_outbox_dead_letters_total", "EdgeAgentOutboxDeadLetters"),
    gauge("edge_agent_outbox_stuck", "0x4 1x20", "0x24", alert="EdgeAgentOutboxStuck", quiet="2m", fires="2m15s"),
    gauge(
        "edge_agent_outbox_durable", "1x4 0x20", "1x24", alert="EdgeAgentOutboxNotDurable", quiet="2m", fires="2m15s"
    ),
    fault("disk_full", "EdgeAgentDiskFull", quiet="2m", fires="2m15s"),
]


def labelled(series: str, train: str) -> str:
    """Add a target's labels to a series."""
    name, _, rest = series.partition("{")
    return f'{name}{{job="edge-agent",train="{train}",instance="{train}:8080",{rest or "}"}'


def as_test(case: Case) -> dict[str, Any]:
    """Return a case in the form of promtool."""
    told = f'count by (train, severity) (ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    firing = {
        "labels": f'{{train="ill",severity="{alerts()[case.alert]["labels"]["severity"]}"}}',
        "value": 1,
    }
    return {
        "name": case.alert,
        "interval": "15s",
        "input_series": [
            {"series": labelled(series, train), "values": values}
            for series, pair in case.series.items()
            for train, values in zip(("ill", "well"), pair, strict=True)
        ],
        "promql_expr_test": [
            {"expr": told, "eval_time": case.quiet, "exp_samples": []},
            {"expr": told, "eval_time": case.fires, "exp_samples": [firing]},
        ],
    }


NO_TRAINS = {
    "name": "EdgeAgentNoTrains",
    "interval": "15s",
    "input_series": [{"series": 'up{job="another",instance="a"}', "values": "1x60"}],
    "alert_rule_test": [
        {"alertname": "EdgeAgentNoTrains", "eval_time": "4m45s", "exp_alerts": []},
        {
            "alertname": "EdgeAgentNoTrains",
            "eval_time": "5m",
            "exp_alerts": [
                {
                    "exp_labels": {"severity": "warning", "job": "edge-agent"},
                    "exp_annotations": alerts()["EdgeAgentNoTrains"]["annotations"],
                }
            ],
        },
    ],
}

WORDS = {
    "name": "what a person reads",
    "interval": "15s",
    "input_series": [
        {"series": labelled('edge_agent_mirror_connected{mirror="kafka"}', "train-7"), "values": "0x60"},
    ],
    "alert_rule_test": [
        {
            "alertname": "EdgeAgentMirrorDisconnected",
            "eval_time": "5m",
            "exp_alerts": [
                {
                    "exp_labels": {
                        "severity": "warning",
                        "job": "edge-agent",
                        "train": "train-7",
                        "instance": "train-7:8080",
                        "mirror": "kafka",
                    },
                    "exp_annotations": {
                        **alerts()["EdgeAgentMirrorDisconnected"]["annotations"],
                        "summary": "train-7: no link to kafka for five minutes",
                    },
                }
            ],
        }
    ],
}


def run(tests: list[dict[str, Any]], folder: Path) -> tuple[int, str]:
    files = [str(path) for path in RULES]
    return promtool(
        "test", "rules", dump({"rule_files": files, "evaluation_interval": "15s", "tests": tests}, folder / "t.yaml")
    )


@pytest.mark.timeout(300)  # promtool makes a store for each alert, which is slow on a busy disk
def test_every_alert_fires_for_the_ill_train_in_time_and_never_for_the_well_one(tmp_path: Path) -> None:
    code, said = run([*(as_test(case) for case in CASES), NO_TRAINS, WORDS], tmp_path)
    assert code == 0, said


def test_every_alert_is_tried() -> None:
    assert {case.alert for case in CASES} | {"EdgeAgentNoTrains"} == set(alerts())


def test_trial_of_an_alert_fails_where_the_train_is_well(tmp_path: Path) -> None:
    """The trial itself can fail: nothing fires for two trains that are well."""
    disk = fault("disk_full", "EdgeAgentDiskFull", quiet="2m", fires="2m15s")
    well = {name: (well, well) for name, (_, well) in disk.series.items()}
    code, said = run([as_test(Case(disk.alert, well, disk.quiet, disk.fires))], tmp_path)
    assert code == 1
    assert "EdgeAgentDiskFull" in said
