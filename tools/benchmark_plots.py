"""The benchmark's plots as small SVG files; needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from edge_agent.bench.measure import Blocks
from edge_agent.bench.result import ChildReport
from edge_agent.runtime.files import atomic_path
from tools.agents import ScaleResult

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "edge-agent"
mpl.rcParams["svg.fonttype"] = "none"  # text as text: a third of the size

from matplotlib import pyplot as plt  # noqa: E402 - after the backend was chosen
from matplotlib.axis import Axis  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import LogLocator  # noqa: E402

_NAMES = {
    "bare": "bare loop",
    "plain": "agent",
    "mirrored": "agent with mirrors",
    "holed": "agent, brokers black-holed",
}
_SIZE = (7.0, 3.4)


def latencies(path: Path, paced: Blocks) -> None:
    """Plot which share of the ticks took longer than so many ms, from 100% down to one in thousands."""
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    for arm, name in _NAMES.items():
        if blocks := paced.get(arm):
            samples = np.sort(np.concatenate([block.latency_ms for block in blocks]))
            share = 1 - np.arange(len(samples)) / len(samples)
            keep = np.unique(np.geomspace(1, len(samples), 300).astype(int)) - 1
            keep = np.unique(np.concatenate([keep, len(samples) - 1 - keep]))  # fine at both ends
            axes.step(samples[keep], 100 * share[keep], label=name)
    axes.set(xscale="log", yscale="log", xlabel="ms from the intended tick to the command", ylabel="% that took longer")
    _plain_numbers(axes.xaxis, axes.yaxis)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    _save(figure, path)


def cpu(path: Path, paced: Blocks) -> None:
    """Plot CPU ms a frame, one dot a block."""
    figure, axes = plt.subplots(figsize=(7.0, 2.4), layout="constrained")
    arms = [arm for arm in _NAMES if paced.get(arm)]
    for place, arm in enumerate(arms):
        values = [block.cpu_ms for block in paced[arm]]
        axes.barh(place, np.mean(values), color="0.8")
        axes.plot(values, np.full(len(values), place), "k.", alpha=0.6)
    axes.set(yticks=range(len(arms)), yticklabels=[_NAMES[arm] for arm in arms], xlabel="CPU ms a frame, all threads")
    axes.invert_yaxis()
    _save(figure, path)


def memory(path: Path, report: ChildReport) -> None:
    """Plot resident memory over frames."""
    figure, axes = plt.subplots(figsize=(7.0, 2.4), layout="constrained")
    axes.plot(report.column("frames"), report.column("rss_mib"))
    axes.set(xlabel="frames", ylabel="resident MiB")
    axes.set_ylim(0, 1.2 * float(np.max(report.column("rss_mib"))))
    axes.grid(alpha=0.3)
    _save(figure, path)


def scale(path: Path, crowds: Sequence[ScaleResult]) -> None:
    """Plot frames a second of each agent and its latency against how many share the machine."""
    figure, (left, right) = plt.subplots(1, 2, figsize=_SIZE, layout="constrained")
    counts = [one.count for one in crowds]
    left.plot(counts, [one.fps for one in crowds], "o-")
    left.set(xscale="log", xlabel="agents", ylabel="frames a second, each")
    left.set_ylim(bottom=0)
    right.plot(counts, [one.p50_ms for one in crowds], "o-", label="p50")
    right.plot(counts, [one.p99_ms for one in crowds], "o-", label="p99")
    right.set(xscale="log", yscale="log", xlabel="agents", ylabel="ms to the command")
    _plain_numbers(right.yaxis)
    right.legend()
    for axes in (left, right):
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3)
    _save(figure, path)


def _plain_numbers(*logarithmic: Axis) -> None:
    """Write 20 and 50 where matplotlib would write powers of ten, or nothing."""
    for axis in logarithmic:
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(LogLocator(subs=(2, 5)))
        axis.set_minor_formatter("{x:g}")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None})
    plt.close(figure)
