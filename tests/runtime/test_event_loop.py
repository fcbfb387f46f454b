"""A loop with punctual timers fires them neither early nor late, and closes its file descriptors."""

import asyncio
import contextlib
import os
import selectors
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.runtime import event_loop as loop
from edge_agent.runtime.event_loop import PunctualSelector, TimerFd, new_loop


@pytest.fixture
def selector() -> Iterator[PunctualSelector]:
    with contextlib.closing(PunctualSelector()) as made:
        yield made


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_timers_come_in_order_and_never_too_early() -> None:
    async def main() -> list[float]:
        clock, early = asyncio.get_running_loop().time, []

        async def wait(seconds: float) -> None:
            due_s = clock() + seconds
            await asyncio.sleep(seconds)
            early.append(due_s - clock())

        await asyncio.gather(*(wait(number / 3000) for number in range(12)))
        return early

    assert all(seconds <= 0 for seconds in loop.run(main()))


def test_timers_are_less_late_than_asyncios_own_after_something_else_has_happened() -> None:
    """A wait that is cut short and goes on is rounded up to a whole millisecond by epoll."""

    async def main() -> float:
        late = []
        for _ in range(40):
            running = asyncio.get_running_loop()
            due_s = running.time() + 0.004
            timer = asyncio.ensure_future(asyncio.sleep(0.004))
            await asyncio.sleep(0.0035)  # leaves half a millisecond, which epoll cannot wait for
            await timer
            late.append(running.time() - due_s)
        return sorted(late)[len(late) // 2]

    assert loop.run(main()) < asyncio.run(main())


def test_selector_returns_what_can_be_read_and_not_its_own_timer(
    selector: PunctualSelector, pipe: tuple[int, int]
) -> None:
    key = selector.register(pipe[0], selectors.EVENT_READ, "data")
    assert selector.select(0.001) == []
    os.write(pipe[1], b"x")
    assert selector.select(10) == [(key, selectors.EVENT_READ)]
    time.sleep(0.002)
    os.read(pipe[0], 1)
    assert selector.select(0) == []


def test_alarm_that_rings_after_the_wait_does_not_end_the_next_one(
    selector: PunctualSelector, pipe: tuple[int, int]
) -> None:
    selector.register(pipe[0], selectors.EVENT_READ)
    os.write(pipe[1], b"x")
    assert selector.select(0.001)  # ready at once, with the alarm still set
    os.read(pipe[0], 1)
    began_s = time.monotonic()
    while time.monotonic() - began_s < 0.05:
        assert selector.select(0.05) == []
    assert time.monotonic() - began_s >= 0.05


def test_closed_loop_gives_its_file_descriptors_back() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        new_loop().close()
        TimerFd().close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_loop_watches_file_descriptors_and_threads_and_children() -> None:
    async def main() -> tuple[str, bytes]:
        child = await asyncio.create_subprocess_exec("echo", "well", stdout=asyncio.subprocess.PIPE)
        out, _ = await child.communicate()
        return await asyncio.to_thread(lambda: "well"), out

    assert loop.run(main()) == ("well", b"well\n")


def test_system_without_such_timers_gets_an_ordinary_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_to_give(self: TimerFd) -> None:
        raise OSError("this system has no timerfd")

    monkeypatch.setattr(TimerFd, "__init__", none_to_give)

    async def main() -> str:
        await asyncio.sleep(0.001)
        return "well"

    assert loop.run(main()) == "well"
