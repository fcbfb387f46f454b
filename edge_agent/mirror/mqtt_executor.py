"""An executor whose threads hold nobody's end.

Knows threads. Knows nothing of what is done in them. aiomqtt connects in the loop's default executor, where a name
server that does not answer blocks for half a minute, and Python waits for an ordinary executor's threads before it
exits.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(ThreadPoolExecutor):
    """Does each job in a daemon thread of its own. A pool by name only: asyncio takes no other default executor."""

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
