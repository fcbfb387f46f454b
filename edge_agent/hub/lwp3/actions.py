"""Hub actions: switch off, disconnect, show busy; and the hub's own farewell.

Knows the action message. Knows nothing of what follows from one.
"""

from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import HubActionType, MessageType
from edge_agent.hub.lwp3.frame import code, unpack


@dataclass(frozen=True, slots=True)
class HubAction:
    """Tell the hub to do something, or hear what it is about to do."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ACTIONS

    action: HubActionType

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.action,))


def parse(payload: bytes) -> HubAction:
    """Read a hub action message; raises DecodeError."""
    return HubAction(code(HubActionType, unpack("B", payload)[0]))
