"""Connects the emulated hub to the simulated world: motor commands move the train, its battery feeds the hub.

Hub and simulation do not import each other, so they are joined here, in the camera: before each picture the world
applies every motor command at the time at which it reached the hub, even if the agent stood still in between.
"""

import contextlib
from types import TracebackType
from typing import Self

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import MotorSetting, RemoteMotor, emulator_on_system_bus
from edge_agent.ports import Camera, Shot
from edge_agent.simulation.world import World


class EmulatedTrainCamera:
    """A simulated camera whose train is moved by an emulated hub; implements `ports.Camera`.

    Args:
        camera: the camera of `world`.
        motor: the emulated hub's motor, not entered yet.
    """

    live = True

    def __init__(self, camera: Camera, world: World, motor: RemoteMotor) -> None:
        self.source = camera.source
        self._camera = camera
        self._world = world
        self._motor = motor
        self._exit = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect to the emulated hub and open the camera; raises RetryableError when the hub is gone."""
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._motor)
            await stack.enter_async_context(self._camera)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the camera and disconnect from the emulated hub."""
        await self._exit.aclose()

    async def grab(self) -> Shot | None:
        """Apply the motor commands to the world, then grab a picture; None once the mission is over."""
        for setting, at_s in self._motor.drain():
            self._world.advance(at_s)
            _apply(self._world, setting)
        shot = await self._camera.grab()
        world = self._world
        self._motor.feed(round(1000 * world.voltage_v), round(1000 * world.current_a), world.battery_percent)
        return shot


def _apply(world: World, setting: MotorSetting) -> None:
    if setting.kind is CommandKind.DRIVE:
        world.set_power(setting.power_percent)
    elif setting.kind is CommandKind.BRAKE:
        world.brake()
    else:
        world.coast()


def connect_emulated_hub(camera: Camera, world: World) -> EmulatedTrainCamera | None:
    """Return the camera of a world that the emulated hub on the system bus moves; None without such a hub."""
    control = emulator_on_system_bus()
    return None if control is None else EmulatedTrainCamera(camera, world, RemoteMotor(control))
