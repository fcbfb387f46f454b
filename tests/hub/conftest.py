"""Fixtures: an emulated hub and BlueZ in a thread, in place of the system's D-Bus."""

import asyncio
import gc
import os
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from bleak.backends.bluezdbus import manager

from edge_agent.hub import emergency
from tests.support.emulator_thread import EmulatorThread


@pytest.fixture
def kernel_adapters(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the kernel a folder of Bluetooth adapters, empty, in place of this machine's."""
    folder = tmp_path_factory.mktemp("bluetooth")
    monkeypatch.setattr(emergency, "_KERNEL_ADAPTERS", folder)
    return folder


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch, kernel_adapters: Path) -> Iterator[EmulatorThread]:
    """Serve a City Hub with train motor and light on what clients take for the system bus."""
    with EmulatorThread() as thread:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", thread.bus_address)
        yield thread


@pytest.fixture
async def bluez(emulated: EmulatorThread) -> AsyncIterator[EmulatorThread]:
    """Serve a hub to a test in the running loop; close bleak's connection to the bus afterwards."""
    yield emulated
    await close_bleak()


async def close_bleak() -> None:
    """Close the bus connection that bleak keeps open per event loop."""
    kept = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if kept is not None and kept._bus is not None:
        kept._bus.disconnect()
        if kept._bus_watcher_task is not None:
            await asyncio.wait({kept._bus_watcher_task})


@contextmanager
def no_free_descriptor() -> Iterator[None]:
    """Use up all descriptors of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resources() -> dict[str, int]:
    """Count the resources that must not leak."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }
