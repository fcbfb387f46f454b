"""What a mirror has to say about itself, before the event loop has put a time on it.

Knows words and how bad it is. Knows nothing of threads or events beyond Fault's fields.
"""

from dataclasses import dataclass

from edge_agent.events import Fault, Severity


@dataclass(frozen=True, slots=True)
class FaultReport:
    """A Fault without its time: `active` false means that it is over."""

    code: str
    message: str = "over"
    remedy: str = ""
    severity: Severity = Severity.INFO
    active: bool = True

    def fault(self, at_s: float) -> Fault:
        """Return it with its time, by the event loop's clock."""
        return Fault(self.code, self.message, self.remedy, self.severity, at_s, self.active)
