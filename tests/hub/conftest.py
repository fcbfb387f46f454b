"""A hub behind an emulated BlueZ, in a thread of its own, in place of the system's D-Bus."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from bleak.backends.bluezdbus import manager

from edge_agent.hub.emulator import EmulatorThread


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorThread]:
    """Serve a City Hub with train motor and light to whatever asks for the system bus."""
    with EmulatorThread() as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        yield thread


@pytest.fixture
async def bluez(emulated: EmulatorThread) -> AsyncIterator[EmulatorThread]:
    """Serve a hub to a test in the running loop; afterwards close the bus that bleak keeps for each loop."""
    yield emulated
    await close_bleak()


async def close_bleak() -> None:
    """Close the connection that bleak keeps open for a loop until the next loop comes."""
    kept = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if kept is not None and kept._bus is not None:
        kept._bus.disconnect()
        if kept._bus_watcher_task is not None:
            await asyncio.wait({kept._bus_watcher_task})


def resources() -> dict[str, int]:
    """Count what must not leak."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }
