"""Whether what must be kept can be kept: a train whose events would be lost drives on, and is not armed anew.

Knows the room on the disk and the faults that a mirror tells of its outbox. Knows nothing of files or of driving.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from edge_agent.events import Fault, Severity

PERIOD_S = 5.0
LOW = "disk_full"
_OUTBOX = {"outbox_stuck": "the outbox takes nothing", "outbox_slow": "the outbox is slow"}
"""What the mirror to Kafka tells of its outbox that forbids arming."""
_MB = 1_000_000


def free_mb(folder: Path) -> int | None:
    """Tell how much room is left where a folder is, or will be, in MB; None where nobody can tell."""
    for there in (folder, *folder.parents):
        try:
            return shutil.disk_usage(there).free // _MB
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


class Storage:
    """Keeps what forbids arming in `trouble`; empty while all is well.

    Args:
        folder: where the agent keeps what must outlive the process.
        least_mb: with less free space than this the train is not armed anew.
        tell: told when the disk becomes full, and when it is not any more.
        clock: the event loop's clock.
    """

    def __init__(
        self, folder: Path, least_mb: int, *, tell: Callable[[Fault], None], clock: Callable[[], float]
    ) -> None:
        self._folder = folder.absolute()
        self._least_mb = least_mb
        self._tell = tell
        self._clock = clock
        self._full = ""
        self._outbox: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """Why the train must not be armed now."""
        return self._full or next(iter(self._outbox.values()), "")

    def hear(self, fault: Fault) -> None:
        """Take note of a fault that an observer told."""
        if fault.code in _OUTBOX and fault.active:
            self._outbox[fault.code] = f"{_OUTBOX[fault.code]}: {fault.message}"
        else:
            self._outbox.pop(fault.code, None)

    def look(self, free: int | None) -> None:
        """Take note of the room on the disk."""
        full = "" if free is None or free >= self._least_mb else f"{free} MB are free in {self._folder}"
        if bool(full) != bool(self._full):
            remedy = f"free at least {self._least_mb} MB; until then the train is not armed anew"
            self._tell(Fault(LOW, full or "over", remedy if full else "", Severity.DEGRADED, self._clock(), bool(full)))
        self._full = full

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look(await asyncio.to_thread(free_mb, self._folder))
            await asyncio.sleep(PERIOD_S)
