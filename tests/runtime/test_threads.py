"""Blocking work beside the loop: its result, its failure, and an end that does not wait for it."""

import asyncio
import threading

import pytest

from edge_agent.runtime.threads import LoopThread, WorkerThread, in_daemon_thread
from edge_agent.simulation.clock import run_virtual


async def test_result_comes_from_a_daemon_thread_of_that_name() -> None:
    def work() -> tuple[str, bool]:
        thread = threading.current_thread()
        return thread.name, thread.daemon

    assert await in_daemon_thread(work, "worker") == ("worker", True)


async def test_failure_is_raised_in_the_task_that_waits() -> None:
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


async def test_worker_executes_calls_in_order_in_one_thread() -> None:
    worker = WorkerThread("worker")
    done: list[int] = []
    threads = await asyncio.gather(*(worker.submit(note, done, number) for number in range(5)))
    worker.close()
    worker.join()
    assert done == [0, 1, 2, 3, 4]
    assert set(threads) == {"worker"}


def note(done: list[int], number: int) -> str:
    done.append(number)
    return threading.current_thread().name


async def test_worker_raises_a_failure_in_the_task_that_submitted_it_and_goes_on() -> None:
    worker = WorkerThread("worker")
    with pytest.raises(ZeroDivisionError):
        await worker.submit(lambda: 1 // 0)
    assert await worker.submit(lambda: "well") == "well"
    worker.close()


async def test_worker_that_hangs_does_not_hold_up_a_caller_with_a_time_limit_and_goes_on_later() -> None:
    worker, release, done = WorkerThread("worker"), threading.Event(), threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await worker.submit(release.wait)
    worker.post(done.set)
    worker.close()
    assert not done.is_set()
    release.set()
    worker.join()
    assert done.is_set()


def test_simulated_time_stands_still_while_a_worker_is_busy() -> None:
    async def main() -> float:
        loop, worker = asyncio.get_running_loop(), WorkerThread("worker")
        asyncio.get_running_loop().call_later(1.0, lambda: None)
        began_s = loop.time()
        await worker.submit(threading.Event().wait, 0.05)
        worker.close()
        return loop.time() - began_s

    assert run_virtual(main()) == 0.0


def test_worker_without_calls_ends_at_once() -> None:
    worker = WorkerThread("worker")
    worker.close()
    worker.join()


def test_loop_that_is_cancelled_by_nobody_has_failed() -> None:
    async def cancel_itself() -> None:
        raise asyncio.CancelledError

    failed = threading.Event()
    thread = LoopThread("test", cancel_itself, failed.set)
    thread.start()
    assert failed.wait(10)
    assert thread.join(10)
