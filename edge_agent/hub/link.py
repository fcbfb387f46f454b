"""Connects, and connects again for ever: pauses that grow to a limit and are spread by chance.

Knows when to try. Knows nothing of how a link is made or what it carries.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from edge_agent.errors import RetryableError


def pause_s(failures: int, initial_s: float, longest_s: float, chance: float) -> float:
    """Return how long to wait before the next attempt, after so many failures in a row, in seconds; 0 after none.

    Doubles from `initial_s` up to `longest_s`, and is spread over its upper half by `chance` (0..1), so that several
    agents that lost the same thing do not all come back at once.
    """
    if failures == 0:
        return 0.0
    whole_s = min(longest_s, initial_s * 2.0 ** min(failures - 1, 30))
    return whole_s * (0.5 + 0.5 * chance)


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
    failures = 0
    while True:
        began_s = loop.time()
        try:
            await attempt()
            lived = loop.time() - began_s >= initial_s
            failures = 0 if lived else failures + 1
        except RetryableError as error:
            failures += 1
            failed(error)
        await asyncio.sleep(pause_s(failures, initial_s, longest_s, chance()))
