"""Cameras and detectors to measure with: pictures rendered in advance, so that rendering is not measured."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box, Detection
from edge_agent.perception.detector import NoDetector
from edge_agent.ports import DetectorInfo, Shot
from edge_agent.signs import Sign
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.render import Renderer
from edge_agent.simulation.view import Optics
from edge_agent.simulation.world import World

Pictures = Sequence[NDArray[np.uint8]]
WIDTH_PX, HEIGHT_PX = 640, 480
"""A webcam's usual size."""

_STOPPING = frozenset(sign.value for sign in Sign if sign.facts.original_class == 1)
_WARM_TICKS = 10


def render(count: int, seed: int = 7) -> Pictures:
    """Render `count` pictures along a simulated track, (480, 640, 3) uint8 BGR, without signs that end the drive."""
    layout = default_layout(seed)
    layout = replace(layout, signs=tuple(sign for sign in layout.signs if sign.label not in _STOPPING))
    optics = replace(Optics(), width=WIDTH_PX, height=HEIGHT_PX)
    renderer, moment = Renderer(layout, optics), World(layout, seed).snapshot()
    places = np.linspace(200, layout.cliff_mm - 300, count)
    pictures = []
    for index, s_mm in enumerate(places):
        at = replace(moment, s_mm=float(s_mm), pose=layout.track.pose(float(s_mm)), speed_mm_s=200.0)
        pictures.append(renderer.render(at, index)[0])
    return pictures


@dataclass(slots=True)
class GrabLog:
    """What the camera recorded: the process's CPU seconds by tick, the first tick's time, the period."""

    start_s: float = 0.0
    period_s: float = 0.1
    cpu_s: dict[int, float] = field(default_factory=dict)

    def tick(self, taken_s: float) -> int:
        """Return the number of the tick at which a picture was taken."""
        return round((taken_s - self.start_s) / self.period_s)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all threads from the end of the warm-up to the last picture."""
        ticks = [tick for tick in self.cpu_s if tick >= _WARM_TICKS]
        return self.cpu_s[max(ticks)] - self.cpu_s[min(ticks)] if ticks else 0.0

    @property
    def first(self) -> int:
        """The first tick that counts."""
        return _WARM_TICKS

    @property
    def last(self) -> int:
        """The last tick at which a picture was taken."""
        return max(self.cpu_s, default=0)


class MemoryCamera:
    """Implements ports.Camera from memory: a sensor that exposes at each intended tick, whenever it is read.

    So `taken_s` is the tick, and latencies include all lateness since.

    Args:
        pictures: served in turn.
        fps: pictures a second.
        watched: record the CPU time at each tick in `grabs`, which needs memory for each.
    """

    source = "memory"
    live = True

    def __init__(self, pictures: Pictures, fps: float, *, watched: bool = True) -> None:
        self._pictures = pictures
        self._watched = watched
        self._began = False
        self.grabs = GrabLog(period_s=1 / fps)

    async def __aenter__(self) -> Self:
        """Open nothing."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close nothing."""

    async def grab(self) -> Shot | None:
        """Return the picture of the newest tick."""
        now_s, grabs = asyncio.get_running_loop().time(), self.grabs
        if not self._began:
            self._began, grabs.start_s = True, now_s
        tick = int((now_s - grabs.start_s) / grabs.period_s + 1e-3)
        if self._watched:
            grabs.cpu_s[tick] = time.process_time()
        # A timer may come some nanoseconds early; a picture from the future would count as no evidence.
        taken_s = min(grabs.start_s + tick * grabs.period_s, now_s)
        return Shot(self._pictures[tick % len(self._pictures)], taken_s, tick)


class StubDetector:
    """Implements ports.Detector: always returns the same sign, after sleeping for `delay_s`."""

    info: DetectorInfo

    def __init__(self, delay_s: float = 0.0) -> None:
        self.info = replace(NoDetector().info, backend="stub", model="stub")
        self._delay_s = delay_s

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Return, for any (height, width, 3) uint8 BGR picture, one small sign that is too far away to act on."""
        if self._delay_s:
            time.sleep(self._delay_s)
        return (Detection(Sign.SPEED_LIMIT_50.value, 0.9, Box(100.0, 100.0, 112.0, 112.0)),)

    def close(self) -> None:
        """Hold nothing."""
