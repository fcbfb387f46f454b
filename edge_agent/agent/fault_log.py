"""Every fault as one line in the log, and what is wrong now as words for the service manager's status line.

An observer like others: it knows events, and nothing of what caused them.
"""

from collections.abc import Iterable

import structlog

from edge_agent.events import Event, Fault, Severity
from edge_agent.ports import EventSource

_log = structlog.get_logger(__name__)

_WORST_FIRST = (Severity.STOP, Severity.DEGRADED, Severity.INFO)
_MOST = 3
"""So many faults stand in the status line; the log has all."""


class FaultLog:
    """Implements `ports.Sink`.

    Args:
        before: faults that appeared before anybody could observe them.
    """

    name = "notices"

    def __init__(self, before: Iterable[Fault] = ()) -> None:
        self._active: dict[str, Fault] = {}
        for fault in before:
            self._take(fault)

    async def run(self, events: EventSource) -> None:
        """Take note of faults until cancelled."""
        while True:
            event: Event = await events.get()
            if isinstance(event, Fault):
                self._take(event)

    def words(self, said: str = "") -> str:
        """Say what is wrong and what to do, the worst first; a mere note, with nothing to do, is left out.

        `said` is what the reader has been told already: of that fault only the remedy follows.
        """
        worst_first = sorted(self._active.values(), key=lambda fault: _WORST_FIRST.index(fault.severity))
        parts = (fault.remedy if fault.message == said else _said(fault) for fault in worst_first[:_MOST])
        return "; ".join(filter(None, parts))

    def _take(self, fault: Fault) -> None:
        known = self._active.pop(fault.code, None)
        if not fault.active:
            _log.info("fault_over", code=fault.code)
            return
        for_somebody = bool(fault.remedy) or fault.severity is not Severity.INFO
        if for_somebody:
            self._active[fault.code] = fault
        if known is None or known.message != fault.message:
            tell = _log.warning if for_somebody else _log.info
            tell(_said(fault), code=fault.code, severity=fault.severity.value)


def _said(fault: Fault) -> str:
    return f"{fault.message}; {fault.remedy}" if fault.remedy else fault.message
