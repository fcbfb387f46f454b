"""An alarm rings once its moment has come, as often as it is set, and not on a simulated clock."""

import asyncio
import contextlib
import time
from pathlib import Path

from edge_agent.alarm import Alarm, open_alarm
from edge_agent.flow import pace
from edge_agent.sim.clock import run_virtual


async def test_alarm_rings_when_its_moment_has_come_and_not_before() -> None:
    with contextlib.closing(Alarm()) as alarm:
        for _ in range(3):
            at_s = time.monotonic() + 0.003
            await alarm.wait_until(at_s)
            assert time.monotonic() >= at_s


async def test_alarm_for_a_moment_that_has_passed_rings_at_once() -> None:
    with contextlib.closing(Alarm()) as alarm:
        for at_s in (time.monotonic() - 5, 0.0, -1.0):
            async with asyncio.timeout(5):
                await alarm.wait_until(at_s)


async def test_alarm_given_up_does_not_ring_for_the_next_who_waits() -> None:
    with contextlib.closing(Alarm()) as alarm:
        waiting = asyncio.create_task(alarm.wait_until(time.monotonic() + 0.01))
        await asyncio.sleep(0)
        waiting.cancel()
        at_s = time.monotonic() + 0.03
        await alarm.wait_until(at_s)
        assert time.monotonic() >= at_s


async def test_closed_alarm_gives_its_file_descriptor_back() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        Alarm().close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_pace_gives_its_alarm_back_however_it_ends() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    async def walk() -> None:
        async for _ in pace(0.001, exact=True):
            await asyncio.sleep(0)

    task = asyncio.create_task(walk())
    await asyncio.sleep(0.01)
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_no_alarm_for_another_clock_than_the_machines() -> None:
    assert open_alarm(lambda: 12.0) is None


def test_exact_pace_keeps_a_simulated_clock() -> None:
    async def ticks() -> list[float]:
        return [tick.late_s async for tick in _first(3)]

    async def _first(count: int):  # type: ignore[no-untyped-def]
        async for tick in pace(10.0, exact=True):
            yield tick
            if tick.index == count:
                return

    assert run_virtual(ticks()) == [0.0] * 4
