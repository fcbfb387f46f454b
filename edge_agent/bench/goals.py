"""The twelve ratios: what is measured for each, and how it is computed from the figures."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from edge_agent.bench import brokers, stats
from edge_agent.bench.blocks import Block
from edge_agent.bench.measure import PACED_FPS, SLOW_FPS, Bench, Blocks
from edge_agent.bench.result import GOALS, MIN_SAMPLES_P99, Ratio
from edge_agent.bench.singles import holed_memory, memory, starts
from edge_agent.bench.stats import Interval
from edge_agent.errors import EdgeAgentError

_NEEDS = {1: ("bare", "plain"), 2: ("bare", "plain"), 4: ("bare", "mirrored"), 6: ("mirrored", "holed")}
_NEEDS[8] = ("idle", "loaded")


def measure(bench: Bench, wanted: Iterable[int] = GOALS) -> Iterator[Ratio]:
    """Measure the wanted goals; one that fails yields a result that is not measured, with the reason."""
    goals = sorted(set(wanted))
    paced = {goal for goal in goals if goal in _NEEDS}
    results: dict[int, list[Ratio]] = {}
    if paced:
        results |= {ratio.goal: [ratio] for ratio in _paced(bench, paced)}
    if {10, 11} & set(goals):
        results |= {ratio.goal: [ratio] for ratio in _guarded_all({10, 11} & set(goals), lambda: starts(bench, goals))}
    singles: dict[int, Callable[[Bench], Ratio]] = {3: _five, 5: _flat, 7: _slow, 9: memory, 12: _drift}
    for goal in goals:
        if goal in singles:
            single = singles[goal]
            results[goal] = _guarded_all({goal}, lambda run=single: [run(bench)])  # type: ignore[misc]
        yield from results[goal]


def _guarded_all(goals: set[int], run: Callable[[], list[Ratio]]) -> list[Ratio]:
    try:
        return run()
    except (EdgeAgentError, OSError, ValueError) as error:
        return [Ratio(goal, None, note=str(error).replace("\n", " ")) for goal in sorted(goals)]


def _paced(bench: Bench, goals: set[int]) -> list[Ratio]:
    asked = {arm for goal in goals for arm in _NEEDS[goal]}

    def run() -> list[Ratio]:
        blocks = bench.paced([arm for arm in ("idle", "loaded", "bare", "plain", "mirrored", "holed") if arm in asked])
        ratios = {1: _median, 2: _tail, 4: _cpu, 6: _holed, 8: _lag}
        return [
            Ratio(goal, None, note="needs a broker: neither Mosquitto nor a Kafka broker is installed")
            if goal in {4, 6} and not bench.mirrors["mirrored"]
            else ratios[goal](bench, blocks)
            for goal in sorted(goals)
        ]

    return _guarded_all(goals, run)


def _latencies(blocks: Sequence[Block]) -> list[stats.Block]:
    return [block.latency_ms for block in blocks]


def _count(*sides: Sequence[stats.Block]) -> str:
    return " and ".join(f"{sum(len(block) for block in side):,}" for side in sides)


def _few_samples(*sides: Sequence[stats.Block]) -> str:
    """Return a remark where a 99th percentile has too few samples, else nothing."""
    least = min(sum(len(block) for block in side) for side in sides)
    return f"fewer than {MIN_SAMPLES_P99:,} samples: the p99 is only an indication" if least < MIN_SAMPLES_P99 else ""


def _and(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _ms(name: str, blocks: Sequence[stats.Block], percent: float) -> str:
    return f"{name} {np.percentile(np.concatenate(list(blocks)), percent):.2f} ms"


def _median(bench: Bench, blocks: Blocks) -> Ratio:
    del bench
    ours, bare = _latencies(blocks["plain"]), _latencies(blocks["bare"])
    note = f"{_ms('agent', ours, 50)}, {_ms('bare', bare, 50)}"
    return Ratio(1, stats.ratio(ours, bare, stats.median), _count(ours, bare), note)


def _tail(bench: Bench, blocks: Blocks) -> Ratio:
    del bench
    ours, bare = _latencies(blocks["plain"]), _latencies(blocks["bare"])
    note = _and(f"{_ms('agent', ours, 99)}, {_ms('bare', bare, 99)}", _few_samples(ours, bare))
    return Ratio(2, stats.ratio(ours, bare, stats.percentile(99)), _count(ours, bare), note)


def _mean(samples: stats.Block) -> float:
    return float(np.mean(samples))


def _cpu(bench: Bench, blocks: Blocks) -> Ratio:
    ours = [np.array([block.cpu_ms]) for block in blocks["mirrored"]]
    bare = [np.array([block.cpu_ms]) for block in blocks["bare"]]
    note = f"agent {_mean(np.concatenate(ours)):.1f} ms, bare {_mean(np.concatenate(bare)):.1f} ms"
    frames = " and ".join(f"{sum(block.frames for block in blocks[arm]):,} frames" for arm in ("mirrored", "bare"))
    return Ratio(4, stats.ratio(ours, bare, _mean), frames, _and(note, bench.without))


def _holed(bench: Bench, blocks: Blocks) -> Ratio:
    holed, healthy = _latencies(blocks["holed"]), _latencies(blocks["mirrored"])
    note = _and(f"memory {holed_memory(bench):+.1f} MiB (goal +1 at most)", bench.without, _few_samples(holed, healthy))
    return Ratio(6, stats.ratio(holed, healthy, stats.percentile(99)), _count(holed, healthy), note)


def _lag(bench: Bench, blocks: Blocks) -> Ratio:
    loaded, idle = ([block.lag_ms for block in blocks[arm]] for arm in ("loaded", "idle"))
    note = _and(f"{_ms('loaded', loaded, 99)}, {_ms('idle', idle, 99)}", bench.without, _few_samples(loaded, idle))
    return Ratio(8, stats.ratio(loaded, idle, stats.percentile(99)), _count(loaded, idle), note)


def _five(bench: Bench) -> Ratio:
    if not brokers.has_mosquitto():
        return Ratio(3, None, note="mosquitto is not installed: install the package mosquitto")
    stub = bench.five(real=False)
    ours, five = _latencies(stub["agent"]), _latencies(stub["five"])
    note = f"{_ms('agent', ours, 50)}, {_ms('five processes', five, 50)}"
    cpu = f"CPU a frame {_cpu_ms(stub['agent']):.1f} and {_cpu_ms(stub['five']):.1f} ms"
    note = _and(note, cpu, _with_real_detector(bench))
    return Ratio(3, stats.ratio(ours, five, stats.median), _count(ours, five), note)


def _with_real_detector(bench: Bench) -> str:
    if bench.plan.five_rounds < 2:
        return "with the real detector: in the full run only"
    real = bench.five(real=True)
    ours, five = _latencies(real["agent"]), _latencies(real["five"])
    ratio = stats.ratio(ours, five, stats.median)
    note = f"{_ms('agent', ours, 50)}, {_ms('five processes', five, 50)}"
    return f"with the real detector {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}): {note}"


def _cpu_ms(blocks: Sequence[Block]) -> float:
    return float(np.mean([block.cpu_ms for block in blocks]))


def _flat(bench: Bench) -> Ratio:
    ours, bare = bench.flat_out()
    ratio = stats.ratio([np.array([fps]) for fps in ours], [np.array([fps]) for fps in bare], _mean)
    frames = f"{sum(ours) * bench.plan.flat_s:,.0f} and {sum(bare) * bench.plan.flat_s:,.0f} frames"
    return Ratio(5, ratio, frames, f"agent {np.mean(ours):.1f}, bare {np.mean(bare):.1f} frames a second")


def _slow(bench: Bench) -> Ratio:
    ages = [bench.slow().age_ms]
    ratio = stats.ratio(ages, [np.array([1000 / SLOW_FPS])], stats.percentile(99))
    return Ratio(7, ratio, _count(ages), _and(f"{SLOW_FPS:g} frames a second", _few_samples(ages)))


def _drift(bench: Bench) -> Ratio:
    numbers, late = bench.drift()
    # The lateness of the last hundred ticks minus that of the first: constant lateness is no drift.
    window = min(100, len(late) // 2)
    first, last = late[:window], late[-window:]
    rng = np.random.default_rng(1)
    drawn = [
        abs(float(np.median(rng.choice(last, window)) - np.median(rng.choice(first, window)))) / bench.plan.tick_s
        for _ in range(stats.DRAWS)
    ]
    value = abs(float(np.median(last) - np.median(first))) / bench.plan.tick_s
    low, high = (float(edge) for edge in np.percentile(drawn, [2.5, 97.5]))
    note = f"period {bench.plan.tick_s * 1000:g} ms, shorter than the agent's {1000 / PACED_FPS:g} ms and so harder"
    return Ratio(12, Interval(value, low, high), f"{int(numbers[-1]):,} ticks", note)
