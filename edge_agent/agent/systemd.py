"""Tells the service manager how the agent is, in systemd's protocol (sd_notify(3)).

The loop itself sends the sign of life, so that a process that is stopped, or whose interpreter is held, falls silent
and is killed. Knows datagrams and the environment that systemd sets. Does nothing where there is no service manager.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

from edge_agent.agent.build import Components
from edge_agent.agent.fault_log import FaultLog
from edge_agent.config import Settings, SignRules, check_labels, load_rules
from edge_agent.control.guard import Permit
from edge_agent.errors import ConfigError
from edge_agent.events import Fault, GuardState
from edge_agent.faults import SIGN_RULES_REFUSED

PERIOD_S = 0.5
"""How often the state is looked at where no watchdog asks for more."""

GRACE_S = 10.0
"""While the agent starts no watchdog looks at it: the time for starting is extended by this, again and again."""

_UNWELL = frozenset({GuardState.INIT, GuardState.LINK_LOST, GuardState.FAULT_LATCHED})
_EXTEND_PERIOD_S = 2.0
_SIGNS_OF_LIFE_PER_LIMIT = 4
_LONGEST_STATUS = 800
"""Characters: what does not fit a line of `systemctl status` helps nobody."""


class Notifier:
    """Speaks to the service manager that `environment` names, if any.

    `period_s` is how often to send a sign of life; None where nobody waits for one. `ready` tells that READY was sent.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.period_s = _period_s(environment) if self._address else None
        self.ready = False

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

    def status(self, words: str) -> None:
        """Send one line for people."""
        self.tell(STATUS=one_line(words))

    def extend(self, seconds: float = GRACE_S) -> None:
        """Ask for so many seconds more to start, or to stop, counted from now."""
        self.tell(EXTEND_TIMEOUT_USEC=str(round(seconds * 1e6)))

    def stopping(self, reason: str, within_s: float) -> None:
        """Tell that the end has begun: nobody feeds the watchdog any more, the process has a limit of its own."""
        limit_us = str(round((within_s + GRACE_S) * 1e6))
        self.tell(STOPPING="1", STATUS=one_line(f"stopping: {reason}"), WATCHDOG_USEC=limit_us)

    @contextlib.asynccontextmanager
    async def starting(self, what: str) -> AsyncIterator[None]:
        """Tell what takes so long, such as building an engine, and extend the time for it while the loop lives."""
        self.status(f"starting: {what}")
        task = asyncio.create_task(self._extend_on(), name="extend-start") if self else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()

    async def _extend_on(self) -> None:
        while True:
            self.extend()
            await asyncio.sleep(_EXTEND_PERIOD_S)

    def reloading(self) -> None:
        """Tell that settings are being read anew; `tell(READY="1")` ends it."""
        self.tell(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))


def one_line(words: str) -> str:
    """Make one line of a text, not too long."""
    line = " ".join(words.split())
    return line if len(line) <= _LONGEST_STATUS else f"{line[: _LONGEST_STATUS - 3]}..."


def _period_s(environment: Mapping[str, str]) -> float | None:
    """Read how often a sign of life is due; None where the watchdog is off or is another process's."""
    limit_us = environment.get("WATCHDOG_USEC", "")
    if not limit_us.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(limit_us) / 1e6 / _SIGNS_OF_LIFE_PER_LIMIT


async def report_to_service_manager(
    notifier: Notifier, permit: Callable[[], Permit], notes: Callable[[str], str] = lambda _: ""
) -> None:
    """Tell the manager that we live, once that camera, detector and hub are well, and what holds the train back.

    `notes` is what else a person should know who has read the guard's reason, such as faults and their remedies.
    """
    told, next_extension_s = "", 0.0
    clock = asyncio.get_running_loop().time
    while True:
        now = permit()
        fields: dict[str, str] = {}
        if not notifier.ready and now.state not in _UNWELL:
            notifier.ready, fields["READY"] = True, "1"
        if not notifier.ready and clock() >= next_extension_s:
            next_extension_s = clock() + _EXTEND_PERIOD_S
            fields["EXTEND_TIMEOUT_USEC"] = str(round(GRACE_S * 1e6))
        status = one_line("; ".join(filter(None, (f"{now.state.value}: {now.reason}", notes(now.reason)))))
        if status != told:
            told, fields["STATUS"] = status, status
        if notifier.period_s is not None:
            fields["WATCHDOG"] = "1"
        if fields:
            notifier.tell(**fields)
        await asyncio.sleep(min(PERIOD_S, notifier.period_s or PERIOD_S))


_log = structlog.get_logger(__name__)

_QUEUE_SIZE = 64


def service_tasks(
    settings: Settings, crew: Components, notifier: Notifier
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name the tasks: the log of faults, and what a service manager wants where there is one."""
    notices = FaultLog(crew.stats.faults)
    yield notices.name, notices.run(crew.observers.subscribe(notices.name, _QUEUE_SIZE, (Fault,)))
    if notifier:
        yield "service-manager", report_to_service_manager(notifier, lambda: crew.control.permit, notices.words)
        rules = SignRulesReloader(settings.policy.rules, crew)
        yield "reload", _on_hangup(notifier, rules.reload)


class SignRulesReloader:
    """Reads the sign rules anew and has the train go by them; a file with a mistake changes nothing.

    Args:
        path: the file; None is the one that ships.
        crew: whose train.
    """

    def __init__(self, path: Path | None, crew: Components) -> None:
        self._path, self._crew = path, crew

    async def reload(self) -> None:
        """Read, check, swap; reports a fault where the file cannot be used."""
        try:
            rules = await asyncio.to_thread(self._read)
        except ConfigError as error:
            why = " | ".join(str(error).splitlines())
            self._crew.faults.report(
                SIGN_RULES_REFUSED, f"the new sign rules were refused and the old ones stay: {why}"
            )
            return
        self._crew.control.set_signs(rules.signs)
        _log.info("sign_rules_read", signs=len(rules.signs), file=rules.source)
        self._crew.faults.clear(SIGN_RULES_REFUSED)

    def _read(self) -> SignRules:
        rules = load_rules(self._path)
        check_labels(rules, self._crew.worker.info.labels)
        return rules


async def _on_hangup(notifier: Notifier, reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Reload at each SIGHUP, until cancelled. The train drives on meanwhile."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    try:
        while True:
            await asked.wait()
            asked.clear()
            if notifier.ready:
                notifier.reloading()
            await reload()
            if notifier.ready:
                notifier.tell(READY="1")
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
