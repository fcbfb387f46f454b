"""Daemon threads for blocking work and for event loops of their own; they do not delay the end of the process.

`asyncio.to_thread` is no substitute where the work may hang: the loop joins its threads when it closes, and the
interpreter when it exits.
"""

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

import structlog

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = structlog.get_logger(__name__)


class WorkerThread:
    """One daemon thread that executes calls in the order in which they were submitted; it starts with the first.

    An executor would do the same at twice the cost to the loop, and each frame goes through one.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._started = False

    async def submit(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Execute `work`; return its result or raise its exception. Cancelling does not stop the work.

        A simulated clock stands still meanwhile.
        """
        loop = asyncio.get_running_loop()
        result, call = _resolving(loop, functools.partial(work, *args))
        self.post(call)
        with getattr(loop, "hold", contextlib.nullcontext)():
            return await result

    def post(self, work: Callable[[], None]) -> None:
        """Enqueue `work`, which must not raise; from any thread, without waiting."""
        if not self._started:
            self._started = True
            self._thread.start()
        self._calls.put(work)

    def close(self) -> None:
        """End the thread after the calls that are enqueued; does not wait."""
        self._calls.put(None)

    def join(self) -> None:
        """Wait for the end, after `close`. Blocks."""
        if self._started:
            self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


async def in_daemon_thread(work: Callable[[], T], name: str) -> T:
    """Execute blocking `work` in a daemon thread called `name`; return its result or raise its exception.

    Cancelling does not stop the work; its result is discarded.
    """
    result, call = _resolving(asyncio.get_running_loop(), work)
    threading.Thread(target=call, name=name, daemon=True).start()
    return await result


def _resolving(
    loop: asyncio.AbstractEventLoop, work: Callable[[], T]
) -> "tuple[asyncio.Future[T], Callable[[], None]]":
    """Return a future of the loop, and the call for another thread that does the work and resolves it."""
    result: asyncio.Future[T] = loop.create_future()

    def call() -> None:
        try:
            resolve, outcome = result.set_result, work()
        except BaseException as error:  # noqa: BLE001 - raised in the task that waits
            resolve, outcome = result.set_exception, error  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_resolve, result, resolve, outcome)

    return result, call


def _resolve(result: "asyncio.Future[T]", resolve: Callable[[T], None], outcome: T) -> None:
    if not result.done():
        resolve(outcome)


class LoopThread:
    """A daemon thread whose event loop runs one coroutine to its end.

    Args:
        failed: called in the thread when the coroutine ends with an exception.
    """

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[], None]) -> None:
        self._name = name
        self._main = main
        self._failed = failed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def call(self, function: Callable[[], object]) -> None:
        """Call `function` in the loop; from any thread. Does nothing before the start and after the end."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(function)

    def cancel(self) -> None:
        """Cancel the coroutine; from any thread."""
        self.call(self._cancel)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; return false when it takes longer. A thread that was never started has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        loop = self._loop
        if loop is None:
            return
        loop.set_exception_handler(_log_abandoned)
        try:
            loop.run_until_complete(self._wrapped())
        except Exception:  # noqa: BLE001 - a defect here must not end the train's drive
            _log.exception("a thread of the mirror has failed", thread=self._name)
            self._failed()
        finally:
            loop.close()

    async def _wrapped(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._main()
        except asyncio.CancelledError as error:
            if not self._cancelled:  # a client library has cancelled itself, and us with it
                raise RuntimeError("cancelled by nobody") from error


def _log_abandoned(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A client that was given up has failed, which has been reported; what it leaves behind is worth a debug line.
    _log.debug("left behind in a thread of the mirror", what=context.get("message"), error=context.get("exception"))
