"""What other threads ask of the outbox's thread.

Knows the questions and how each is answered. Knows nothing of when.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field

from edge_agent.errors import RetryableError
from edge_agent.observers.outbox.record import OutboxRecord


class OutboxUnavailableError(RetryableError):
    """The outbox cannot be used now (locked, full, closed); asking again later may help."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Something was handed over."""


@dataclass(frozen=True, slots=True)
class Read:
    """Give rows behind a sequence number."""

    after_seq: int
    max_rows: int
    max_bytes: int
    answer: "Future[list[OutboxRecord]]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Rows up to `seq` have arrived: forget them with the next commit."""

    seq: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The row can never be sent: to the dead letters with it."""

    seq: int
    reason: str
    answer: "Future[None]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Flush:
    """Commit now what was handed over before this."""

    answer: "Future[None]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Close:
    """Commit what is here, close the file, end."""


OutboxRequest = Wake | Read | Acknowledge | DeadLetter | Flush | Close


def refuse(request: OutboxRequest, why: str) -> None:
    """Answer a question that nobody can answer any more."""
    if isinstance(request, Read | DeadLetter | Flush) and request.answer.set_running_or_notify_cancel():
        request.answer.set_exception(OutboxUnavailableError(why))
