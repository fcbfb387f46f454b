"""How a run ends: one reason, a brake that goes out at once, and a deadline after which the process is gone.

Knows signals and deadlines. Knows nothing of what runs.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.config import Settings


class Shutdown:
    """Collects the reason to end; the first one counts.

    Args:
        brake: aims the driver at a brake, synchronously; called the moment somebody wants to end.
        within_s: the process is gone this long after a signal, come what may: a thread that hangs cannot hold it.
    """

    def __init__(self, brake: Callable[[str], None], within_s: float) -> None:
        self._brake = brake
        self._within_s = within_s
        self._wanted = asyncio.Event()
        self._deadline: threading.Timer | None = None
        self.reason = ""

    def want(self, reason: str) -> None:
        """Ask for the end: brake now, then wind down."""
        if self.reason:
            return
        self.reason = reason
        self._brake(reason)
        self._wanted.set()
        self._deadline = threading.Timer(self._within_s, _exit_process, (reason,))
        self._deadline.daemon = True
        self._deadline.start()

    async def wait(self) -> None:
        """Wait until somebody wants to end."""
        await self._wanted.wait()

    def reached(self) -> None:
        """Call the deadline off: everything has ended in order."""
        if self._deadline is not None:
            self._deadline.cancel()

    @contextmanager
    def on_signals(self, *, hangup: bool) -> Iterator[None]:
        """Have SIGINT and SIGTERM end the run, and with `hangup` SIGHUP too: a terminal that is closed sends it."""
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if hangup and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup has it ignored
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self.want, signal.Signals(number).name)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def _exit_process(reason: str) -> None:
    sys.stderr.write(f"edge-agent: still busy after {reason}; the process ends now\n")
    sys.stderr.flush()
    os._exit(1)


_NAME = "running"


class CrashMarker:
    """Exists as a file while a run goes on, and after one that did not end in order.

    `broken` tells that the process before died.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        folder = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
        self._file = Path(folder) / _NAME if folder else None
        self._well = False
        self.broken = False

    def __enter__(self) -> Self:
        """Look for the file of the process before, and leave our own."""
        if self._file is not None:
            self.broken = self._file.exists()
            with contextlib.suppress(OSError):
                self._file.touch()
        return self

    def ended_well(self) -> None:
        """Tell that the run ended as it should: the next one may arm the train as the settings say."""
        self._well = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file after a run that ended well."""
        if self._file is not None and self._well:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    def cautious(self, settings: Settings) -> Settings:
        """Return the settings; those of a run after a crash wait for a person to arm the train."""
        if not self.broken:
            return settings
        return settings.model_copy(update={"guard": settings.guard.model_copy(update={"arm": "never"})})
