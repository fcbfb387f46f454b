"""The watchdog: when it brakes, how often, and that its thread survives errors of the brake."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from edge_agent.control.watchdog import StallDetector, Watchdog
from edge_agent.errors import RetryableError


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def watched(brake: Callable[[], None]) -> tuple[Watchdog, Clock]:
    clock = Clock()
    return Watchdog(0.2, brake=brake, clock=clock), clock


def test_no_beat_yet_never_brakes() -> None:
    brakes: list[int] = []
    watchdog, clock = watched(lambda: brakes.append(1))
    clock.now_s += 60
    watchdog.check()
    assert (brakes, watchdog.stalls()) == ([], 0)


def test_loop_that_beats_in_time_is_left_alone() -> None:
    brakes: list[int] = []
    watchdog, clock = watched(lambda: brakes.append(1))
    for _ in range(50):
        watchdog.beat()
        clock.now_s += 0.19
        watchdog.check()
    assert brakes == []


def test_stalled_loop_is_braked_and_counted_once_per_stall() -> None:
    brakes: list[int] = []
    watchdog, clock = watched(lambda: brakes.append(1))
    for stall in (1, 2):
        watchdog.beat()
        watchdog.check()
        clock.now_s += 0.21
        watchdog.check()
        assert (len(brakes), watchdog.stalls()) == (stall, stall)


def test_stall_that_goes_on_is_braked_again_after_each_limit_but_counted_once() -> None:
    brakes: list[float] = []
    clock = Clock()
    watchdog = Watchdog(0.25, brake=lambda: brakes.append(clock.now_s - 100), clock=clock)
    watchdog.beat()
    for _ in range(16):
        clock.now_s += 0.0625  # exact in binary
        watchdog.check()
    assert brakes == [0.3125, 0.5625, 0.8125]
    assert watchdog.stalls() == 1


@pytest.mark.parametrize("first", ["thread", "beat", "reader"])
def test_pause_of_the_whole_process_is_counted_once_whoever_notices_it_first(first: str) -> None:
    """After SIGCONT the loop and the thread race: the loop may beat before the thread has looked."""
    brakes: list[int] = []
    watchdog, clock = watched(lambda: brakes.append(1))
    looks: dict[str, Callable[[], object]] = {
        "thread": watchdog.check,
        "beat": watchdog.beat,
        "reader": watchdog.stalls,
    }
    for pause in (1, 2):
        watchdog.beat()
        clock.now_s += 1.0
        looks[first]()
        assert watchdog.stalls() == pause
        for look in looks.values():
            look()
        assert watchdog.stalls() == pause
    assert len(brakes) == (0 if first == "beat" else 2)


def test_beat_tells_whether_it_comes_too_late() -> None:
    watchdog, clock = watched(lambda: None)
    late = []
    for gap_s in (0.0, 0.1875, 0.25, 0.1875):
        clock.now_s += gap_s
        late.append(watchdog.beat())
    assert late == [False, False, True, False]


@pytest.mark.parametrize("error", [RetryableError("no link"), OSError("bus gone")])
def test_brake_that_fails_is_counted_and_tried_again(error: Exception) -> None:
    def brake() -> None:
        raise error

    watchdog, clock = watched(brake)
    watchdog.beat()
    for _ in range(2):
        clock.now_s += 0.3
        watchdog.check()
    assert (watchdog.failures, watchdog.stalls()) == (2, 1)


@pytest.mark.parametrize("limit_s", [0.0, -1.0, float("nan")])
def test_limit_that_is_not_positive_is_refused(limit_s: float) -> None:
    with pytest.raises(ValueError, match="limit_s"):
        StallDetector(limit_s)


async def test_loop_blocked_by_a_call_is_braked_from_the_thread() -> None:
    braked, before = threading.Event(), set(threading.enumerate())
    with Watchdog(0.05, brake=braked.set) as watchdog:
        watchdog.beat()
        await asyncio.sleep(0)
        assert braked.wait(10), "the loop stood still here and nobody braked"
        (ours,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "watchdog")
    ours.join(10)
    assert not ours.is_alive()


def test_brake_that_hangs_does_not_hold_up_leaving() -> None:
    release = threading.Event()
    entered = threading.Event()

    def brake() -> None:
        entered.set()
        release.wait(30)

    clock = Clock()
    with Watchdog(0.01, brake=brake, clock=clock) as watchdog:
        watchdog.beat()
        clock.now_s += 1
        assert entered.wait(10)
    left_behind = [thread for thread in threading.enumerate() if thread.name == "watchdog"]
    release.set()
    assert len(left_behind) == 1
    left_behind[0].join(10)
