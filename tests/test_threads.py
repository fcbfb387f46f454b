"""Blocking work beside the loop: its answer, its failure, and an end that nobody waits for."""

import asyncio
import threading

import pytest

from edge_agent.threads import in_daemon_thread


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
