"""What a terminal that is closed does to a run."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from edge_agent.agent.lifecycle import Shutdown


@pytest.fixture
def hangup() -> Iterator[None]:
    """Give the signal's handler back, whatever a test made of it."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


async def test_closed_terminal_brakes_and_ends_the_run(hangup: None) -> None:
    braked: list[str] = []
    ending = Shutdown(braked.append, within_s=60.0)
    with ending.on_signals(hangup=True):
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            await ending.wait()
    ending.complete()
    assert braked == ["SIGHUP"]


async def test_run_that_is_to_outlive_its_terminal_does(hangup: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    ending = Shutdown(lambda _: None, within_s=60.0)
    with ending.on_signals(hangup=True):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
    assert ending.reason == ""
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
