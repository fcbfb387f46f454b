import asyncio
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_agent.simulation.clock import VirtualTimeLoop, run_virtual


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_time_starts_where_requested_and_jumps_to_timers():
    async def main() -> tuple[float, float]:
        began_s = now_s()
        await asyncio.sleep(3600)
        return began_s, now_s()

    began_real_s = time.monotonic()
    assert run_virtual(main(), start_s=5.0) == (5.0, 3605.0)
    assert time.monotonic() - began_real_s < 60


def test_timers_fire_in_order_of_time_then_of_creation():
    async def main() -> list[str]:
        seen: list[str] = []

        async def note(delay_s: float, word: str) -> None:
            await asyncio.sleep(delay_s)
            seen.append(f"{word}@{now_s():.3f}")

        async with asyncio.TaskGroup() as group:
            for delay_s, word in ((0.3, "c"), (0.1, "a"), (0.2, "b"), (0.1, "a2"), (0.0, "zero")):
                group.create_task(note(delay_s, word))
        return seen

    assert run_virtual(main()) == ["zero@0.000", "a@0.100", "a2@0.100", "b@0.200", "c@0.300"]


def test_time_stands_still_while_a_thread_works():
    async def main() -> tuple[float, str, list[float]]:
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.01)
                ticks.append(now_s())

        ticker = asyncio.create_task(tick())
        gate = threading.Event()
        threading.Timer(0.05, gate.set).start()
        word = await asyncio.to_thread(lambda: "done" if gate.wait(30) else "late")
        at_s = now_s()
        ticker.cancel()
        return at_s, word, ticks

    at_s, word, ticks = run_virtual(main())
    assert (at_s, word, ticks) == (0.0, "done", [])


def test_two_threads_hold_the_time_until_the_last_is_done():
    async def main() -> list[float]:
        first, second = threading.Event(), threading.Event()

        async def job(gate: threading.Event) -> float:
            await asyncio.to_thread(gate.wait, 30)
            return now_s()

        async def sleeper() -> float:
            await asyncio.sleep(1)
            return now_s()

        tasks = [asyncio.create_task(job(first)), asyncio.create_task(job(second)), asyncio.create_task(sleeper())]
        threading.Timer(0.02, first.set).start()
        threading.Timer(0.06, second.set).start()
        return await asyncio.gather(*tasks)

    assert run_virtual(main()) == [0.0, 0.0, 1.0]


def test_job_in_own_executor_holds_the_time_and_passes_its_exception_on():
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(pool, lambda: 1 // 0)
            await asyncio.sleep(2)
            return now_s()

    assert run_virtual(main()) == 2.0


def test_cancelled_wait_for_a_running_job_holds_the_time_until_the_job_ends():
    async def main() -> tuple[float, bool]:
        ended = threading.Event()
        gate = threading.Event()

        def job() -> None:
            gate.wait(30)
            ended.set()

        task = asyncio.create_task(asyncio.to_thread(job))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        threading.Timer(0.05, gate.set).start()
        await asyncio.sleep(1)
        return now_s(), ended.is_set()

    assert run_virtual(main()) == (1.0, True)


def test_hanging_job_beyond_its_timeout_lets_time_continue():
    gate = threading.Event()

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.45):
                await asyncio.to_thread(gate.wait, 30)
        at_s = now_s()
        gate.set()
        await asyncio.sleep(1)
        return at_s

    assert run_virtual(main(), job_timeout_s=0.05) == pytest.approx(0.45)


def test_timeout_of_a_sleep_fires_at_its_virtual_moment():
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await asyncio.sleep(100)
        return now_s()

    assert run_virtual(main()) == 1.5


def test_exception_in_a_task_group_cancels_the_others_at_once():
    async def main() -> float:
        async def fail() -> None:
            await asyncio.sleep(0.25)
            raise ValueError

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                group.create_task(asyncio.sleep(1000))

        with pytest.raises(ExceptionGroup):
            await both()
        return now_s()

    assert run_virtual(main()) == 0.25


def test_exception_of_main_reaches_the_caller():
    async def main() -> None:
        await asyncio.sleep(1)
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        run_virtual(main())


def test_call_from_a_foreign_thread_arrives():
    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, "hello"))
        thread.start()
        word = await future  # nothing is timed, so the loop waits for real
        thread.join()
        return word

    assert run_virtual(main()) == "hello"


def test_hold_keeps_time_for_a_foreign_thread():
    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        future: asyncio.Future[float] = loop.create_future()
        sleeper = asyncio.create_task(asyncio.sleep(5))
        with loop.hold():
            threading.Timer(0.03, lambda: loop.call_soon_threadsafe(future.set_result, 0.0)).start()
            await future
            at_s = now_s()
        await sleeper
        return at_s

    assert run_virtual(main()) == 0.0


@pytest.mark.parametrize("idle", [True, False], ids=["waiting for nothing timed", "in a busy timeline"])
def test_sigint_cancels_main(idle: bool):
    cleaned: list[float] = []

    async def main() -> None:
        pid, loop = os.getpid(), asyncio.get_running_loop()
        try:
            if idle:
                threading.Timer(0.02, os.kill, (pid, signal.SIGINT)).start()
                await loop.create_future()
            loop.call_later(10, os.kill, pid, signal.SIGINT)
            while True:  # noqa: ASYNC110 - a timeline that is never idle is the point
                await asyncio.sleep(0.05)
        finally:
            cleaned.append(now_s())

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main())
    assert len(cleaned) == 1
    assert idle or cleaned[0] == pytest.approx(10, abs=0.06)


def test_signal_handler_of_the_loop_is_called():
    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, future.set_result, "term")
        loop.call_later(1, os.kill, os.getpid(), signal.SIGTERM)
        try:
            return await future
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    assert run_virtual(main()) == "term"


def test_ten_thousand_sleeps_end_at_the_exact_sum():
    async def main() -> float:
        for _ in range(10_000):
            await asyncio.sleep(0.1)
        return now_s()

    assert run_virtual(main()) == pytest.approx(1000, abs=1e-6)


def test_debug_mode_works():
    async def main() -> float:
        await asyncio.to_thread(int, "3")
        await asyncio.sleep(0.5)
        return now_s()

    assert run_virtual(main(), debug=True) == 0.5


def test_run_leaves_no_thread_behind():
    before = threading.active_count()

    async def main() -> None:
        await asyncio.to_thread(int, "3")

    run_virtual(main())
    assert threading.active_count() == before
