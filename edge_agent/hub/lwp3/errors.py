"""Generic errors: the hub refuses a message.

Knows the refusal. Knows nothing of the message that was refused beyond its type.
"""

from dataclasses import dataclass
from typing import ClassVar

from edge_agent.hub.lwp3.codes import MessageType
from edge_agent.hub.lwp3.frame import unpack


@dataclass(frozen=True, slots=True)
class GenericError:
    """The hub answers a message of type `command` with `code` (codes.ErrorCode, or a number we have no name for)."""

    TYPE: ClassVar[MessageType] = MessageType.GENERIC_ERROR

    command: int
    code: int

    def payload(self) -> bytes:
        """Lay out behind the common header."""
        return bytes((self.command, self.code))


def parse(payload: bytes) -> GenericError:
    """Read a generic error message; raises DecodeError."""
    return GenericError(*unpack("BB", payload))
