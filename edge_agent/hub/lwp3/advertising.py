"""What a hub says before anyone connects: the manufacturer data in its advertisement.

Knows the six bytes behind the company id. Knows nothing of scanning.
"""

from dataclasses import dataclass

from edge_agent.hub.lwp3.codes import Capability
from edge_agent.hub.lwp3.frame import Malformed, MalformedReason

_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Advertisement:
    """A hub in search of a partner. `system_type` is one of codes.SystemType or a number we have no name for."""

    button_pressed: bool
    system_type: int
    capabilities: Capability = Capability.CENTRAL | Capability.PERIPHERAL | Capability.PORTS
    last_network: int = 0
    status: int = 0
    option: int = 0

    def encode(self) -> bytes:
        """Lay out as manufacturer data, without the company id."""
        head = (self.button_pressed, self.system_type, self.capabilities)
        return bytes((*head, self.last_network, self.status, self.option))


def decode_advertisement(data: bytes | bytearray) -> Advertisement | Malformed:
    """Read manufacturer data filed under codes.COMPANY_ID; never raises."""
    raw = bytes(data)
    if len(raw) < _LENGTH:
        return Malformed(MalformedReason.TRUNCATED, f"{_LENGTH} bytes expected, there are {len(raw)}", raw)
    if len(raw) > _LENGTH:
        return Malformed(MalformedReason.TOO_LONG, f"{_LENGTH} bytes expected, there are {len(raw)}", raw)
    button, system_type, capabilities, *rest = raw
    return Advertisement(bool(button), system_type, Capability(capabilities), *rest)
