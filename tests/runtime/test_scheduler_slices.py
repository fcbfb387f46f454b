"""A thread that asks for short scheduler slices gets them, keeps its priority, and does not change other threads."""

import os
import platform
import threading
from collections.abc import Callable

import pytest

from edge_agent.runtime import event_loop
from edge_agent.runtime.event_loop import SLICE_NS, request_short_slices, slice_ns


def in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_thread_that_asks_has_short_slices_and_the_same_priority() -> None:
    seen: list[object] = []

    def work() -> None:
        before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        seen.append(request_short_slices())
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before)
        seen.append(slice_ns())

    in_thread(work)
    if not seen[0]:
        pytest.skip("this kernel, or its guard, does not let threads choose their slices")
    assert seen[1]
    if tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 12):
        assert seen[2] == SLICE_NS


def test_other_threads_keep_theirs() -> None:
    before = slice_ns()
    in_thread(lambda: bool(request_short_slices()) and None)
    assert slice_ns() == before


def test_unknown_machine_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop.platform, "machine", lambda: "riscv64")
    assert not request_short_slices()
    assert slice_ns() is None


def test_thread_in_real_time_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real_time = event_loop._SchedAttr(policy=os.SCHED_FIFO)
    monkeypatch.setattr(event_loop, "_attributes", lambda: real_time)
    assert not request_short_slices()
