"""The control steps by itself when nothing else makes it step, also on a clock whose timers come a little too soon."""

import asyncio
from collections.abc import Callable

from edge_agent.control import guard, policy
from edge_agent.control.driver import Driver, Ramp
from edge_agent.events import Event
from edge_agent.faults import FaultReporter
from edge_agent.hub.mock import MockHub
from edge_agent.pipeline import Control, ControlParameters
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout
from edge_agent.simulation.clock import run_virtual

TICK_S = 0.05


def control(clock: Callable[[], float], stepped: Callable[[], None]) -> Control:
    """Return a control whose every step asks for the hub's trouble once, which calls `stepped`."""
    hub, observers = MockHub(), Fanout[Event]()

    def stalls() -> int:
        stepped()
        return 0

    driver = Driver(hub, ramp=Ramp(), adapt=lambda power: power, publish=lambda command: None, clock=clock)
    rules = ControlParameters("train", policy.Tuning(50, {}), guard.Limits(), tick_s=TICK_S)
    return Control(
        hub,
        driver,
        rules,
        integrity=lambda: "",
        storage=lambda: "",
        stalls=stalls,
        observers=observers,
        stats=RunStats(0.0),
        faults=FaultReporter(lambda report: None, clock),
        clock=clock,
    )


def steps_of(seconds: float, also: tuple[float, ...] = ()) -> list[float]:
    """Return when the control stepped, on a simulated clock; `also` are moments at which something else made it."""

    async def main() -> list[float]:
        clock = asyncio.get_running_loop().time
        steps: list[float] = []
        made = control(clock, lambda: steps.append(round(clock(), 6)))
        for at_s in also:
            asyncio.get_running_loop().call_at(at_s, made.step)
        task = asyncio.create_task(made.run())
        await asyncio.sleep(seconds)
        task.cancel()
        return steps

    return run_virtual(main())


def test_it_steps_at_once_and_then_once_a_tick() -> None:
    assert steps_of(0.22) == [0.0, 0.05, 0.1, 0.15, 0.2]


def test_a_step_for_another_reason_puts_the_next_tick_off() -> None:
    assert steps_of(0.2, also=(0.08, 0.13)) == [0.0, 0.05, 0.08, 0.13, 0.18]


def test_a_run_that_has_ended_does_not_spin() -> None:
    async def main() -> int:
        clock = asyncio.get_running_loop().time
        made = control(clock, lambda: None)
        made.close()
        looks = 0

        def counted() -> float:
            nonlocal looks
            looks += 1
            return clock()

        made._clock = counted
        task = asyncio.create_task(made.run())
        await asyncio.sleep(10 * TICK_S)
        task.cancel()
        return looks

    assert run_virtual(main()) < 50


def test_a_timer_that_comes_too_soon_by_less_than_a_clock_can_tell_is_taken_as_in_time() -> None:
    async def main() -> list[float]:
        clock = asyncio.get_running_loop().time
        steps: list[float] = []
        slow = [0.0]

        def early() -> float:
            return clock() - slow[0]

        made = control(early, lambda: steps.append(round(clock(), 6)))
        task = asyncio.create_task(made.run())
        await asyncio.sleep(TICK_S / 2)
        slow[0] = 5e-10  # from now on each timer rings half a nanosecond before its time
        await asyncio.sleep(2 * TICK_S)
        task.cancel()
        return steps

    assert run_virtual(main()) == [0.0, 0.05, 0.1]
