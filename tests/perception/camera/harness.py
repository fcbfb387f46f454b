"""A live camera on fake captures, with a clock of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from edge_agent.perception.camera import LiveCamera, LiveTimeouts
from tests.perception.camera.pictures import FakeCapture

LONG = 0.05
"""Frames a second that let `grab` wait as long as a test may take: it returns as soon as there is news."""
SHORT = 1000.0
"""Frames a second at which `grab` hardly waits, for when there is nothing to wait for."""
TIMEOUTS = LiveTimeouts(open_s=10, stall_s=2, retry_initial_s=0.5, retry_max_s=4, close_s=10)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class CameraHarness:
    """A live camera on fake captures; each opening uses the next one."""

    def __init__(
        self, *captures: FakeCapture, fps: float = LONG, timeouts: LiveTimeouts = TIMEOUTS, **more: Any
    ) -> None:
        self.captures = captures
        self.opened = 0
        self.clock = Clock()
        self.camera = LiveCamera(
            "cam",
            self._open,
            fps=fps,
            remedy=lambda: "plug it in",
            timeouts=timeouts,
            clock=self.clock,
            **more,
        )

    def _open(self) -> FakeCapture:
        self.opened += 1
        return self.captures[self.opened - 1]

    def be(self, fps: float) -> None:
        """Change how long `grab` waits."""
        self.camera._wait_s = 0.9 / fps

    def unblock(self) -> None:
        for capture in self.captures:
            capture.give(None)


@asynccontextmanager
async def running(harness: CameraHarness) -> AsyncIterator[LiveCamera]:
    try:
        async with harness.camera as camera:
            yield camera
            harness.unblock()
    finally:
        harness.unblock()


async def serial(camera: LiveCamera) -> int:
    shot = await camera.grab()
    assert shot is not None
    return shot.serial
