"""What a mirror has to say about itself, before the event loop has put a time on it.

Knows words and how bad it is. Knows nothing of threads or events beyond Fault's fields.
"""

from dataclasses import dataclass

from edge_agent.events import Severity


@dataclass(frozen=True, slots=True)
class Notice:
    """A Fault without its time: `active` false means that it is over."""

    code: str
    message: str = "over"
    remedy: str = ""
    severity: Severity = Severity.INFO
    active: bool = True
