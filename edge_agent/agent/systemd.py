"""The service manager's view of the agent: readiness, status line, watchdog and reload, by sd_notify(3).

The event loop itself sends the keep-alive, so that a process that is stopped, or whose interpreter is blocked, falls
silent and is killed. Without a service manager nothing is sent.
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
from edge_agent.config.control import DetectorSettings
from edge_agent.control.guard import Permit
from edge_agent.errors import ConfigError
from edge_agent.events import GuardState
from edge_agent.faults import SIGN_RULES_REFUSED

PERIOD_S = 0.5
"""How often the state is checked where no watchdog asks for more."""

GRACE_S = 10.0
"""While the agent starts there is no watchdog; its time to start is extended by this again and again."""

_log = structlog.get_logger(__name__)

_UNWELL = frozenset({GuardState.INIT, GuardState.LINK_LOST, GuardState.FAULT_LATCHED})
_EXTEND_PERIOD_S = 2.0
_KEEP_ALIVES_PER_LIMIT = 4
_LONGEST_STATUS = 800
"""Characters that fit a line of `systemctl status`."""


class Notifier:
    """Sends notifications to the service manager that `environment` names, if any.

    `period_s` is how often a keep-alive is due, None without a watchdog. `ready` is true once READY=1 has been sent.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.period_s = _period_s(environment) if self._address else None
        self.ready = False

    def __bool__(self) -> bool:
        """Return whether there is a service manager."""
        return bool(self._address)

    def notify(self, **fields: str) -> None:
        """Send fields such as READY="1"; never blocks and never raises."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        message = "\n".join(f"{key}={value}" for key, value in fields.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(message.encode(), address)

    def status(self, text: str) -> None:
        """Send the status line."""
        self.notify(STATUS=one_line(text))

    def extend(self, seconds: float = GRACE_S) -> None:
        """Ask for more time to start or to stop, counted from now."""
        self.notify(EXTEND_TIMEOUT_USEC=str(round(seconds * 1e6)))

    def stopping(self, reason: str, within_s: float) -> None:
        """Announce the shutdown."""
        # Nothing sends keep-alives from now on; the process has a time limit of its own.
        limit_us = str(round((within_s + GRACE_S) * 1e6))
        self.notify(STOPPING="1", STATUS=one_line(f"stopping: {reason}"), WATCHDOG_USEC=limit_us)

    @contextlib.asynccontextmanager
    async def starting(self, what: str) -> AsyncIterator[None]:
        """Show a slow step, such as building an engine, as the status, and extend the time to start meanwhile."""
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
        """Announce a reload; `notify(READY="1")` ends it."""
        self.notify(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))


def one_line(text: str) -> str:
    """Return a text as one line of at most _LONGEST_STATUS characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_STATUS else f"{line[: _LONGEST_STATUS - 3]}..."


def _period_s(environment: Mapping[str, str]) -> float | None:
    """Return how often a keep-alive is due; None where the watchdog is off or for another process."""
    limit_us = environment.get("WATCHDOG_USEC", "")
    if not limit_us.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(limit_us) / 1e6 / _KEEP_ALIVES_PER_LIMIT


async def report_to_service_manager(
    notifier: Notifier, permit: Callable[[], Permit], notes: Callable[[str], str] = lambda _: ""
) -> None:
    """Send keep-alives and the status, and READY=1 once camera, detector and hub work, until cancelled.

    `notes` returns what to show behind the guard's reason, which it is given: the faults and their remedies.
    """
    shown, next_extension_s = "", 0.0
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
        if status != shown:
            shown, fields["STATUS"] = status, status
        if notifier.period_s is not None:
            fields["WATCHDOG"] = "1"
        if fields:
            notifier.notify(**fields)
        await asyncio.sleep(min(PERIOD_S, notifier.period_s or PERIOD_S))


def service_tasks(
    settings: Settings, components: Components, notifier: Notifier, log: FaultLog, *, reloads: bool
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Yield the tasks, by name: the reports to a service manager, and with `reloads` the reload at SIGHUP."""
    if notifier:
        yield "service-manager", report_to_service_manager(notifier, lambda: components.control.permit, log.summary)
    if reloads:
        rules = SignRulesReloader(settings.policy.rules, settings.detector, components)
        yield "reload", _on_hangup(notifier, rules.reload)


class SignRulesReloader:
    """Reloads the sign rules while the train drives; a file with a mistake changes nothing.

    Args:
        path: the file; None for the one that ships.
        detector: the detector's settings, with the threshold that it runs at.
        components: of the train.
    """

    def __init__(self, path: Path | None, detector: DetectorSettings, components: Components) -> None:
        self._path, self._detector, self._components = path, detector, components

    async def reload(self) -> None:
        """Read, check and use the file; reports a fault where that fails."""
        try:
            rules = await asyncio.to_thread(self._read)
        except ConfigError as error:
            why = " | ".join(str(error).splitlines())
            self._components.faults.report(
                SIGN_RULES_REFUSED, f"the new sign rules were refused and the old ones stay: {why}"
            )
            return
        self._components.control.set_signs(rules.signs)
        _log.info("sign_rules_read", signs=len(rules.signs), file=rules.source)
        self._components.faults.clear(SIGN_RULES_REFUSED)

    def _read(self) -> SignRules:
        rules = load_rules(self._path)
        check_labels(rules, self._components.worker.info.labels)
        self._refuse_lower_scores(rules)
        return rules

    def _refuse_lower_scores(self, rules: SignRules) -> None:
        """Raise ConfigError for a `min_score` below the threshold that the detector was opened with."""
        reported = self._detector.threshold or 0.0
        lower = [f"{label} {rule.min_score:g}" for label, rule in rules.signs.items() if rule.min_score < reported]
        if lower:
            raise ConfigError(
                f"{rules.source}: the detector reports signs from {reported:g}, but min_score is {', '.join(lower)}",
                remedy="restart the agent to use them",
            )


async def _on_hangup(notifier: Notifier, reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Reload at each SIGHUP, until cancelled."""
    loop, requested = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, requested.set)
    try:
        while True:
            await requested.wait()
            requested.clear()
            if notifier.ready:
                notifier.reloading()
            await reload()
            if notifier.ready:
                notifier.notify(READY="1")
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
