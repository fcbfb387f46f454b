"""A thread that asks for short turns gets them, keeps its priority, and leaves other threads alone."""

import os
import platform
import threading
from collections.abc import Callable

import pytest

from edge_agent.runtime import event_loop as promptness
from edge_agent.runtime.event_loop import SLICE_NS, request_short_slices, slice_ns


def in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_thread_that_asks_has_short_turns_and_the_same_priority() -> None:
    told: list[object] = []

    def work() -> None:
        before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        told.append(request_short_slices())
        told.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before)
        told.append(slice_ns())

    in_thread(work)
    if not told[0]:
        pytest.skip("this kernel, or its guard, does not let threads choose their turns")
    assert told[1]
    if tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 12):
        assert told[2] == SLICE_NS


def test_other_threads_keep_theirs() -> None:
    before = slice_ns()
    in_thread(lambda: bool(request_short_slices()) and None)
    assert slice_ns() == before


def test_machine_that_is_not_known_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promptness.platform, "machine", lambda: "riscv64")
    assert not request_short_slices()
    assert slice_ns() is None


def test_thread_in_real_time_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real_time = promptness._Attributes(policy=os.SCHED_FIFO)
    monkeypatch.setattr(promptness, "_attributes", lambda: real_time)
    assert not request_short_slices()
