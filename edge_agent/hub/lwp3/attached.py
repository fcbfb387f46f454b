"""Hub attached I/O: what is plugged in where.

Knows the announcements a hub makes after it was subscribed to and whenever a plug moves. Knows nothing of what a device
is for.
"""

from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import AttachEvent, MessageType
from edge_agent.hub.lwp3.frame import at_least, code, pack, unpack
from edge_agent.hub.lwp3.version import Version

_UNKNOWN_VERSION = Version(0)


@dataclass(frozen=True, slots=True)
class PortAttached:
    """A device is on a port. `device_type` is one of codes.DeviceType or a number we have no name for."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ATTACHED_IO

    port: int
    device_type: int
    hardware: Version = _UNKNOWN_VERSION
    software: Version = _UNKNOWN_VERSION

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return pack("BBHII", self.port, AttachEvent.ATTACHED, self.device_type, self.hardware.raw, self.software.raw)


@dataclass(frozen=True, slots=True)
class VirtualPortAttached:
    """Two ports are coupled into a third."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ATTACHED_IO

    port: int
    device_type: int
    port_a: int
    port_b: int

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return pack("BBHBB", self.port, AttachEvent.ATTACHED_VIRTUAL, self.device_type, self.port_a, self.port_b)


@dataclass(frozen=True, slots=True)
class PortDetached:
    """A port is empty now."""

    TYPE: ClassVar[MessageType] = MessageType.HUB_ATTACHED_IO

    port: int

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.port, AttachEvent.DETACHED))


AttachedMessage = PortAttached | VirtualPortAttached | PortDetached


def parse(payload: bytes) -> AttachedMessage:
    """Read a hub attached I/O message; raises DecodeError."""
    at_least(2, payload)
    event = code(AttachEvent, payload[1])
    if event is AttachEvent.DETACHED:
        return PortDetached(unpack("BB", payload)[0])
    if event is AttachEvent.ATTACHED_VIRTUAL:
        port, _, device_type, port_a, port_b = unpack("BBHBB", payload)
        return VirtualPortAttached(port, device_type, port_a, port_b)
    port, _, device_type, hardware, software = unpack("BBHII", payload)
    return PortAttached(port, device_type, Version(hardware), Version(software))
