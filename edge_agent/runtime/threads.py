"""Blocking work in threads that nobody waits for when the process ends.

Knows threads and loops. Knows nothing of the work. `asyncio.to_thread` will not do where the work may hang: the loop
joins its threads when it closes, and the interpreter when it exits.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

import structlog

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class WorkerThread:
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


_log = structlog.get_logger(__name__)


class LoopThread:
    """Runs one coroutine to its end.

    Args:
        name: of the thread.
        main: makes the coroutine.
        failed: is called in the thread when the coroutine ends with an exception.
    """

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[], None]) -> None:
        self._name = name
        self._main = main
        self._failed = failed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def call(self, function: Callable[[], object]) -> None:
        """Have `function` called in the loop. From any thread; nothing happens before the start and after the end."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(function)

    def cancel(self) -> None:
        """Cancel the coroutine. From any thread."""
        self.call(self._cancel)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it takes longer, True also when it was never started."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        loop = self._loop
        if loop is None:
            return
        loop.set_exception_handler(_note)
        try:
            loop.run_until_complete(self._wrapped())
        except Exception:  # noqa: BLE001 - a fault of ours must be told; it must not end the train's drive
            _log.exception("a thread of the mirror has failed", thread=self._name)
            self._failed()
        finally:
            loop.close()

    async def _wrapped(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._main()
        except asyncio.CancelledError:
            return


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note what a client that was given up still has to say: its failure has been told already."""
    _log.debug("left behind in a thread of the mirror", what=context.get("message"), error=context.get("exception"))
