"""Latency from the decision to stop to the brake's bytes at the hub: driver, bleak, D-Bus, LWP3."""

import asyncio
import os
import random
import time
from contextlib import ExitStack
from unittest import mock

from edge_agent.control.driver import Driver, MotorTarget, Ramp
from edge_agent.events import CommandKind
from edge_agent.hub.ble import BleHub
from edge_agent.hub.emulator import BluezEmulator, MotorSetting
from tests.hub.conftest import close_bleak
from tests.support.emulator_thread import EmulatorThread

from .rig import settings

TIMEOUT_S = 10.0
RAMP_S = 0.15
"""Stops are decided at random during the ramp and shortly after it."""


def stops(count: int, slack: float = 1.0) -> list[float]:
    """Return the latencies in ms of `count` stops, each decided at a random moment of a start."""
    with ExitStack() as stack:
        bluez = stack.enter_context(EmulatorThread(BluezEmulator()))
        stack.enter_context(mock.patch.dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bluez.bus_address))
        return asyncio.run(_stops(bluez, count, slack))


async def _stops(bluez: EmulatorThread, count: int, slack: float) -> list[float]:
    motor: list[tuple[float, MotorSetting]] = []
    bluez.call(lambda emulator: emulator.hub.watch(lambda to, at_s: motor.append((at_s, to))))
    measured = []
    async with BleHub(settings(slack).hub) as hub:
        await hub.wait_connected(TIMEOUT_S)
        driver = Driver(hub, ramp=Ramp(), adapt=lambda power: power, publish=lambda _: None, clock=time.monotonic)
        running = asyncio.create_task(driver.run())
        for n in range(count):
            driver.set_target(MotorTarget(75, "go", taken_s=float(n)))
            await _wait_for(motor, len(motor), CommandKind.DRIVE)
            await asyncio.sleep(random.uniform(0, RAMP_S))  # noqa: S311 - no secret
            since, decided_s = len(motor), time.monotonic()
            driver.set_target(MotorTarget(None, "stop", taken_s=float(n)))
            measured.append((await _wait_for(motor, since, CommandKind.BRAKE) - decided_s) * 1000)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await close_bleak()
    return measured


async def _wait_for(motor: list[tuple[float, MotorSetting]], since: int, kind: CommandKind) -> float:
    """Wait for a motor command of that kind; return when it came."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            for at_s, to in motor[since:]:
                if to.kind is kind:
                    return at_s
            await asyncio.sleep(0.0005)
