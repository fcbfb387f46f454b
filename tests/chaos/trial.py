"""One row of the table of faults: the fault, the expected reaction, and its time limit."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .rig import AFTERMATH_S, Adjust, Rig, run_scenario, unchanged

Inject = Callable[[Rig], Awaitable[None]]
Moment = Callable[[Rig], float | None]

PHASE_S = 0.1
"""Faults are spread over this time: the longest period of camera, guard and keep-alive."""


@dataclass(frozen=True)
class Trial:
    """A row. `try_once(slack)` returns the measured time in ms, or None for a row without one.

    It raises AssertionError if the train did something else. `slack` multiplies the agent's time limits, for busy
    machines; the bound holds for a slack of 1 only.
    """

    fault: str
    train: str
    bound_ms: float | None
    try_once: Callable[[float], float | None]


async def do_nothing(_scene: Rig) -> None:
    """Do nothing after the fault."""


def fault_trial(
    fault: str,
    train: str,
    bound_ms: float | None,
    inject: Inject,
    *,
    measured: Moment = Rig.braked_s,
    reason: str = "",
    then: Inject = do_nothing,
    dies_of: type[Exception] | None = None,
) -> Trial:
    """Return a trial in which the train must stop.

    `inject` marks the moment of the fault; `measured` returns when the train did what it must. After its first stop the
    motor may not drive. `reason` must be part of a reason of the guard. `then` is awaited afterwards.
    """

    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(random.uniform(0, PHASE_S))  # noqa: S311 - no secret
        await inject(rig)
        await rig.until(lambda: measured(rig), fault)
        await asyncio.sleep(AFTERMATH_S)
        await then(rig)

    def try_once(slack: float) -> float:
        rig = run_scenario(scenario, slack, dies_of=dies_of)
        at_s, stopped_s = measured(rig), rig.stopped_s()
        assert at_s is not None, fault
        assert stopped_s is not None, fault
        assert rig.drives_after(stopped_s) == [], "driven on after the stop"
        assert any(reason in given for given in rig.reasons()) or not reason, rig.reasons()
        return (at_s - rig.fault_s) * 1000

    return Trial(fault, train, bound_ms, try_once)


def harmless_trial(
    fault: str, train: str, inject: Inject, *, then: Inject = do_nothing, adjust: Adjust = unchanged
) -> Trial:
    """Return a trial in which the train must drive on. `then` is awaited afterwards."""

    async def scenario(rig: Rig) -> None:
        await inject(rig)
        assert rig.stopped_s() is None, f"stopped: {rig.reasons()}"
        await then(rig)

    def try_once(slack: float) -> None:
        run_scenario(scenario, slack, adjust=adjust)

    return Trial(fault, train, None, try_once)
