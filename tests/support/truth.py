"""Eyes that know the truth of a simulated world: for trying everything but the network, quickly and without chance."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Detection
from edge_agent.ports import DetectorInfo, Shot
from edge_agent.signs import LABELS
from edge_agent.simulation.world import World

LINGER_S = 1.0


class TruthCamera:
    """Implements ports.Camera: moves the world as SimCamera does, and renders nothing."""

    source, live = "sim", True

    def __init__(self, world: World) -> None:
        self._world = world
        self._image = np.full((world.optics.height, world.optics.width, 3), 128, np.uint8)
        self._serial = 0
        self._over_s: float | None = None

    async def __aenter__(self) -> Self:
        self._world.advance(asyncio.get_running_loop().time())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def grab(self) -> Shot | None:
        now_s = asyncio.get_running_loop().time()
        self._world.advance(now_s)
        if self._world.over and self._over_s is None:
            self._over_s = now_s
        if self._over_s is not None and now_s - self._over_s >= LINGER_S:
            return None
        self._serial += 1
        return Shot(self._image, now_s, self._serial)


class TruthDetector:
    """Implements ports.Detector: sees what is there, in the pixels of the world's own camera, once there is a world."""

    info = DetectorInfo("truth", "", "", 600, 400, LABELS)

    def __init__(self, world: Callable[[], World | None]) -> None:
        self._world = world

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        del image
        world = self._world()
        return () if world is None else world.truth()

    def close(self) -> None:
        pass
