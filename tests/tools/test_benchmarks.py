"""The benchmark's page: every ratio, what was missed and why, the plots."""

import re
from pathlib import Path

import numpy as np

from edge_agent.bench.blocks import Block
from edge_agent.bench.result import ChildReport, Ratio
from edge_agent.bench.stats import Interval
from tools import benchmark_plots as plots
from tools.agents import ScaleResult
from tools.benchmarks import page

RATIOS = [
    Ratio(1, Interval(1.01, 1.0, 1.02), "6,000 and 6,000", "agent 20.2 ms, bare 20.0 ms"),
    Ratio(3, None, note="mosquitto is not installed"),
    Ratio(10, Interval(4.0, 3.9, 4.1), "12 and 12 starts"),
]
CROWDS = [ScaleResult(count, 10.0 / count, 20.0 * count, 40.0 * count, 25.0, 160.0) for count in (1, 2, 4)]


def test_page_shows_every_ratio_and_why_one_was_missed() -> None:
    text = page(RATIOS, {"cpu": "a | b"}, CROWDS, quick=False)
    assert "| 1 | frame to command, p50: agent / paced bare loop | 1.010 | 1.000 to 1.020 | <= 1.03 | met |" in text
    assert "not measured" in text
    assert "- **3**: mosquitto is not installed" in text
    missed = text.partition("## What is missed")[2].partition("##")[0]
    assert re.findall(r"- \*\*(\d+)\*\*", missed) == ["10"]
    assert "4 instead of 1.15. " in missed
    assert "| cpu | a / b |" in text


def test_plots_that_the_page_shows_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blocks = {"bare": [Block(rng.gamma(9, 2, 50), 25.0, 10.0, 50, 100.0)], "plain": []}
    report = ChildReport(
        tuple({"t_s": t, "rss_mib": 100.0, "cpu_s": t, "frames": 10 * t} for t in range(5)), {"p50": 1.0}
    )
    plots.latencies(tmp_path / "bench-latency.svg", blocks)
    plots.cpu(tmp_path / "bench-cpu.svg", blocks)
    plots.memory(tmp_path / "bench-memory.svg", report)
    plots.scale(tmp_path / "bench-scale.svg", CROWDS)
    shown = set(re.findall(r"images/(bench-\w+\.svg)", page(RATIOS, {}, CROWDS, quick=True)))
    assert shown == {path.name for path in tmp_path.iterdir()}
    assert "frames a second, each" in (tmp_path / "bench-scale.svg").read_text()
