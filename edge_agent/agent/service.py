"""What a run does for the service manager: readiness, signs of life, its status line, and new sign rules on SIGHUP.

Knows the tasks of a run and who gives them what. The datagrams themselves are notify.py's.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from edge_agent.agent.crew import Crew
from edge_agent.agent.notices import Notices
from edge_agent.agent.notify import Notifier, watch
from edge_agent.config import Rules, Settings, check_labels, load_rules
from edge_agent.errors import ConfigError
from edge_agent.events import Fault, Severity

_log = structlog.get_logger(__name__)

REFUSED = "sign_rules_refused"
_QUEUE_SIZE = 64


def service_tasks(
    settings: Settings, crew: Crew, notifier: Notifier
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name the tasks: the log of faults, and what a service manager wants where there is one."""
    notices = Notices(crew.tally.faults)
    yield notices.name, notices.run(crew.observers.subscribe(notices.name, _QUEUE_SIZE, (Fault,)))
    if notifier:
        yield "service-manager", watch(notifier, lambda: crew.control.permit, notices.words)
        rules = SignRules(settings.policy.rules, crew)
        yield "reload", _on_hangup(notifier, rules.reload)


class SignRules:
    """Reads the sign rules anew and has the train go by them; a file with a mistake changes nothing.

    Args:
        path: the file; None is the one that ships.
        crew: whose train.
    """

    def __init__(self, path: Path | None, crew: Crew) -> None:
        self._path, self._crew = path, crew
        self._refused: Fault | None = None

    async def reload(self) -> None:
        """Read, check, swap; tells a fault where the file cannot be used."""
        try:
            rules = await asyncio.to_thread(self._read)
        except ConfigError as error:
            self._refuse(error)
            return
        self._crew.control.set_signs(rules.signs)
        _log.info("sign_rules_read", signs=len(rules.signs), file=rules.source)
        if self._refused is not None:
            over = replace(self._refused, message="over", remedy="", at_s=self._crew.clock(), active=False)
            self._refused = None
            self._crew.tell(over)

    def _read(self) -> Rules:
        rules = load_rules(self._path)
        check_labels(rules, self._crew.worker.info.labels)
        return rules

    def _refuse(self, error: ConfigError) -> None:
        why = " | ".join(str(error).splitlines())
        message = f"the new sign rules were refused and the old ones stay: {why}"
        remedy = "mend the file and reload again"
        self._refused = Fault(REFUSED, message, remedy, Severity.DEGRADED, self._crew.clock())
        self._crew.tell(self._refused)


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
