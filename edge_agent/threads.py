"""Blocking work in a thread that nobody waits for when the process ends.

Knows threads and loops. Knows nothing of the work. `asyncio.to_thread` will not do where the work may hang: the loop
joins its threads when it closes, and the interpreter when it exits.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


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
