"""The simulated world behind an emulated hub: bytes to the hub move the train, the train's battery feeds the hub.

Hub and world are siblings that do not know each other, so they are joined here, at the door of the camera: before each
picture the world catches up with every command to the motor, at the moment at which it reached the hub. An agent that
stood still in between changes nothing in that. Knows nothing of bytes.
"""

import contextlib
from types import TracebackType
from typing import Self

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import MotorSetting, RemoteMotor
from edge_agent.ports import Camera, Shot
from edge_agent.simulation.world import World


class EmulatedTrainCamera:
    """Implements `ports.Camera` by a simulated camera whose train is moved by an emulated hub.

    Args:
        camera: the camera of `world`.
        remote: the emulated hub's motor, not entered yet.
    """

    live = True

    def __init__(self, camera: Camera, world: World, remote: RemoteMotor) -> None:
        self.source = camera.source
        self._camera = camera
        self._world = world
        self._remote = remote
        self._exit = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Join hub and world, and open the camera; raises RetryableError when the emulated hub is gone."""
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._remote)
            await stack.enter_async_context(self._camera)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the camera and let the hub go."""
        await self._exit.aclose()

    async def grab(self) -> Shot | None:
        """Move the world as the hub was told, then take a picture; None once the mission is over."""
        for setting, at_s in self._remote.drain():
            self._world.advance(at_s)
            _move(self._world, setting)
        shot = await self._camera.grab()
        world = self._world
        self._remote.feed(round(1000 * world.voltage_v), round(1000 * world.current_a), world.battery_percent)
        return shot


def _move(world: World, setting: MotorSetting) -> None:
    if setting.kind is CommandKind.DRIVE:
        world.set_power(setting.power_percent)
    elif setting.kind is CommandKind.BRAKE:
        world.brake()
    else:
        world.coast()
