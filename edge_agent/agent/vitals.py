"""The process's own health: how late the loop is, how much memory it holds.

Knows Linux's /proc. Knows nothing of trains.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.flow import pace
from edge_agent.promptness import wake_promptly
from edge_agent.report import Tally

LAG_PERIOD_S = 0.04
"""A fifth of the shortest stall that the watchdog acts on; each look wakes the process, which costs."""

MEMORY_PERIOD_S = 10.0


async def watch_loop(
    measures: Sequence[Callable[[float], None]], beat: Callable[[], None], clock: Callable[[], float]
) -> None:
    """Tell all `measures` how late a sleeping task wakes, in seconds, and beat for the watchdog, until cancelled.

    Begin it when the run's threads have been started: from then on the loop wakes before them.
    """
    wake_promptly()
    while True:
        due_s = clock() + LAG_PERIOD_S
        await asyncio.sleep(LAG_PERIOD_S)
        lag_s = max(0.0, clock() - due_s)
        for measure in measures:
            measure(lag_s)
        beat()


async def watch_memory(tally: Tally, clock: Callable[[], float]) -> None:
    """Note the resident memory until cancelled."""
    async for tick in pace(MEMORY_PERIOD_S, clock):
        tally.memory(resident_mib(), tick.due_s)


def resident_mib() -> float:
    """Return the resident set size in MiB; 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
