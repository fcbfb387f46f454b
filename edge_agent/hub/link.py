"""Connects, and connects again for ever: pauses that grow to a limit and are spread by chance.

Knows when to try again. Knows nothing of how a link is made or what it carries.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from edge_agent.backoff import Backoff
from edge_agent.errors import RetryableError


async def keep_linked(
    attempt: Callable[[], Awaitable[None]],
    *,
    initial_s: float,
    longest_s: float,
    failed: Callable[[RetryableError], None],
    chance: Callable[[], float] = random.random,
) -> None:
    """Await `attempt` again and again until cancelled.

    `attempt` returns after a link that had come up was lost: the next one follows at once, unless the link lived for
    less than `initial_s`. It raises RetryableError when none came up: `failed` is told. Then a pause follows.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff(longest_s, initial_s, chance)
    while True:
        began_s, lived = loop.time(), False
        try:
            await attempt()
            lived = loop.time() - began_s >= initial_s
        except RetryableError as error:
            failed(error)
        if lived:
            backoff.reset()
        await asyncio.sleep(0.0 if lived else backoff.next_s())
