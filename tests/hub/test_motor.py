"""MotorWriter: a brake overtakes everything, a moving train gets keep-alives, an outside brake holds."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from edge_agent.errors import RetryableError
from edge_agent.hub.lwp3 import Message, OutputCommand
from edge_agent.hub.motor import MotorWriter
from edge_agent.simulation.clock import run_virtual


class FakeLink:
    """Accepts messages; hangs on the powers in `stuck`."""

    def __init__(self, port: int | None = 0, stuck: frozenset[int] = frozenset()) -> None:
        self.port = port
        self.stuck = stuck
        self.taken: list[tuple[float, int, int]] = []
        self.motor = MotorWriter(self.write, lambda: self.port, (0, 1), keep_alive_s=0.2)

    async def write(self, message: Message, still_wanted: Callable[[], bool]) -> None:
        assert isinstance(message, OutputCommand)
        assert message.power is not None
        if message.power in self.stuck:
            await asyncio.Event().wait()
        if still_wanted():
            self.taken.append((asyncio.get_running_loop().time(), message.port, message.power))

    @property
    def powers(self) -> list[int]:
        return [power for _, _, power in self.taken]


def test_brake_overtakes_a_power_that_is_being_written() -> None:
    async def main() -> tuple[FakeLink, float]:
        link = FakeLink(stuck=frozenset((60,)))
        drive = asyncio.ensure_future(link.motor.drive(60))
        await asyncio.sleep(0.01)
        await link.motor.brake()
        braked_s = asyncio.get_running_loop().time()
        with pytest.raises(RetryableError):
            await drive
        await asyncio.sleep(5)
        return link, braked_s

    link, braked_s = run_virtual(main())
    assert (link.powers, braked_s) == ([127], 0.01)


def test_newer_power_overtakes_an_older_one() -> None:
    async def main() -> FakeLink:
        link = FakeLink(stuck=frozenset((60,)))
        older = asyncio.ensure_future(link.motor.drive(60))
        await asyncio.sleep(0)
        await link.motor.drive(30)
        assert isinstance(await asyncio.gather(older, return_exceptions=True), list)
        return link

    assert run_virtual(main()).powers == [30]


def test_drive_cancelled_by_its_caller_stops_writing() -> None:
    async def main() -> FakeLink:
        link = FakeLink(stuck=frozenset((60,)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.motor.drive(60)
        link.stuck = frozenset()
        await asyncio.sleep(1)
        return link

    assert run_virtual(main()).powers == []


def test_moving_train_is_written_to_at_least_every_200_ms() -> None:
    async def main() -> FakeLink:
        link = FakeLink()
        keeper = asyncio.ensure_future(link.motor.keep_alive())
        await asyncio.sleep(0.13)
        await link.motor.drive(40)
        await asyncio.sleep(2)
        keeper.cancel()
        return link

    link = run_virtual(main())
    times_s = [at_s for at_s, _, _ in link.taken]
    assert set(link.powers) == {40}
    assert max(later - earlier for earlier, later in pairwise(times_s)) <= 0.2
    assert len(times_s) <= 25


def test_driver_that_writes_by_itself_needs_no_keep_alive() -> None:
    async def main() -> FakeLink:
        link = FakeLink()
        keeper = asyncio.ensure_future(link.motor.keep_alive())
        for _ in range(30):
            await link.motor.drive(40)
            await asyncio.sleep(0.05)
        keeper.cancel()
        return link

    assert len(run_virtual(main()).powers) == 30


@pytest.mark.parametrize("stop", ["brake", "coast"])
def test_train_that_stands_is_left_alone(stop: str) -> None:
    async def main() -> FakeLink:
        link = FakeLink()
        keeper = asyncio.ensure_future(link.motor.keep_alive())
        await link.motor.drive(40)
        await asyncio.sleep(0.02)
        await (link.motor.brake() if stop == "brake" else link.motor.drive(0))
        await asyncio.sleep(3)
        keeper.cancel()
        return link

    assert run_virtual(main()).powers == [40, 127 if stop == "brake" else 0]


def test_keep_alive_does_not_overtake_a_write_that_is_stuck() -> None:
    """Otherwise the stuck write would never count as failed."""

    async def main() -> None:
        link = FakeLink(stuck=frozenset((60,)))
        keeper = asyncio.ensure_future(link.motor.keep_alive())
        drive = asyncio.ensure_future(link.motor.drive(60))
        await asyncio.sleep(1)
        assert not drive.done()
        keeper.cancel()
        drive.cancel()

    run_virtual(main())


def test_motor_that_goes_while_moving_leaves_the_loop_alive() -> None:
    async def main() -> FakeLink:
        link = FakeLink()
        keeper = asyncio.ensure_future(link.motor.keep_alive())
        await link.motor.drive(40)
        link.port = None
        await asyncio.sleep(1)
        link.port = 0
        await asyncio.sleep(1)
        keeper.cancel()
        return link

    times_s = [at_s for at_s, _, _ in run_virtual(main()).taken]
    assert times_s[0] == 0.0
    assert 1.0 <= times_s[1] <= 1.2


def test_motor_not_known_brakes_both_ports_and_refuses_powers() -> None:
    async def main() -> FakeLink:
        link = FakeLink(port=None)
        with pytest.raises(RetryableError):
            await link.motor.drive(40)
        await link.motor.brake()
        return link

    assert [(port, power) for _, port, power in run_virtual(main()).taken] == [(0, 127), (1, 127)]


def test_motor_on_port_b_is_driven_there() -> None:
    async def main() -> FakeLink:
        link = FakeLink(port=1)
        await link.motor.drive(-40)
        return link

    assert [(port, power) for _, port, power in run_virtual(main()).taken] == [(1, -40)]


def test_outside_brake_forbids_powers_until_the_next_brake() -> None:
    async def main() -> FakeLink:
        link = FakeLink()
        keeper = asyncio.ensure_future(link.motor.keep_alive())
        await link.motor.drive(40)
        link.motor.revoke()
        await asyncio.sleep(1)  # no keep-alive may undo the brake
        with pytest.raises(RetryableError):
            await link.motor.drive(50)
        await link.motor.hold()
        with pytest.raises(RetryableError):
            await link.motor.drive(51)
        await link.motor.brake()
        await link.motor.drive(52)
        keeper.cancel()
        return link

    assert run_virtual(main()).powers == [40, 127, 127, 52]


def test_power_out_of_range_is_refused_and_changes_nothing() -> None:
    async def main() -> FakeLink:
        link = FakeLink()
        with pytest.raises(ValueError, match="101"):
            await link.motor.drive(101)
        return link

    assert run_virtual(main()).taken == []
