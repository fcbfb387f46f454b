"""An event loop in a daemon thread of its own, whose helpers are daemons too: nothing in it holds the process's end.

Knows threads. Knows nothing of MQTT. aiomqtt connects in the loop's default executor, where a name server that does
not answer blocks for half a minute; Python waits for the threads of an ordinary executor before it exits.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import structlog

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)


class DaemonExecutor(ThreadPoolExecutor):
    """Does each job in a daemon thread of its own. An executor by name: asyncio takes no other kind."""

    def __init__(self, name: str) -> None:
        super().__init__(1)
        self._name = name

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a job."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return future


class LoopThread:
    """Runs one coroutine in an event loop and a thread of its own.

    Args:
        name: of the thread.
        main: makes the coroutine; called in the thread.
        ended: is called in the thread when it is over.
    """

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], None]) -> None:
        self._name = name
        self._main = main
        self._ended = ended
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(DaemonExecutor(f"{name}-helper"))
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have `function` called in the thread's loop; nothing happens once that has ended. From any thread."""
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._loop.call_soon_threadsafe(function, *arguments)

    def cancel(self) -> None:
        """Cancel the coroutine. From any thread; returns at once."""
        self.call(self._cancel)

    def alive(self) -> bool:
        """Tell whether the thread is still at work."""
        return self._thread.is_alive()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._main(), name=self._name)
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception:  # noqa: BLE001 - a fault of ours must be told; it must not end the train's drive
            _log.exception("the thread has failed", thread=self._name)
        finally:
            self._wind_up()

    def _wind_up(self) -> None:
        """Cancel what is left behind, then close the loop; what does not let itself be cancelled is given up."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=0.2))
        self._loop.close()
        self._ended()
