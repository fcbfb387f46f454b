"""Blocking work in threads that nobody waits for when the process ends.

Knows threads and loops. Knows nothing of the work. `asyncio.to_thread` will not do where the work may hang: the loop
joins its threads when it closes, and the interpreter when it exits.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Lane:
    """One daemon thread that does what it is asked in the order in which it is asked.

    What an executor does, at half its price to the loop: each frame goes through one. It starts with the first call.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._started = False

    async def ask(self, work: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        """Have `work` done; return its result or raise its exception. Cancelling leaves the work to itself.

        A simulated clock stands still meanwhile.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            try:
                settle, outcome = answer.set_result, work(*words)
            except BaseException as error:  # noqa: BLE001 - carried to whoever waits, and raised there
                settle, outcome = answer.set_exception, error  # type: ignore[assignment]
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, answer, settle, outcome)

        self.tell(call)
        with getattr(loop, "hold", contextlib.nullcontext)():
            return await answer

    def tell(self, work: Callable[[], None]) -> None:
        """Have `work`, which raises nothing, done by and by; from any thread."""
        if not self._started:
            self._started = True
            self._thread.start()
        self._calls.put(work)

    def close(self) -> None:
        """Let the thread end after what it has been asked so far; waits for nothing."""
        self._calls.put(None)

    def join(self) -> None:
        """Wait for the end, after `close`. Blocks."""
        if self._started:
            self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _settle(answer: "asyncio.Future[T]", settle: Callable[[T], None], outcome: T) -> None:
    if not answer.done():
        settle(outcome)


async def in_daemon_thread(work: Callable[[], T], name: str) -> T:
    """Run blocking `work` in a daemon thread called `name`; return its result or raise its exception.

    Cancelling leaves the work to itself: its result goes nowhere.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # one of the two is given

    def body() -> None:
        result, caught = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - carried to the waiting task and raised there
            caught = error
        try:
            loop.call_soon_threadsafe(settle, result, caught)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    threading.Thread(target=body, name=name, daemon=True).start()
    return await answer
