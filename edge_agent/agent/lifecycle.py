"""The end of a run: one reason, an immediate brake, and a deadline after which the process exits."""

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
    """Ends a run on request; the first reason counts.

    Args:
        brake: sets the driver's target to a brake, at once.
        within_s: the process exits this long after the request, even if a thread hangs.
    """

    def __init__(self, brake: Callable[[str], None], within_s: float) -> None:
        self._brake = brake
        self._within_s = within_s
        self._requested = asyncio.Event()
        self._deadline: threading.Timer | None = None
        self.reason = ""

    def request(self, reason: str) -> None:
        """Brake now and let the run end."""
        if self.reason:
            return
        self.reason = reason
        self._brake(reason)
        self._requested.set()
        self._deadline = threading.Timer(self._within_s, _exit_process, (reason,))
        self._deadline.daemon = True
        self._deadline.start()

    async def wait(self) -> None:
        """Wait for the request."""
        await self._requested.wait()

    def complete(self) -> None:
        """Cancel the deadline: everything has ended in order."""
        if self._deadline is not None:
            self._deadline.cancel()

    @contextmanager
    def on_signals(self, *, hangup: bool) -> Iterator[None]:
        """End the run on SIGINT and SIGTERM, and with `hangup` on SIGHUP, which a closed terminal sends."""
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if hangup and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self.request, signal.Signals(number).name)
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
    """A file that exists during a run, and after one that did not end in order.

    It is in the service manager's runtime folder; without one nothing is kept. `crashed` is true when the previous
    process died.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        folder = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
        self._file = Path(folder) / _NAME if folder else None
        self._ended_well = False
        self.crashed = False

    def __enter__(self) -> Self:
        """Look for the file of the previous process, and make our own."""
        if self._file is not None:
            self.crashed = self._file.exists()
            with contextlib.suppress(OSError):
                self._file.touch()
        return self

    def ended_well(self) -> None:
        """Note that the run ended in order: the next one may arm the train as the settings say."""
        self._ended_well = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file after a run that ended in order."""
        if self._file is not None and self._ended_well:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    def without_auto_arm(self, settings: Settings) -> Settings:
        """Return the settings; after a crash the train waits for a person to arm it."""
        if not self.crashed:
            return settings
        return settings.model_copy(update={"guard": settings.guard.model_copy(update={"arm": "never"})})
