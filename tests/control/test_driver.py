"""The driver: ramps, and a brake that overtakes everything."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge_agent.control.driver import BRAKE_REPEAT_S, Driver, MotorTarget, Ramp
from edge_agent.errors import RetryableError
from edge_agent.events import HubStatus, MotorCommand
from edge_agent.hub.mock import MockHub
from edge_agent.simulation.clock import run_virtual

RAMP = Ramp(percent_per_s=200.0, step_s=0.05, start_percent=25)
CRUISE = MotorTarget(70, "cruise")
STOP = MotorTarget(None, "stop sign", frame_id="f1", taken_s=1.0)


def drive(
    scenario: Callable[[Driver, Any], Awaitable[None]], hub: Any = None, adapt: Callable[[int], int] = lambda p: p
) -> tuple[list[tuple[str, int | str]], list[MotorCommand]]:
    """Run a scenario with a driver on a virtual clock; return the hub's log and the published commands."""
    hub = hub or MockHub()
    commands: list[MotorCommand] = []

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        async with hub:
            driver = Driver(hub, ramp=RAMP, adapt=adapt, publish=commands.append, clock=clock)
            running = asyncio.create_task(driver.run())
            await asyncio.sleep(0.01)
            await scenario(driver, hub)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            log.extend((write.kind, write.value) for write in hub.log)  # without the hub's own brake on leaving

    log: list[tuple[str, int | str]] = []
    run_virtual(main(), start_s=100.0)
    return log, commands


def powers(log: list[tuple[str, int | str]]) -> list[int | str]:
    return [value for kind, value in log if kind == "drive"]


def test_start_writes_a_brake_before_anything_else() -> None:
    async def nothing(driver: Driver, hub: MockHub) -> None:
        await asyncio.sleep(1.0)

    log, commands = drive(nothing)
    assert log[:2] == [("brake", 0), ("brake", 0)], "the hub's own on connecting, and the driver's"
    assert commands[0].reason == "not started"


def test_power_rises_in_steps_from_the_dead_bands_edge() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        assert driver.power_percent == 70

    log, _ = drive(go)
    assert powers(log) == [25, 35, 45, 55, 65, 70]


def test_slower_target_falls_in_steps_and_does_not_jump() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        driver.set_target(MotorTarget(40, "speed_limit_30 sign"))
        await asyncio.sleep(1.0)

    log, _ = drive(go)
    assert powers(log)[-3:] == [60, 50, 40]


def test_same_power_from_a_newer_picture_is_written_again() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        for n in range(3):
            driver.set_target(MotorTarget(70, "cruise", frame_id=f"f{n}", taken_s=101.0 + n))
            await asyncio.sleep(0.1)

    log, commands = drive(go)
    assert powers(log)[-4:] == [70, 70, 70, 70]
    assert [c.frame_id for c in commands[-3:]] == ["f0", "f1", "f2"]


def test_brake_in_the_middle_of_a_ramp_is_the_next_write() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(0.07)
        driver.set_target(STOP)
        await asyncio.sleep(1.0)

    log, commands = drive(go)
    assert log[2:] == [("drive", 25), ("drive", 35), ("brake", 0)]
    assert (commands[-1].reason, commands[-1].frame_id, commands[-1].taken_s) == ("stop sign", "f1", 1.0)


def test_brake_in_the_middle_of_slowing_down_is_the_next_write() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        driver.set_target(MotorTarget(30, "speed_limit_30 sign"))
        await asyncio.sleep(0.07)
        driver.set_target(STOP)
        await asyncio.sleep(1.0)

    log, _ = drive(go)
    assert log[-3:] == [("drive", 60), ("drive", 50), ("brake", 0)]


def test_brake_interrupts_a_write_that_hangs() -> None:
    class Hanging(MockHub):
        async def drive(self, power_percent: int) -> None:
            await asyncio.sleep(3600)

    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(0.5)
        driver.set_target(STOP)
        await asyncio.sleep(0.001)
        assert [write.kind for write in hub.log][-1] == "brake"
        assert len(hub.log) == 3

    drive(go, Hanging())


def test_unconfirmed_brake_is_repeated_until_the_hub_confirms() -> None:
    class Deaf(MockHub):
        confirmed = False

        def status(self) -> HubStatus:
            return HubStatus(connected=True, brake_confirmed=self.confirmed)

    async def go(driver: Driver, hub: Any) -> None:
        driver.set_target(STOP)
        await asyncio.sleep(5.5 * BRAKE_REPEAT_S)
        hub.confirmed = True
        await asyncio.sleep(20 * BRAKE_REPEAT_S)

    log, commands = drive(go, Deaf())
    assert 7 <= len(log) <= 9
    assert len([c for c in commands if c.reason == "stop sign"]) == 1, "a repeated brake is one command"


