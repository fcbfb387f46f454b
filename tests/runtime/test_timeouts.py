"""Rates and bounds: numbers that decide how a link comes back."""

import asyncio

import pytest

from edge_agent.runtime.rate_limit import RateLimiter
from edge_agent.runtime.timeouts import cancel_all, with_timeout


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_backlog_is_sent_at_the_rate_and_live_events_beside_it() -> None:
    clock = Clock()
    rate = RateLimiter(80, clock)
    rate.take(rate.allowed(0))
    sent = 0
    for _ in range(80):  # ten seconds, in which 16 events a second are appended
        clock.now_s += 0.125
        allowed = rate.allowed(2)
        rate.take(allowed)
        sent += allowed
    assert sent == 10 * (80 + 16)


def test_allowance_does_not_pile_up_while_nothing_waits() -> None:
    clock = Clock()
    rate = RateLimiter(100, clock)
    clock.now_s += 3600
    assert rate.allowed(0) == 25


def test_wait_is_the_time_until_so_many_are_allowed() -> None:
    clock = Clock()
    rate = RateLimiter(100, clock)
    rate.take(rate.allowed(0))
    assert rate.wait_s(50) == 0.5
    clock.now_s += 0.125
    rate.take(rate.allowed(0))
    assert rate.wait_s(50) == pytest.approx(0.5, abs=0.01)
    assert rate.wait_s(0) == pytest.approx(0.0, abs=0.01)


async def test_call_that_does_not_let_itself_be_cancelled_is_left_behind() -> None:
    """Where asyncio.wait_for would wait for ever."""
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await with_timeout(stubborn(), 0.01)
    left = asyncio.all_tasks() - before
    assert await cancel_all(left, 0.01) == 1
    release.set()
    assert await cancel_all(left, 5) == 0


async def test_call_that_ends_in_time_gives_its_result_or_its_error() -> None:
    async def give() -> int:
        return 7

    async def fail() -> int:
        raise LookupError

    assert await with_timeout(give(), 5) == 7
    with pytest.raises(LookupError):
        await with_timeout(fail(), 5)


async def test_call_is_cancelled_with_its_caller() -> None:
    cancelled = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(with_timeout(wait(), 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_call_that_cancels_itself_does_not_cancel_its_caller() -> None:
    async def cancel_itself() -> None:
        raise asyncio.CancelledError

    with pytest.raises(TimeoutError):
        await with_timeout(cancel_itself(), 5)
