"""Writes that end: each attempt in limited time, a few attempts, and then the link is given up.

Knows how long writes may fail. Knows nothing of what is written.
"""

import asyncio
from collections.abc import Awaitable, Callable

from edge_agent.errors import RetryableError
from edge_agent.hub.bounded import TimeLimitError, bounded
from edge_agent.hub.problems import LINK, LINK_ERRORS, explain, is_gone, problem

ATTEMPTS = 3
"""A write is sent, and sent again twice; then the link is dropped: with 120 ms each, after 360 ms."""

PAUSE_S = 0.02
"""Between an attempt that was refused (rather than timed out) and the next."""


def always() -> bool:
    """Go on with a write whatever happens meanwhile."""
    return True


class Writer:
    """Sends bytes over one link.

    Args:
        send: one attempt; may hang.
        limit_s: time limit of one attempt.
        give_up: called with a reason when the last attempt has failed, or the other end is gone.

    Writes that are cancelled by newer ones count too: the link is given up when for `ATTEMPTS` x `limit_s` some write
    was under way and none was taken.
    """

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], limit_s: float, give_up: Callable[[str], None]
    ) -> None:
        self._send = send
        self._limit_s = limit_s
        self._give_up = give_up
        self._stuck_since_s: float | None = None
        self._tried_s = 0.0

    async def write(self, data: bytes, still: Callable[[], bool] = always) -> None:
        """Send; returns when the stack below has taken it.

        Raises RetryableError when the link was given up for it, and says what to do where BlueZ has told why. `still`
        is asked before each attempt: where it says no, the write is out of date, and RetryableError tells so.
        """
        why: RetryableError = problem(LINK)
        for _ in range(ATTEMPTS):
            if not still():
                raise RetryableError("The write is out of date", remedy="nothing to do")
            left_s = self._begin()
            if left_s <= 0:
                break
            try:
                await bounded(self._attempt(data), min(self._limit_s, left_s), "Writing to the hub")
            except TimeLimitError:
                pass  # the next attempt follows at once
            except LINK_ERRORS as error:
                why = explain(error)
                if is_gone(error):
                    break
                await asyncio.sleep(PAUSE_S)
            else:
                self._stuck_since_s = None
                return
            finally:
                self._tried_s = asyncio.get_running_loop().time()
        self._give_up("writes to the hub fail")
        raise why

    def _begin(self) -> float:
        """Note the start of an attempt; return how long attempts may go on failing, in seconds."""
        now_s = asyncio.get_running_loop().time()
        if self._stuck_since_s is None or now_s - self._tried_s > self._limit_s:
            self._stuck_since_s = now_s
        self._tried_s = now_s
        return self._stuck_since_s + ATTEMPTS * self._limit_s - now_s

    async def _attempt(self, data: bytes) -> None:
        await self._send(data)
