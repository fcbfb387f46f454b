"""Sending what waits in the outbox by hand, while no agent runs.

Knows how the outbox and the uplink fit together for that. Knows nothing of terminals.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from edge_agent.config import KafkaSettings
from edge_agent.errors import ConfigError
from edge_agent.faults import KAFKA_DEAD_LETTER, FaultReport, FaultReporter
from edge_agent.observers.cloudevents import Envelope, MalformedMessageError, kafka
from edge_agent.observers.kafka.client import client_arguments, link_error
from edge_agent.observers.kafka.uplink import Uplink
from edge_agent.observers.outbox.file import OutboxLock
from edge_agent.observers.outbox.outbox import Outbox, budget_of
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.view import inspect_outbox
from edge_agent.observers.outbox.writer import OutboxUnavailableError
from edge_agent.runtime.timeouts import with_timeout

_LOOK_EVERY_S = 0.1
_END_S = 4.0


@dataclass(frozen=True, slots=True)
class DrainResult:
    """What a drain came to: messages sent, dead-lettered and still waiting; `error` says why some still wait."""

    sent: int
    dead: int
    left: int
    duration_s: float
    error: str
    remedy: str


def drain(
    settings: KafkaSettings, path: Path, train_id: str, *, timeout_s: float, progress: Callable[[int, int], None]
) -> DrainResult:
    """Send what waits, in order, at the configured rate, for at most `timeout_s`.

    `progress` gets how many are gone and how many there were, a few times a second. Raises RetryableError where an
    agent holds the outbox: it drains by itself.
    """
    total = inspect_outbox(path).waiting
    if not total:
        return DrainResult(0, 0, 0, 0.0, "", "")
    lock = OutboxLock(path)
    lock.acquire()
    lock.release()
    reports: list[FaultReport] = []
    outbox: Outbox[None] = Outbox(
        path, budget_of(settings), _nothing, faults=FaultReporter(reports.append, time.monotonic)
    )
    uplink = Uplink(
        settings, outbox, f"edge-agent-{train_id}-drain", faults=FaultReporter(reports.append, time.monotonic)
    )
    begun_s = time.monotonic()
    outbox.start(uplink.wake)
    try:
        outbox.flush().result(_END_S)  # it is open from here on: an outbox that is not yet open looks empty
        uplink.start()
        uplink.finish()
        while not uplink.join(_LOOK_EVERY_S) and time.monotonic() - begun_s < timeout_s:
            progress(uplink.stats.sent + uplink.stats.dead, total)
        progress(uplink.stats.sent + uplink.stats.dead, total)
    except (OutboxUnavailableError, TimeoutError):
        pass
    finally:
        uplink.stop(_END_S)
        outbox.close(_END_S)
    left = inspect_outbox(path).waiting
    return _result(uplink, left, time.monotonic() - begun_s, reports)


def _result(uplink: Uplink, left: int, duration_s: float, reports: Sequence[FaultReport]) -> DrainResult:
    causes = [report for report in reports if report.active and report.code != KAFKA_DEAD_LETTER.code]
    error = uplink.stats.error or (causes[-1].message if causes else "the time is up")
    remedy = causes[-1].remedy if causes else "try again with a longer --timeout"
    stats = uplink.stats
    return DrainResult(stats.sent, stats.dead, left, duration_s, error if left else "", remedy if left else "")


def _nothing(_value: None, _sequence: int) -> Sequence[OutboxRecord]:
    return ()


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message: its envelope, or why it is no event of ours."""

    envelope: Envelope | None
    problem: str
    bytes: int


async def tail(settings: KafkaSettings, *, from_start: bool) -> AsyncGenerator[ReceivedMessage, None]:
    """Yield each message of the events' topic as it comes, for ever. Raises LinkError when Kafka cannot be reached."""
    arguments = client_arguments(settings, "edge-agent-tail")
    offset = "earliest" if from_start else "latest"
    consumer = AIOKafkaConsumer(settings.topic, **arguments, auto_offset_reset=offset, enable_auto_commit=False)
    try:
        await _start(consumer, settings)
        async for message in consumer:
            size = len(message.value or b"")
            try:
                yield ReceivedMessage(kafka.read(message.headers, message.value), "", size)
            except MalformedMessageError as error:
                yield ReceivedMessage(None, error.message, size)
    finally:
        with_time = asyncio.ensure_future(with_timeout(consumer.stop(), settings.send_timeout_s))
        await asyncio.wait({with_time})


async def _start(consumer: AIOKafkaConsumer, settings: KafkaSettings) -> None:
    try:
        await with_timeout(consumer.start(), settings.send_timeout_s)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - aiokafka lets more than its own errors out; each means no link
        raise link_error(error, settings) from None
