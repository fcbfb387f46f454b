"""Sending what waits in the outbox by hand, while no agent runs.

Knows how the outbox and the uplink fit together for that. Knows nothing of terminals.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.config import Kafka
from edge_agent.mirror.kafka_uplink import Uplink
from edge_agent.mirror.notice import Notice
from edge_agent.mirror.outbox import Outbox
from edge_agent.mirror.outbox_path import budget_of
from edge_agent.mirror.outbox_requests import OutboxAwayError
from edge_agent.mirror.outbox_schema import OutboxLock
from edge_agent.mirror.outbox_view import look
from edge_agent.mirror.record import Record

_LOOK_EVERY_S = 0.1
_END_S = 4.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain came to: messages sent, dead-lettered and still waiting; `error` says why some still wait."""

    sent: int
    dead: int
    left: int
    duration_s: float
    error: str
    remedy: str


def drain(
    settings: Kafka, path: Path, train_id: str, *, timeout_s: float, progress: Callable[[int, int], None]
) -> Drained:
    """Send what waits, in order, at the configured rate, for at most `timeout_s`.

    `progress` gets how many are gone and how many there were, a few times a second. Raises RetryableError where an
    agent holds the outbox: it drains by itself.
    """
    total = look(path).waiting
    if not total:
        return Drained(0, 0, 0, 0.0, "", "")
    lock = OutboxLock(path)
    lock.acquire()
    lock.release()
    notices: list[Notice] = []
    outbox: Outbox[None] = Outbox(path, budget_of(settings), _nothing, tell=notices.append)
    uplink = Uplink(settings, outbox, f"edge-agent-{train_id}-drain", tell=notices.append)
    begun_s = time.monotonic()
    outbox.start(uplink.wake)
    try:
        outbox.flush().result(_END_S)  # it is open from here on: an outbox that is not yet open looks empty
        uplink.start()
        uplink.finish()
        while not uplink.join(_LOOK_EVERY_S) and time.monotonic() - begun_s < timeout_s:
            progress(uplink.stats.sent + uplink.stats.dead, total)
        progress(uplink.stats.sent + uplink.stats.dead, total)
    except (OutboxAwayError, TimeoutError):
        pass
    finally:
        uplink.stop(_END_S)
        outbox.close(_END_S)
    left = look(path).waiting
    return _result(uplink, left, time.monotonic() - begun_s, notices)


def _result(uplink: Uplink, left: int, duration_s: float, notices: Sequence[Notice]) -> Drained:
    told = [notice for notice in notices if notice.active and notice.code != "kafka_dead_letter"]
    error = uplink.stats.error or (told[-1].message if told else "the time is up")
    remedy = told[-1].remedy if told else "try again with a longer --timeout"
    stats = uplink.stats
    return Drained(stats.sent, stats.dead, left, duration_s, error if left else "", remedy if left else "")


def _nothing(_value: None, _sequence: int) -> Sequence[Record]:
    return ()
