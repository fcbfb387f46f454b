"""An asyncio event loop in virtual time: when nothing is ready to run, time jumps to the next timer.

A run takes only as long as its computation, and its timers fire in the same order each time. While a thread started by
`run_in_executor` or `asyncio.to_thread` works, time stands still, so the result does not depend on the machine's speed.
Sockets are polled, but time does not wait for them: not for real network traffic.
"""

import asyncio
import concurrent.futures
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple, Unpack

from edge_agent.runtime.event_loop import Ready

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _TimeJump(selectors.DefaultSelector):
    """Polls without blocking, and advances the clock when nothing is ready."""

    def __init__(self, now_s: float, job_timeout_s: float | None) -> None:
        super().__init__()
        self._job_timeout_s = job_timeout_s
        self.now_s = now_s
        self.jobs: set[object] = set()

    def select(self, timeout: float | None = None) -> Ready:
        """Wait `timeout` virtual seconds; in real time while a job runs or when there is no timer."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.jobs:
            ready = self._wait_for_jobs(timeout is not None)
            if ready or timeout is None:
                return ready
        if timeout is None:
            return super().select(None)  # only a signal or another thread can end this
        self.now_s += timeout
        return []

    def _wait_for_jobs(self, timed: bool) -> Ready:
        """Wait for a job to finish; after the job timeout, time no longer waits for it."""
        began_s = time.monotonic()
        ready = super().select(self._job_timeout_s if timed else None)
        if ready or self._job_timeout_s is None or time.monotonic() - began_s < self._job_timeout_s:
            return ready
        self.jobs.clear()
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at `start_s` and jumps from timer to timer.

    Args:
        start_s: initial value of `time()`.
        job_timeout_s: real seconds that time waits for a job in a thread (for tests of hanging jobs); None waits
            forever.
    """

    def __init__(self, start_s: float = 0.0, job_timeout_s: float | None = None) -> None:
        self._jump = _TimeJump(start_s, job_timeout_s)
        super().__init__(self._jump)
        self._threads: concurrent.futures.Executor | None = None

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jump.now_s

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep time from advancing, for work in threads unknown to the loop."""
        job = object()
        self._jump.jobs.add(job)
        try:
            yield
        finally:
            self._jump.jobs.discard(job)

    def set_default_executor(self, executor: concurrent.futures.Executor) -> None:
        """Use `executor`, a ThreadPoolExecutor, for jobs that name none."""
        super().set_default_executor(executor)  # type: ignore[arg-type]  # the stub asks for the one class it accepts
        self._threads = executor

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` in a thread; virtual time stands still until its result has reached the loop."""
        if executor is None:
            executor = self._default_threads()
        job = executor.submit(func, *args)
        self._jump.jobs.add(job)
        future = asyncio.wrap_future(job, loop=self)
        # Added after wrap_future's own callback, so the result is queued before time may continue.
        job.add_done_callback(self._release)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's own
        """Join the threads; the timeout is virtual and therefore never expires."""
        del timeout
        with self.hold():
            await super().shutdown_default_executor()

    def _default_threads(self) -> concurrent.futures.Executor:
        if self._threads is None:
            self.set_default_executor(concurrent.futures.ThreadPoolExecutor(thread_name_prefix="virtual"))
        assert self._threads is not None  # noqa: S101 - for the type checker
        return self._threads

    def _release(self, job: "concurrent.futures.Future[Any]") -> None:
        """Let time continue; called in the worker thread."""
        try:
            self.call_soon_threadsafe(self._jump.jobs.discard, job)
        except RuntimeError:
            if not self.is_closed():
                raise


def run_virtual(
    main: Coroutine[Any, Any, T], *, start_s: float = 0.0, job_timeout_s: float | None = None, debug: bool | None = None
) -> T:
    """Run `main` on a fresh virtual-time loop, as `asyncio.run` would, and return its result.

    SIGINT cancels `main` and then raises KeyboardInterrupt, as with `asyncio.run`.
    """
    with asyncio.Runner(debug=debug, loop_factory=lambda: VirtualTimeLoop(start_s, job_timeout_s)) as runner:
        return runner.run(main)
