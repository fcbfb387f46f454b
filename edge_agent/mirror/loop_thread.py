"""An event loop in a thread of its own, for clients whose tasks and waits are nobody else's concern.

Knows threads and loops. Knows nothing of what runs there. The thread is a daemon: a loop that does not end does not
keep the process from ending.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

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
