"""One block of a measurement: the agent or the bare loop, on the same pictures, for a number of seconds."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_agent.agent import RunOptions, RunView, run
from edge_agent.agent.monitors import resident_mib
from edge_agent.bench import stats
from edge_agent.bench.scene import GrabLog, MemoryCamera, Pictures
from edge_agent.config import Settings, SignRules
from edge_agent.events import MotorCommand, Prediction
from edge_agent.ports import Detector, EventSource
from edge_agent.runtime import event_loop

LAG_PERIOD_S = 0.01


@dataclass(frozen=True, slots=True)
class Block:
    """The figures of one block: ms to the command by tick, CPU ms a frame, predictions a second, resident memory.

    `age_ms` is each frame's age when its inference began, `lag_ms` how late a sleeping task woke.
    """

    latency_ms: stats.Block
    cpu_ms: float
    fps: float
    frames: int
    rss_mib: float
    age_ms: stats.Block = field(default_factory=lambda: np.array([]))
    lag_ms: stats.Block = field(default_factory=lambda: np.array([]))


class _LatencyObserver:
    """An observer that records when each tick's first command was written, and every prediction."""

    name = "benchmark"

    def __init__(self) -> None:
        self.written_s: dict[float, float] = {}
        self.predictions: list[Prediction] = []

    async def run(self, events: EventSource) -> None:
        """Record events until cancelled."""
        while True:
            event = await events.get()
            if isinstance(event, MotorCommand) and event.taken_s is not None:
                self.written_s.setdefault(event.taken_s, event.written_s)
            elif isinstance(event, Prediction):
                self.predictions.append(event)


async def watch_lag(lags: list[float]) -> None:
    """Append to `lags` how late, in ms, a task wakes that sleeps for LAG_PERIOD_S, until cancelled."""
    clock = asyncio.get_running_loop().time
    while True:
        due_s = clock() + LAG_PERIOD_S
        await asyncio.sleep(LAG_PERIOD_S)
        lags.append((clock() - due_s) * 1000)


def agent_block(
    settings: Settings,
    rules: SignRules,
    pictures: Pictures,
    seconds: float,
    *,
    detector: Callable[[], Detector] | None = None,
    probe: bool = False,
    runner: Callable[[Coroutine[Any, Any, Any]], Any] = event_loop.run,
) -> Block:
    """Run the whole agent on pictures from memory; `detector` replaces the settings' detector.

    With `probe` the loop's lag is measured, which costs CPU time of its own. The `runner` is `run_virtual` in tests.
    """
    camera, observer = MemoryCamera(pictures, settings.capture.fps), _LatencyObserver()
    lags: list[float] = []
    rss: list[float] = []

    async def watch(view: RunView) -> None:
        del view
        try:
            await (watch_lag(lags) if probe else asyncio.Event().wait())
        finally:
            rss.append(resident_mib())

    job = RunOptions(settings, rules, (observer,), watch, duration_s=seconds, camera=camera, detector=detector)
    runner(run(job))
    grabs = camera.grabs
    done_s = {grabs.tick(taken_s): written_s for taken_s, written_s in observer.written_s.items()}
    counted = [p for p in observer.predictions if grabs.tick(p.taken_s) >= grabs.first]
    ages = [(p.done_s - p.taken_s) * 1000 - p.inference_ms for p in counted]
    warm = round(grabs.first * grabs.period_s / LAG_PERIOD_S)
    ticks = [grabs.tick(p.taken_s) for p in counted]
    return _block(grabs, done_s, ticks, rss[0], ages=ages, lags=lags[warm:])


def bare_block(detector: Detector, pictures: Pictures, seconds: float, *, fps: float) -> Block:
    """Run pre-processing, inference and post-processing at each tick, and nothing else.

    It calls the detector's own `infer`, so that the arithmetic is the agent's. An `fps` of infinity runs flat out.
    """
    grabs = GrabLog(start_s=time.monotonic(), period_s=1 / fps)
    done_s: dict[int, float] = {}
    end_s, tick = grabs.start_s + seconds, 0
    while (due_s := grabs.start_s + tick * grabs.period_s) < end_s:
        if (wait_s := due_s - time.monotonic()) > 0:
            time.sleep(wait_s)
        grabs.cpu_s[tick] = time.process_time()
        detector.infer(pictures[tick % len(pictures)])
        done_s[tick] = time.monotonic()
        tick = max(tick + 1, int((done_s[tick] - grabs.start_s) / grabs.period_s))
    return _block(grabs, done_s, list(done_s), resident_mib(), ages=[], lags=[])


def saturated_fps(detector: Detector, pictures: Pictures, seconds: float) -> float:
    """Return the frames a second of the bare loop when it never waits."""
    began_s, frames = time.monotonic(), 0
    while (now_s := time.monotonic()) - began_s < seconds:
        detector.infer(pictures[frames % len(pictures)])
        frames += 1
    return frames / (now_s - began_s)


def _block(
    grabs: GrabLog, done_s: dict[int, float], ticks: list[int], rss_mib: float, *, ages: list[float], lags: list[float]
) -> Block:
    """Return the figures of a block; `ticks` are those whose pictures were inferred."""
    latency = stats.from_ticks(done_s, grabs.first, grabs.last, grabs.start_s, grabs.period_s)
    counted = sum(grabs.first <= tick < grabs.last for tick in ticks)
    span_s = max(grabs.last - grabs.first, 1) * grabs.period_s
    return Block(
        latency * 1000,
        grabs.cpu_seconds() * 1000 / counted if counted else float("nan"),
        counted / span_s,
        len(latency),
        rss_mib,
        np.array(ages),
        np.array(lags),
    )
