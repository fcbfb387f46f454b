"""finish_within: calls end in time, even those that hang while they are cancelled."""

import asyncio

import pytest

from edge_agent.runtime.timeouts import CANCELS, GRACE_S, TimeLimitError, finish_within
from edge_agent.simulation.clock import run_virtual


async def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_call_in_time_hands_back_its_result() -> None:
    assert run_virtual(finish_within(asyncio.sleep(1, "done"), 2, "Sleeping")) == "done"


def test_call_that_raises_in_time_raises_its_own_error() -> None:
    async def fail() -> None:
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        run_virtual(finish_within(fail(), 1, "Failing"))


def test_call_out_of_time_ends_at_the_limit_with_the_call_in_words() -> None:
    async def main() -> float:
        with pytest.raises(TimeLimitError, match=r"Sleeping took longer than 0\.5 s"):
            await finish_within(asyncio.sleep(60), 0.5, "Sleeping")
        return await now_s()

    assert run_virtual(main()) == pytest.approx(0.5)


def test_call_that_hangs_in_its_cleanup_is_cancelled_again() -> None:
    ended: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            try:
                await asyncio.sleep(60)  # as bleak does: disconnect before leaving
            finally:
                ended.append("second cancel")

    async def main() -> float:
        with pytest.raises(TimeLimitError):
            await finish_within(stubborn(), 0.5, "Connecting")
        return await now_s()

    assert run_virtual(main()) == pytest.approx(0.5 + GRACE_S)
    assert ended == ["second cancel"]


def test_call_that_no_cancel_ends_is_left_behind() -> None:
    async def immortal() -> None:
        for _ in range(CANCELS + 2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    async def main() -> float:
        with pytest.raises(TimeLimitError):
            await finish_within(immortal(), 0.5, "Nothing")
        return await now_s()

    assert run_virtual(main()) == pytest.approx(0.5 + CANCELS * GRACE_S)


def test_caller_cancelled_cancels_the_call() -> None:
    seen: list[str] = []

    async def call() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await finish_within(call(), 30, "Waiting")

    run_virtual(main())
    assert seen == ["cancelled"]


def test_error_raised_after_the_time_limit_is_dropped() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError("from the cleanup") from None

    async def main() -> None:
        with pytest.raises((TimeLimitError, OSError)):
            await finish_within(fail_when_cancelled(), 0.1, "Losing")

    run_virtual(main())
