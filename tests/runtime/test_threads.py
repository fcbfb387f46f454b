"""Blocking work beside the loop: its answer, its failure, and an end that nobody waits for."""

import asyncio
import threading

import pytest

from edge_agent.runtime.threads import WorkerThread, in_daemon_thread
from edge_agent.simulation.clock import run_virtual


async def test_result_comes_from_a_daemon_thread_of_that_name() -> None:
    def work() -> tuple[str, bool]:
        thread = threading.current_thread()
        return thread.name, thread.daemon

    assert await in_daemon_thread(work, "worker") == ("worker", True)


async def test_failure_reaches_whoever_waits() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_daemon_thread(lambda: 1 // 0, "worker")


async def test_cancelling_does_not_wait_for_work_that_hangs() -> None:
    release = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await in_daemon_thread(release.wait, "worker")
        assert not release.is_set()
    finally:
        release.set()


async def test_lane_does_what_it_is_asked_in_order_in_one_thread() -> None:
    lane = WorkerThread("lane")
    done: list[int] = []
    threads = await asyncio.gather(*(lane.ask(note, done, number) for number in range(5)))
    lane.close()
    lane.join()
    assert done == [0, 1, 2, 3, 4]
    assert set(threads) == {"lane"}


def note(done: list[int], number: int) -> str:
    done.append(number)
    return threading.current_thread().name


async def test_lane_carries_a_failure_to_whoever_asked_and_goes_on() -> None:
    lane = WorkerThread("lane")
    with pytest.raises(ZeroDivisionError):
        await lane.ask(lambda: 1 // 0)
    assert await lane.ask(lambda: "well") == "well"
    lane.close()


async def test_lane_that_hangs_keeps_nobody_who_gives_up_and_what_waits_is_done_later() -> None:
    lane, release, done = WorkerThread("lane"), threading.Event(), threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await lane.ask(release.wait)
    lane.tell(done.set)
    lane.close()
    assert not done.is_set()
    release.set()
    lane.join()
    assert done.is_set()


def test_simulated_time_stands_still_while_a_lane_works() -> None:
    async def main() -> float:
        loop, lane = asyncio.get_running_loop(), WorkerThread("lane")
        asyncio.get_running_loop().call_later(1.0, lambda: None)
        began_s = loop.time()
        await lane.ask(threading.Event().wait, 0.05)
        lane.close()
        return loop.time() - began_s

    assert run_virtual(main()) == 0.0


def test_lane_that_was_never_asked_ends_at_once() -> None:
    lane = WorkerThread("lane")
    lane.close()
    lane.join()
