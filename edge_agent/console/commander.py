"""The way of a command to its train, whatever it is.

Knows what is asked and answered. Knows nothing of HTTP or of how a train is reached.
"""

from dataclasses import dataclass
from typing import Protocol

from edge_agent.commands import Refused, Request

PATIENCE_S = 2.0
"""A command that was not acknowledged within this time is told as that; it may still be carried out."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command on its way; `who` gave it."""

    train_id: str
    verb: str
    request: Request | Refused
    who: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the train said; `state` is the guard's after an accepted command."""

    accepted: bool
    state: str | None
    reason: str


class Commander(Protocol):
    """Brings commands to trains."""

    async def send(self, order: Order) -> Reply | None:
        """Send a command and return the train's reply; None where there was none within PATIENCE_S.

        Raises EdgeAgentError where it cannot be sent.
        """
        ...
