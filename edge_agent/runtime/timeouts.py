"""Time limits for coroutines of client libraries, which hold whatever the coroutine does.

`asyncio.wait_for` waits until a call that is cancelled has ended, forever where it ignores its cancellation. Here such
a call is left behind, so these functions belong in an event loop in which a leftover task does no harm.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from edge_agent.errors import RetryableError

T = TypeVar("T")

GRACE_S = 0.1
"""A cancelled call may clean up for so long before it is cancelled again."""

CANCELS = 3
"""A call that ignores so many cancellations is left behind."""


async def with_timeout(work: "Coroutine[Any, Any, T] | asyncio.Future[T]", timeout_s: float) -> T:
    """Return the result, or cancel after `timeout_s` and raise TimeoutError at once.

    It is raised too where the call was cancelled from within: CancelledError would end the caller.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        cancel_and_forget(task)
    if not done or task.cancelled():
        raise TimeoutError
    return task.result()


def cancel_and_forget(task: "asyncio.Future[Any]") -> None:
    """Cancel a task; its exception, if any, is not logged."""
    task.add_done_callback(_retrieve_exception)
    task.cancel()


async def close_client(
    calls: Iterable[Callable[[], Coroutine[Any, Any, Any]]], before: "set[asyncio.Task[Any]]", timeout_s: float
) -> None:
    """Close a client by the first call that succeeds, then cancel the tasks that it had started.

    `before` are the tasks that existed before the client. Takes `timeout_s` for each call and once more.
    """
    for call in calls:
        with contextlib.suppress(Exception):
            await with_timeout(call(), timeout_s)
            break
    await cancel_all(asyncio.all_tasks() - before - {asyncio.current_task()}, timeout_s)


async def cancel_all(tasks: Iterable["asyncio.Task[Any]"], timeout_s: float) -> int:
    """Cancel tasks and wait for `timeout_s` until they end; return how many did not."""
    left = set(tasks)
    for task in left:
        cancel_and_forget(task)
    if not left:
        return 0
    _, pending = await asyncio.wait(left, timeout=timeout_s)
    return len(pending)


class TimeLimitError(RetryableError):
    """A call took longer than it may."""


async def finish_within(call: Coroutine[Any, Any, T], limit_s: float, what: str) -> T:
    """Await a call for `limit_s` seconds at most (and 3 x 0.1 s of clean-up); raises TimeLimitError.

    `what` names the call in the error. Cancelling the caller cancels the call in the same bounded way.
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
    """Cancel until the task has ended, CANCELS times at most."""
    task.add_done_callback(_retrieve_exception)
    for _ in range(CANCELS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_S)


def _retrieve_exception(task: "asyncio.Future[Any]") -> None:
    # asyncio logs exceptions that nobody has retrieved.
    if not task.cancelled():
        task.exception()
