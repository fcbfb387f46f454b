"""A run after a crash waits to be armed; one after an orderly end is armed as the settings say; a hangup ends a run."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.agent.lifecycle import CrashMarker, Shutdown
from edge_agent.config import Settings

ALWAYS = Settings().model_copy(update={"guard": Settings().guard.model_copy(update={"arm": "always"})})


def armed(marker: CrashMarker) -> str:
    return marker.without_auto_arm(ALWAYS).guard.arm


def test_run_after_one_that_died_waits_to_be_armed(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with CrashMarker(environment) as first:
        assert armed(first) == "always"
        with CrashMarker(environment) as second:  # as if the first had been killed
            assert armed(second) == "never"
            second.ended_well()
    with CrashMarker(environment) as third:
        assert armed(third) == "always"


def test_run_after_one_that_failed_waits_to_be_armed(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with pytest.raises(RuntimeError), CrashMarker(environment):
        raise RuntimeError
    with CrashMarker(environment) as again:
        assert armed(again) == "never"


@pytest.mark.parametrize("environment", [{}, {"RUNTIME_DIRECTORY": "/nonexistent/edge-agent"}])
def test_machine_without_such_a_folder_arms_as_the_settings_say(environment: dict[str, str]) -> None:
    for _ in range(2):
        with CrashMarker(environment) as marker:
            assert armed(marker) == "always"


@pytest.fixture
def hangup() -> Iterator[None]:
    """Give the signal's handler back, whatever a test made of it."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


async def test_closed_terminal_brakes_and_ends_the_run(hangup: None) -> None:
    braked: list[str] = []
    shutdown = Shutdown(braked.append, within_s=60.0)
    with shutdown.on_signals(hangup=True):
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            await shutdown.wait()
    shutdown.complete()
    assert braked == ["SIGHUP"]


async def test_run_that_is_to_outlive_its_terminal_does(hangup: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    shutdown = Shutdown(lambda _: None, within_s=60.0)
    with shutdown.on_signals(hangup=True):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
    assert shutdown.reason == ""
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
