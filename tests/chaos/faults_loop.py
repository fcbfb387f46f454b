"""Faults of timing: a stalled loop, a wall clock that jumps, a flood of orders."""

import asyncio
import time
from unittest import mock

from edge_agent.control.guard import Order

from .rig import Rig
from .trial import Trial, fault_trial, harmless_trial

HOUR_S = 3600.0


async def _block(rig: Rig) -> None:
    rig.mark()
    time.sleep(rig.slack)  # noqa: ASYNC251 - the fault itself


async def _set_clock(rig: Rig) -> None:
    real = time.time
    rig.mark()
    for offset_s in (HOUR_S, -HOUR_S):
        with mock.patch("time.time", lambda offset_s=offset_s: real() + offset_s):
            await asyncio.sleep(0.7)
    states = [state for state in rig.listener.states if state.at_s >= rig.fault_s]
    assert any(abs(state.at_unix_s - real()) > HOUR_S / 2 for state in states), "the clock did not jump"


async def _flood(rig: Rig) -> None:
    control = rig.view.control
    for n in range(40):
        for _ in range(10):
            control.order(Order.DRIVE)
        if n == 20:
            rig.mark()
            control.order(Order.STOP)
        await asyncio.sleep(0.01)


TRIALS: tuple[Trial, ...] = (
    fault_trial("event loop blocked for 1 s", "brakes, from the watchdog's thread", 350, _block, reason="stalled"),
    harmless_trial("clock set by an hour, forward and back", "no effect", _set_clock),
    fault_trial(
        "1,000 commands a second and one stop", "the stop wins", 150, _flood, reason="waits for the order to drive"
    ),
)
