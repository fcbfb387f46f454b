"""The control steps by itself when nothing else makes it step, also on a clock whose timers come a little too soon."""

import asyncio
from collections.abc import Callable

from edge_agent.config import load_rules
from edge_agent.control import guard, policy
from edge_agent.control.driver import Driver, Ramp
from edge_agent.control.guard import Order
from edge_agent.events import Box, Detection, Event, Prediction
from edge_agent.faults import FaultReporter
from edge_agent.hub.mock import MockHub
from edge_agent.pipeline import Control, ControlParameters
from edge_agent.report import RunStats
from edge_agent.runtime.queues import Fanout
from edge_agent.simulation.clock import run_virtual

TICK_S = 0.05


def control(clock: Callable[[], float], stepped: Callable[[], None]) -> Control:
    """Return a control whose every step asks for the hub's trouble once, which calls `stepped`."""
    return control_and_driver(clock, stepped, policy.Tuning(50, {}))[0]


def control_and_driver(
    clock: Callable[[], float], stepped: Callable[[], None], tuning: policy.Tuning
) -> tuple[Control, Driver]:
    hub, observers = MockHub(), Fanout[Event]()

    def stalls() -> int:
        stepped()
        return 0

    driver = Driver(hub, ramp=Ramp(), adapt=lambda power: power, publish=lambda command: None, clock=clock)
    rules = ControlParameters("train", tuning, guard.Limits(), tick_s=TICK_S)
    made = Control(
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
    return made, driver


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


def signs_at_a_stop(*, still: bool) -> list[str | None]:
    """Drive up to a STOP and wait before it while a cushion's edge is found again and again; return what acted.

    `still`: the cushion's pixels are the same in each picture; otherwise somebody waves it.
    """

    async def main() -> list[str | None]:
        clock = asyncio.get_running_loop().time
        made, driver = control_and_driver(clock, lambda: None, policy.Tuning(50, load_rules().signs))
        tasks = [asyncio.create_task(made.run()), asyncio.create_task(driver.run())]
        for number in range(42):
            box = Box(300, 100, 340 + number, 140 + number) if number < 12 else Box(100, 150, 130, 180 + number % 2 * 7)
            found = Detection("stop", 0.9, box)
            if number >= 12:
                found = Detection("danger", (0.60, 0.65)[number % 2], box, still=still and number > 12)
            now_s = clock()
            made.on_prediction(Prediction(str(number), number, now_s, 0.0, 600, 400, (found,), 1.0, now_s))
            if number == 1:
                made.order(Order.ARM)
                made.order(Order.DRIVE)
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        return [action.sign for action in made._stats.actions]

    return run_virtual(main())


def test_cushion_that_stands_still_before_a_waiting_train_is_no_danger() -> None:
    """Nor while the motor starts after the wait of 3 s: it has power before the train moves."""
    assert signs_at_a_stop(still=True) == ["stop"]
    assert signs_at_a_stop(still=False) == ["stop", "danger"]
