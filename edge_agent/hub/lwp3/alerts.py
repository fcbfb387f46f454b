"""Hub alerts: low voltage, high current, low signal, over power.

Knows how alerts are asked for and told. Knows nothing of what the train does about one. A hub tells none before it has
been asked.
"""

from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import Alert, AlertOperation, MessageType
from edge_agent.hub.lwp3.frame import at_least, code, unpack

_RAISED = 0xFF


@dataclass(frozen=True, slots=True)
class HubAlertRequest:
    """Ask for an alert's state, once or whenever it changes; `operation` is any but UPDATE."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ALERTS

    alert: Alert
    operation: AlertOperation = AlertOperation.ENABLE_UPDATES

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.alert, self.operation))


@dataclass(frozen=True, slots=True)
class HubAlertUpdate:
    """The hub tells whether an alert is raised. Any status but zero counts as raised: better one alarm too many."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ALERTS

    alert: Alert
    raised: bool

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.alert, AlertOperation.UPDATE, _RAISED if self.raised else 0))


AlertMessage = HubAlertRequest | HubAlertUpdate


def parse(payload: bytes) -> AlertMessage:
    """Read a hub alert message; raises DecodeError."""
    at_least(2, payload)
    alert = code(Alert, payload[0])
    operation = code(AlertOperation, payload[1])
    if operation is AlertOperation.UPDATE:
        return HubAlertUpdate(alert, raised=bool(unpack("BBB", payload)[2]))
    unpack("BB", payload)
    return HubAlertRequest(alert, operation)
