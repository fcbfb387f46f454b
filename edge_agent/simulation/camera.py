"""The simulated camera: implements ports.Camera on a World, rendering in a thread of its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from edge_agent.ports import Shot
from edge_agent.simulation.render import Renderer
from edge_agent.simulation.view import truth
from edge_agent.simulation.world import World


class SimCamera:
    """The camera on the front of the simulated train.

    Args:
        linger_s: how long pictures continue after the end of the mission, so that a viewer sees it.
    """

    source = "sim"
    live = True

    def __init__(self, world: World, *, linger_s: float = 1.0) -> None:
        self.world = world
        self._linger_s = linger_s
        self._over_s: float | None = None
        self._serial = 0
        self._renderer: Renderer | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sim-camera")

    async def __aenter__(self) -> Self:
        """Build the renderer, which takes tenths of a second, in the thread."""
        loop = asyncio.get_running_loop()
        world = self.world
        self._renderer = await loop.run_in_executor(self._thread, Renderer, world.layout, world.optics)
        world.advance(loop.time())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Shut the thread down; it ends after a picture in progress."""
        self._thread.shutdown(wait=False)

    async def grab(self) -> Shot | None:
        """Advance the world to the loop's time and render it; None once the mission is over.

        Raises RuntimeError when the camera was not entered.
        """
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self.world.advance(now_s)
        if self._ended(now_s):
            return None
        if self._renderer is None:
            raise RuntimeError("the camera is not open")
        moment, serial = self.world.snapshot(), self._serial
        self._serial += 1
        image, seen = await loop.run_in_executor(self._thread, self._renderer.render, moment, serial)
        return Shot(image, now_s, serial, truth(seen), upright=True)

    def _ended(self, now_s: float) -> bool:
        if self.world.over and self._over_s is None:
            self._over_s = now_s
        return self._over_s is not None and now_s - self._over_s >= self._linger_s
