"""Attacks on the console of a train, over real sockets."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.console.access import MAX_FAILURES
from tests.browser.dry_run import DryRun
from tests.chaos.trial import Trial
from tests.support.http import call

STOP_MS = 200.0


@asynccontextmanager
async def running(**settings: str) -> AsyncIterator[DryRun]:
    """Run a simulated train with a console, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        train = await DryRun.start(Path(folder), **settings)
        try:
            yield train
        finally:
            await train.end()


async def stop_ms(train: DryRun) -> float:
    """Send an emergency stop, as the page does; return the time until it was accepted."""
    started_s = time.monotonic()
    answer = await train.command("emergency_stop")
    assert answer.get("accepted"), answer
    return (time.monotonic() - started_s) * 1000


def attack(name: str, expected: str, bound_ms: float | None, run: Callable[[DryRun], Awaitable[float | None]]) -> Trial:
    """Return a row whose function gets a running train."""

    async def scenario() -> float | None:
        async with running() as train:
            return await run(train)

    return Trial(name, expected, bound_ms, lambda _slack: asyncio.run(scenario()))


async def stop_after_wrong_tokens(train: DryRun) -> float:
    """Send wrong tokens until they are limited, then a stop with the right one from the same address."""
    wrong = {"Content_Type": "application/json", "Authorization": "Bearer wrong"}
    path = f"/api/trains/{train.train}/commands"
    statuses = [(await call(train.port, path, "POST", b"{}", **wrong)).status for _ in range(MAX_FAILURES + 5)]
    assert statuses == [401] * MAX_FAILURES + [429] * 5, statuses
    return await stop_ms(train)


TRIALS: tuple[Trial, ...] = (
    attack("15 wrong tokens from the same address", "the right one stops it", STOP_MS, stop_after_wrong_tokens),
)
