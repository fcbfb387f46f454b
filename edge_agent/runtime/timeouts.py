"""Calls of other people's coroutines that come back in time, whatever the coroutine does.

Knows asyncio. Knows nothing of what is called. Meant for an event loop of its own: what does not end is cancelled and
left behind, with everything it had started.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from edge_agent.errors import RetryableError

T = TypeVar("T")


async def with_timeout(work: "Coroutine[Any, Any, T] | asyncio.Future[T]", timeout_s: float) -> T:
    """Return what comes of it, or raise TimeoutError after `timeout_s` without waiting for it to be cancelled.

    `asyncio.wait_for` would wait for that, for ever where the coroutine does not let itself be cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        cancel_and_forget(task)
        raise TimeoutError
    return task.result()


def cancel_and_forget(task: "asyncio.Future[Any]") -> None:
    """Cancel a task and forget it; what it still has to say goes nowhere."""
    task.add_done_callback(_retrieve_exception)
    task.cancel()


async def close_client(
    calls: Iterable[Callable[[], Coroutine[Any, Any, Any]]], before: "set[asyncio.Task[Any]]", timeout_s: float
) -> None:
    """End a client of other people's making: by the first call that works, and by cancelling what it had started.

    `before` are the tasks that ran before the client was made. Takes `timeout_s` for each call and once more.
    """
    for call in calls:
        with contextlib.suppress(Exception):
            await with_timeout(call(), timeout_s)
            break
    await cancel_all(asyncio.all_tasks() - before - {asyncio.current_task()}, timeout_s)


async def cancel_all(tasks: Iterable["asyncio.Task[Any]"], timeout_s: float) -> int:
    """Cancel tasks and give them `timeout_s` to end; return how many did not."""
    left = set(tasks)
    for task in left:
        cancel_and_forget(task)
    if not left:
        return 0
    _, pending = await asyncio.wait(left, timeout=timeout_s)
    return len(pending)


def _retrieve_exception(task: "asyncio.Future[Any]") -> None:
    """Take a task's exception, so that nobody complains that it was never heard."""
    if not task.cancelled():
        task.exception()


GRACE_S = 0.1
"""How long a cancelled call may clean up before it is cancelled again."""

CANCELS = 3
"""After so many cancels a call is left behind; it ends when what it waits for does."""


class TimeLimitError(RetryableError):
    """A call took longer than it may."""


async def finish_within(call: Coroutine[Any, Any, T], limit_s: float, what: str) -> T:
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
    task.add_done_callback(_discard_result)
    for _ in range(CANCELS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_S)


def _discard_result(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
