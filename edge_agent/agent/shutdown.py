"""How a run ends: one reason, a brake that goes out at once, and a deadline after which the process is gone.

Knows signals and deadlines. Knows nothing of what runs.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Ending:
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
        self._deadline = threading.Timer(self._within_s, _vanish, (reason,))
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


def _vanish(reason: str) -> None:
    sys.stderr.write(f"edge-agent: still busy after {reason}; the process ends now\n")
    sys.stderr.flush()
    os._exit(1)
