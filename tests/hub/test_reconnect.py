"""reconnect_forever: retries with pauses that grow, are capped and have jitter."""

import asyncio

import pytest

from edge_agent.errors import RetryableError
from edge_agent.hub.ble import reconnect_forever
from edge_agent.simulation.clock import run_virtual


def run_attempts(lives: list[float | None], limit_s: float) -> tuple[list[float], list[RetryableError]]:
    """Run attempts that live for these times (None: fails); return when they began, and the failures."""
    began: list[float] = []
    failures: list[RetryableError] = []

    async def attempt() -> None:
        began.append(asyncio.get_running_loop().time())
        life_s = lives.pop(0) if lives else None
        if life_s is None:
            raise RetryableError("no hub")
        await asyncio.sleep(life_s)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(limit_s):
                await reconnect_forever(
                    attempt, initial_s=0.5, longest_s=4.0, on_failure=failures.append, jitter=lambda: 1.0
                )

    run_virtual(main())
    return began, failures


def test_failures_are_reported_and_retried_forever() -> None:
    began, failures = run_attempts([], 3600)
    assert len(began) == len(failures)
    assert len(began) > 3600 / 4
    assert began[:5] == [0.0, 0.5, 1.5, 3.5, 7.5]


def test_link_that_was_lost_is_tried_again_at_once() -> None:
    began, _ = run_attempts([None, None, 60.0], 61.6)
    assert began == [0.0, 0.5, 1.5, 61.5]


def test_link_that_dies_as_soon_as_it_comes_up_is_not_hammered() -> None:
    began, failures = run_attempts([0.01] * 1000, 60)
    assert len(began) < 30
    assert failures == []


def test_error_of_another_kind_is_not_swallowed() -> None:
    async def attempt() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        await reconnect_forever(attempt, initial_s=0.5, longest_s=4.0, on_failure=lambda _error: None)

    with pytest.raises(ZeroDivisionError):
        run_virtual(main())
