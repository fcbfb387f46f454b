"""Runs the blocks that the goals need, interleaved, with the settings of each arm."""

import asyncio
import contextlib
import gc
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge_agent.bench import brokers, scene, stats
from edge_agent.bench.blocks import LAG_PERIOD_S, Block, agent_block, bare_block, saturated_fps, watch_lag
from edge_agent.bench.five import five_block
from edge_agent.bench.result import ChildReport, Plan, bench_settings
from edge_agent.config import Settings, load_rules
from edge_agent.perception.detector import open_detector, shipped_model
from edge_agent.perception.detector.manifest import CPU_PRECISION
from edge_agent.runtime import event_loop
from edge_agent.runtime.queues import pace
from edge_agent.runtime.resources import engines_dir

PICTURES = 24
PACED_FPS = 10.0
SLOW_FPS = 30.0
SLOW_TIMES = 3.07
"""Not a whole number, so that the slow detector meets the camera in every phase."""
_FASTER_CAMERA = 1.25

Blocks = dict[str, list[Block]]


@dataclass
class Bench:
    """One run of the benchmark; `report_progress` is called with what is being done."""

    plan: Plan
    report_progress: Callable[[str], None]
    pictures: scene.Pictures = field(default_factory=list)
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    folder: Path = Path()
    mirrors: dict[str, dict[str, object]] = field(default_factory=dict)
    paced_blocks: Blocks = field(default_factory=dict)
    memory_report: ChildReport | None = None
    without: str = ""
    """Which brokers the mirrored arm lacks, for people."""

    def __enter__(self) -> "Bench":
        """Render the pictures and create a folder for everything that is written."""
        self.report_progress("rendering pictures")
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-agent-bench-")))
        self.pictures = self.pictures or scene.render(PICTURES)
        gc.freeze()  # this and the next line as `edge-agent run` does, also for the bare loops
        cv2.setNumThreads(1)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the brokers and remove the folder."""
        self.stack.close()

    @property
    def model(self) -> Path:
        """Path of the model that runs on a CPU."""
        return shipped_model(engines_dir(), CPU_PRECISION)

    def start_brokers(self) -> None:
        """Start Mosquitto and Kafka, as far as installed, and the black holes; `without` names what is missing."""
        if self.mirrors:
            return
        missing = []
        healthy: dict[str, object] = {}
        holed: dict[str, object] = {}
        if brokers.has_mosquitto():
            healthy |= _mqtt(self.stack.enter_context(brokers.mosquitto(self.folder)))
            holed |= _mqtt(self.stack.enter_context(brokers.black_hole()))
        else:
            missing.append("MQTT (mosquitto is not installed)")
        if brokers.has_kafka():
            healthy |= self._kafka(self.stack.enter_context(brokers.kafka()), "healthy")
            holed |= self._kafka(self.stack.enter_context(brokers.black_hole()), "holed")
        else:
            missing.append("Kafka (no broker is installed)")
        self.mirrors = {"mirrored": healthy, "loaded": healthy, "holed": holed}
        self.without = f"without {' and '.join(missing)}" if missing else ""

    def _kafka(self, port: int, name: str) -> dict[str, object]:
        return {
            "kafka.enabled": True,
            "kafka.bootstrap_servers": [f"127.0.0.1:{port}"],
            "kafka.outbox.path": str(self.folder / f"outbox-{name}.db"),
        }

    def settings(self, arm: str, fps: float = PACED_FPS) -> Settings:
        """Return an arm's settings."""
        state = {"state.directory": str(self.folder), "capture.fps": fps}
        return bench_settings({**state, **self.mirrors.get(arm, {})})

    def paced(self, arms: Sequence[str]) -> Blocks:
        """Run those of bare, plain, mirrored, holed, loaded and idle that are in `arms`, there and back."""
        if set(arms) - {"bare", "plain", "idle"}:
            self.start_brokers()
        settings = self.settings("plain")
        rules = load_rules(settings.policy.rules)
        detector = open_detector(settings.detector)
        blocks = self.paced_blocks = {arm: [] for arm in arms}
        try:
            for number, arm in enumerate(stats.interleaved(arms, self.plan.arm_rounds), 1):
                self.report_progress(f"paced block {number} of {2 * len(arms) * self.plan.arm_rounds}: {arm}")
                if arm == "bare":
                    block = bare_block(detector, self.pictures, self.plan.arms_s, fps=PACED_FPS)
                elif arm == "idle":
                    block = idle_block(self.plan.idle_s)
                elif arm == "loaded":
                    block = agent_block(self.settings(arm), rules, self.pictures, self.plan.idle_s + 1, probe=True)
                else:
                    block = agent_block(self.settings(arm), rules, self.pictures, self.plan.arms_s)
                blocks[arm].append(block)
        finally:
            detector.close()
        return blocks

    def flat_out(self) -> tuple[list[float], list[float]]:
        """Return the frames a second of the agent, with a camera 25% faster than the bare loop, and of that loop."""
        settings = self.settings("plain")
        rules = load_rules(settings.policy.rules)
        detector = open_detector(settings.detector)
        ours: list[float] = []
        bare: list[float] = []
        try:
            for arm in stats.interleaved(("bare", "agent"), 2):
                self.report_progress(f"flat out: {arm}")
                if arm == "bare":
                    bare.append(saturated_fps(detector, self.pictures, self.plan.flat_s))
                else:
                    fps = _FASTER_CAMERA * max(bare)
                    fast = settings.model_copy(update={"capture": settings.capture.model_copy(update={"fps": fps})})
                    ours.append(agent_block(fast, rules, self.pictures, self.plan.flat_s).fps)
        finally:
            detector.close()
        return ours, bare

    def five(self, *, real: bool) -> Blocks:
        """Run the five processes and the agent, with stub detectors or the real one."""
        settings = self.settings("plain")
        rules, blocks = load_rules(settings.policy.rules), Blocks({"agent": [], "five": []})
        port = self.stack.enter_context(brokers.mosquitto(self.folder))
        for arm in stats.interleaved(("agent", "five"), self.plan.five_rounds):
            self.report_progress(f"{'real' if real else 'stub'} detector: {arm}")
            if arm == "agent":
                stub = None if real else scene.StubDetector
                block = agent_block(settings, rules, self.pictures, self.plan.five_s, detector=stub)
            else:
                model = self.model if real else None
                block = five_block(self.folder, port, self.pictures, self.plan.five_s, fps=PACED_FPS, model=model)
            blocks[arm].append(block)
        return blocks

    def slow(self) -> Block:
        """Run the agent at SLOW_FPS with a detector that takes SLOW_TIMES periods."""
        self.report_progress("detector 3 times too slow")
        settings = self.settings("plain", SLOW_FPS)
        return agent_block(
            settings,
            load_rules(settings.policy.rules),
            self.pictures,
            self.plan.slow_s,
            detector=lambda: scene.StubDetector(SLOW_TIMES / SLOW_FPS),
        )

    def drift(self) -> tuple[stats.Block, stats.Block]:
        """Run `pace` and return each tick's number and its lateness against the ideal time in s."""
        self.report_progress(f"{self.plan.ticks} ticks")
        return event_loop.run(_drift(self.plan.ticks, self.plan.tick_s))


async def _drift(ticks: int, period_s: float) -> tuple[stats.Block, stats.Block]:
    numbers, late = [], []
    start_s = math.nan
    async for tick in pace(period_s, time.monotonic):
        now_s = time.monotonic()
        start_s = tick.due_s if math.isnan(start_s) else start_s
        numbers.append(tick.index)
        late.append(now_s - (start_s + tick.index * period_s))
        if tick.index >= ticks:
            break
    return np.array(numbers, np.float64), np.array(late)


def idle_block(seconds: float) -> Block:
    """Measure the lag of a loop that has nothing to do."""

    async def watch() -> list[float]:
        lags: list[float] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await watch_lag(lags)
        return lags

    lags = np.array(event_loop.run(watch())[round(0.5 / LAG_PERIOD_S) :])
    return Block(np.array([]), math.nan, 0.0, len(lags), 0.0, lag_ms=lags)


def _mqtt(port: int) -> dict[str, object]:
    return {"mqtt.enabled": True, "mqtt.port": port}
