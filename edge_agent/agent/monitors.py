"""Monitors the process: the event loop's lag, its memory (by /proc), and the room on the disk."""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.faults import DISK_FULL, OUTBOX_SLOW, OUTBOX_STUCK, FaultReport, FaultReporter
from edge_agent.report import RunStats
from edge_agent.runtime.queues import pace

LAG_PERIOD_S = 0.04
"""A fifth of the shortest stall that the watchdog acts on; each check wakes the process, which costs CPU."""

MEMORY_PERIOD_S = 10.0


async def watch_loop(
    measures: Sequence[Callable[[float], None]], beat: Callable[[], object], clock: Callable[[], float]
) -> None:
    """Call each of `measures` with the loop's lag in seconds, and `beat` for the watchdog, until cancelled."""
    while True:
        due_s = clock() + LAG_PERIOD_S
        await asyncio.sleep(LAG_PERIOD_S)
        lag_s = max(0.0, clock() - due_s)
        for measure in measures:
            measure(lag_s)
        beat()


async def watch_memory(stats: RunStats, clock: Callable[[], float]) -> None:
    """Record the resident memory until cancelled."""
    async for tick in pace(MEMORY_PERIOD_S, clock):
        stats.memory(resident_mib(), tick.due_s)


def resident_mib() -> float:
    """Return the resident set size in MiB; 0 where /proc cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


PERIOD_S = 5.0
_OUTBOX = {OUTBOX_STUCK.code: "the outbox takes nothing", OUTBOX_SLOW.code: "the outbox is slow"}
"""The faults of the mirror to Kafka that forbid arming."""
_MB = 1_000_000


def free_mb(folder: Path) -> int | None:
    """Return the free space in MB for a folder that exists or will be made; None where it cannot be found out."""
    for there in (folder, *folder.parents):
        try:
            return shutil.disk_usage(there).free // _MB
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


class StorageMonitor:
    """Checks whether there is room for the state folder and the outbox: without it the train may not be armed.

    Args:
        folder: of the state that outlives the process.
        least_mb: the free space below which the disk counts as full.
        faults: where a full disk is reported.
    """

    def __init__(self, folder: Path, least_mb: int, faults: FaultReporter) -> None:
        self._folder = folder.absolute()
        self._least_mb = least_mb
        self._faults = faults
        self._full = ""
        self._outbox: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """Why the train must not be armed now; empty while it may."""
        return self._full or next(iter(self._outbox.values()), "")

    def on_fault(self, fault: FaultReport) -> None:
        """Note a fault that anybody reports: an outbox in trouble forbids arming too."""
        if fault.code in _OUTBOX and fault.active:
            self._outbox[fault.code] = f"{_OUTBOX[fault.code]}: {fault.message}"
        else:
            self._outbox.pop(fault.code, None)

    def update(self, free: int | None) -> None:
        """Note the free space in MB, None where it is unknown."""
        if free is None or free >= self._least_mb:
            self._full = ""
            self._faults.clear(DISK_FULL)
        else:
            self._full = f"{free} MB are free in {self._folder}"
            remedy = f"free at least {self._least_mb} MB; until then the train cannot be armed"
            self._faults.report(DISK_FULL, self._full, remedy)

    def check(self) -> None:
        """Check the disk now; blocks for a moment."""
        self.update(free_mb(self._folder))

    async def watch(self) -> None:
        """Check the disk every PERIOD_S seconds, until cancelled."""
        while True:
            self.update(await asyncio.to_thread(free_mb, self._folder))
            await asyncio.sleep(PERIOD_S)
