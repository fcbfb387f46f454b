"""An observer that logs every fault, and has those that are active for the terminal and the service manager."""

from collections.abc import Iterable

import structlog

from edge_agent.events import Event, Fault, Severity
from edge_agent.ports import EventSource

_log = structlog.get_logger(__name__)

_WORST_FIRST = (Severity.STOP, Severity.DEGRADED, Severity.INFO)
_MOST = 3
"""The number of faults in the status line; the log has all of them."""


class FaultLog:
    """Implements `ports.Sink`.

    Args:
        before: faults from before the first observer.
    """

    name = "notices"

    def __init__(self, before: Iterable[Fault] = ()) -> None:
        self._active: dict[str, Fault] = {}
        for fault in before:
            self._log(fault)

    async def run(self, events: EventSource) -> None:
        """Log faults until cancelled."""
        while True:
            event: Event = await events.get()
            if isinstance(event, Fault):
                self._log(event)

    def summary(self, shown: str = "") -> str:
        """Return the active faults and their remedies, the worst first, without those that need no action.

        Of the fault whose message is `shown` already only the remedy is included.
        """
        parts = (fault.remedy if fault.message == shown else _text(fault) for fault in self.active()[:_MOST])
        return "; ".join(filter(None, parts))

    def active(self) -> list[Fault]:
        """Return the active faults, the worst first, without those that need no action."""
        return sorted(self._active.values(), key=lambda fault: _WORST_FIRST.index(fault.severity))

    def _log(self, fault: Fault) -> None:
        known = self._active.pop(fault.code, None)
        if not fault.active:
            _log.info("fault_over", code=fault.code)
            return
        needs_action = bool(fault.remedy) or fault.severity is not Severity.INFO
        if needs_action:
            self._active[fault.code] = fault
        if known is None or known.message != fault.message:
            log = _log.warning if needs_action else _log.info
            log(_text(fault), code=fault.code, severity=fault.severity.value)


def _text(fault: Fault) -> str:
    return f"{fault.message}; {fault.remedy}" if fault.remedy else fault.message
