"""Tells the service manager how the agent is, in systemd's protocol (sd_notify(3)).

The loop itself sends the sign of life, so that a process that is stopped, or whose interpreter is held, falls silent
and is killed. Knows datagrams and the environment that systemd sets. Does nothing where there is no service manager.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping

from edge_agent.events import GuardState
from edge_agent.guard import Permit

PERIOD_S = 0.5
"""How often the state is looked at where no watchdog asks for more."""

_SIGNS_OF_LIFE_PER_LIMIT = 4


class Notifier:
    """Speaks to the service manager that `environment` names, if any.

    `period_s` is how often to send a sign of life; None where nobody waits for one.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.period_s = _period_s(environment) if self._address else None

    def __bool__(self) -> bool:
        """Tell whether there is somebody to tell."""
        return bool(self._address)

    def tell(self, **fields: str) -> None:
        """Send fields such as READY="1"; never waits, never raises: a manager that does not listen is no fault."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        words = "\n".join(f"{key}={value}" for key, value in fields.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(words.encode(), address)


def _period_s(environment: Mapping[str, str]) -> float | None:
    """Read how often a sign of life is due; None where the watchdog is off or is another process's."""
    limit_us = environment.get("WATCHDOG_USEC", "")
    if not limit_us.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(limit_us) / 1e6 / _SIGNS_OF_LIFE_PER_LIMIT


async def watch(notifier: Notifier, permit: Callable[[], Permit]) -> None:
    """Tell the manager that we live, once that camera, detector and hub are well, and what holds the train back."""
    ready, told = False, ""
    while True:
        now = permit()
        fields: dict[str, str] = {}
        if not ready and now.state is not GuardState.INIT:
            ready, fields["READY"] = True, "1"
        status = f"{now.state.value}: {now.reason}"
        if status != told:
            told, fields["STATUS"] = status, status
        if notifier.period_s is not None:
            fields["WATCHDOG"] = "1"
        if fields:
            notifier.tell(**fields)
        await asyncio.sleep(min(PERIOD_S, notifier.period_s or PERIOD_S))