def test_brake_that_the_hub_refuses_is_tried_again() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        hub.fail_next(3)
        driver.set_target(STOP)
        await asyncio.sleep(1.0)
        assert driver.failed_writes == 3

    log, commands = drive(go)
    assert log[-1] == ("brake", 0)
    assert commands[-1].reason == "stop sign"


def test_power_that_the_hub_refuses_is_tried_again() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        hub.fail_next(2)
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        assert driver.power_percent == 70
        assert driver.failed_writes == 2

    drive(go)


def test_lost_link_ends_the_repetition_of_the_brake() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        hub.drop_link()
        driver.set_target(STOP)
        await asyncio.sleep(60.0)
        assert driver.failed_writes < 700, "it asks again, a few times a second, and does not spin"
        await hub.reconnect()
        await asyncio.sleep(1.0)

    log, _ = drive(go)
    assert log[-1] == ("brake", 0)


def test_outage_is_logged_once_and_the_next_one_again() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        for n in range(2):
            hub.fail_next(50)
            driver.set_target(MotorTarget(None, "stop", taken_s=float(n)))
            await asyncio.sleep(10.0)

    with capture_logs() as logs:
        drive(go)
    assert [line["event"] for line in logs] == ["hub_write_failed"] * 2


def test_lost_link_is_not_logged_at_each_write() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        hub.drop_link()
        driver.set_target(MotorTarget(None, "link lost", taken_s=1.0))
        await asyncio.sleep(10.0)
        assert driver.failed_writes > 0

    with capture_logs() as logs:
        drive(go)
    assert logs == []


def test_driver_cancelled_while_a_write_fails_leaves_no_exception_behind() -> None:
    class Failing(MockHub):
        async def brake(self) -> None:
            running[0].cancel()
            raise RetryableError("no link")

    running: list[asyncio.Task[None]] = []
    complaints: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        driver = Driver(Failing(), ramp=RAMP, adapt=lambda p: p, publish=lambda c: None, clock=loop.time)
        running.append(loop.create_task(driver.run()))
        await asyncio.gather(*running, return_exceptions=True)
        running.clear()  # its traceback holds the write
        gc.collect()

    run_virtual(main())
    assert complaints == []


def test_power_is_adapted_before_it_is_written_and_published() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        assert driver.power_percent == 70

    log, commands = drive(go, adapt=lambda power_percent: min(100, power_percent + 20))
    assert powers(log)[-1] == commands[-1].power_percent == 90


def test_stop_aimed_among_a_thousand_powers_wins() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        for n in range(1000):
            driver.set_target(MotorTarget(70, "drive", taken_s=float(n)))
        driver.set_target(STOP)
        await asyncio.sleep(1.0)

    log, _ = drive(go)
    assert powers(log) == []
    assert log[-1] == ("brake", 0)


def test_brake_now_writes_at_once_and_raises_when_the_link_is_gone() -> None:
    async def go(driver: Driver, hub: MockHub) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        await driver.brake_now("SIGTERM")
        assert hub.log[-1].kind == "brake"
        hub.drop_link()
        with pytest.raises(RetryableError):
            await driver.brake_now("again")

    _, commands = drive(go)
    assert commands[-1].reason == "SIGTERM"


@pytest.mark.parametrize(("current", "target", "next_step"), [(0, 10, 10), (0, 60, 25), (60, 62, 62), (60, 0, 50)])
def test_ramp_step(current: int, target: int, next_step: int) -> None:
    assert RAMP.towards(current, target) == next_step


@pytest.mark.parametrize("confirms", [True, False])
def test_silent_hub_that_leaves_the_brake_unanswered_too_loses_its_link(confirms: bool) -> None:
    class Quiet(MockHub):
        given_up_s: float | None = None

        def status(self) -> HubStatus:
            return super().status() if confirms else replace(super().status(), brake_confirmed=False)

        def give_up(self, reason: str) -> None:
            self.given_up_s = asyncio.get_running_loop().time()
            super().give_up(reason)

    hub = Quiet()

    async def scenario(driver: Driver, hub: Quiet) -> None:
        driver.set_target(CRUISE)
        await asyncio.sleep(1.0)
        silent_s = asyncio.get_running_loop().time()
        driver.set_target(MotorTarget(None, "the hub has not answered for 300 ms", hub_silent=True))
        await asyncio.sleep(0.01)
        assert hub.given_up_s is None, "the brake comes first, and has its time to be confirmed"
        await asyncio.sleep(1.0)
        assert (hub.given_up_s is None) == confirms
        assert confirms or hub.given_up_s == pytest.approx(silent_s + BRAKE_REPEAT_S)

    log, _ = drive(scenario, hub)
    assert log[-1] == ("brake", 0)
