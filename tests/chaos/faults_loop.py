"""Faults of the process's own time: a loop that stands still, a wall clock that jumps, a flood of orders."""

import asyncio
import time
from unittest import mock

from edge_agent.control.guard import Order

from .stage import Scene
from .trial import Trial, staged, undisturbed

HOUR_S = 3600.0


async def _block(scene: Scene) -> None:
    scene.mark()
    time.sleep(scene.slack)  # noqa: ASYNC251 - the fault itself


async def _set_clock(scene: Scene) -> None:
    real = time.time
    scene.mark()
    for offset_s in (HOUR_S, -HOUR_S):
        with mock.patch("time.time", lambda offset_s=offset_s: real() + offset_s):
            await asyncio.sleep(0.7)
    states = [state for state in scene.listener.states if state.at_s >= scene.fault_s]
    assert any(abs(state.at_unix_s - real()) > HOUR_S / 2 for state in states), "the clock was not seen to jump"


async def _flood(scene: Scene) -> None:
    control = scene.view.control
    for n in range(40):
        for _ in range(10):
            control.order(Order.DRIVE)
        if n == 20:
            scene.mark()
            control.order(Order.STOP)
        await asyncio.sleep(0.01)


TRIALS: tuple[Trial, ...] = (
    staged("event loop blocked for 1 s", "brakes, from a thread of its own", 350, _block, because="stalled"),
    undisturbed("clock set by an hour, forth and back", "no effect", _set_clock),
    staged(
        "1,000 commands a second and one stop", "the stop wins", 150, _flood, because="waits for the order to drive"
    ),
)
