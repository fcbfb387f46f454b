"""A time limit that holds even where the awaited call goes on waiting while it is being cancelled.

`asyncio.timeout` cancels once, then waits for as long as the call takes to end. A call to a Bluetooth daemon that has
stopped answering first tries to disconnect, which waits too. Knows nothing of Bluetooth.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from edge_agent.errors import RetryableError

T = TypeVar("T")

GRACE_S = 0.1
"""How long a cancelled call may clean up before it is cancelled again."""

CANCELS = 3
"""After so many cancels a call is left behind; it ends when what it waits for does."""


class TimeLimitError(RetryableError):
    """A call took longer than it may."""


async def bounded(call: Coroutine[Any, Any, T], limit_s: float, what: str) -> T:
    """Await a call for `limit_s` seconds at most (and 3 x 0.1 s of clean-up); raises TimeLimitError.

    `what` is the call in words, for the error. Cancelling the caller cancels the call in the same bounded way.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        await _end(task)
        raise
    if not task.done():
        await _end(task)
        if not task.done() or task.cancelled():
            raise TimeLimitError(f"{what} took longer than {limit_s:g} s", code="timeout")
    return task.result()


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel until it has ended, or give up on it; whatever it still raises is nobody's business any more."""
    task.add_done_callback(_look_away)
    for _ in range(CANCELS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_S)


def _look_away(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
