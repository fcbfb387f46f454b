"""Kafka by hand, while no agent runs: send what waits in the outbox, and follow the events' topic."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from edge_agent.config import KafkaSettings
from edge_agent.errors import EdgeAgentError
from edge_agent.faults import KAFKA_DEAD_LETTER, FaultReport, FaultReporter
from edge_agent.observers.cloudevents import Envelope, MalformedMessageError, kafka
from edge_agent.observers.kafka.client import NO_TOPIC_S, client_arguments, connection_cause, link_error
from edge_agent.observers.kafka.reader import RecordReader
from edge_agent.observers.kafka.uplink import Uplink
from edge_agent.observers.outbox.file import OutboxLock
from edge_agent.observers.outbox.outbox import Outbox, budget_of
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.view import inspect_outbox
from edge_agent.observers.outbox.writer import OutboxUnavailableError
from edge_agent.runtime.timeouts import with_timeout

_PROGRESS_EVERY_S = 0.1
_STOP_TIMEOUT_S = 4.0
_TAIL = "edge-agent-tail"
_TAIL_POLL_MS = 1000
_TAIL_RECORDS = 100


@dataclass(frozen=True, slots=True)
class DrainResult:
    """Result of a drain: messages sent, dead-lettered and still waiting; `error` says why some still wait."""

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

    `progress` is called with the messages done and the total, several times a second. Raises RetryableError if an agent
    holds the outbox: it drains it itself.
    """
    total = inspect_outbox(path).waiting
    if not total:
        return DrainResult(0, 0, 0, 0.0, "", "")
    lock = OutboxLock(path)
    lock.acquire()
    lock.release()
    reports: list[FaultReport] = []
    outbox: Outbox[None] = Outbox(
        path, budget_of(settings), _encode_nothing, faults=FaultReporter(reports.append, time.monotonic)
    )
    uplink = Uplink(
        settings, outbox, f"edge-agent-{train_id}-drain", faults=FaultReporter(reports.append, time.monotonic)
    )
    started_s = time.monotonic()
    outbox.start(uplink.wake)
    try:
        outbox.flush().result(_STOP_TIMEOUT_S)  # waits until it is open: until then it looks empty to the uplink
        uplink.start()
        uplink.finish()
        while not uplink.join(_PROGRESS_EVERY_S) and time.monotonic() - started_s < timeout_s:
            progress(uplink.stats.sent + uplink.stats.dead, total)
        progress(uplink.stats.sent + uplink.stats.dead, total)
    except (OutboxUnavailableError, TimeoutError):
        pass
    finally:
        uplink.stop(_STOP_TIMEOUT_S)
        outbox.close(_STOP_TIMEOUT_S)
    left = inspect_outbox(path).waiting
    return _result(uplink, left, time.monotonic() - started_s, reports)


def _result(uplink: Uplink, left: int, duration_s: float, reports: Sequence[FaultReport]) -> DrainResult:
    causes = [report for report in reports if report.active and report.code != KAFKA_DEAD_LETTER.code]
    error = uplink.stats.error or (causes[-1].message if causes else "the time limit was reached")
    remedy = causes[-1].remedy if causes else "try again with a longer --timeout"
    stats = uplink.stats
    return DrainResult(stats.sent, stats.dead, left, duration_s, error if left else "", remedy if left else "")


def _encode_nothing(_value: None, _sequence: int) -> Sequence[OutboxRecord]:
    return ()


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message: its envelope, or why it is not one of our events."""

    envelope: Envelope | None
    problem: str
    bytes: int


async def tail(settings: KafkaSettings, *, from_start: bool) -> AsyncGenerator[ReceivedMessage, None]:
    """Yield each message of the events' topic as it comes, forever. Raises KafkaLinkError if Kafka is unreachable."""
    arguments = client_arguments(settings, _TAIL)
    consumer = AIOKafkaConsumer(settings.topic, **arguments, auto_offset_reset="none", enable_auto_commit=False)
    undecodable: list[str] = []
    reader: RecordReader | None = None
    try:
        await with_timeout(consumer.start(), settings.send_timeout_s + NO_TOPIC_S)
        reader = RecordReader(consumer, settings.send_timeout_s, lambda count, reason: undecodable.append(reason))
        await reader.seek(0 if from_start else None)
        while True:
            records = await reader.read(_TAIL_POLL_MS, _TAIL_RECORDS)
            for reason in undecodable:
                yield ReceivedMessage(None, f"Kafka's client cannot decode it ({reason})", 0)
            undecodable.clear()
            for record in records:
                yield _received(record.headers, record.value)
    except EdgeAgentError:
        raise
    except Exception as error:  # noqa: BLE001 - aiokafka raises more than its own errors; all mean no link
        cause = await connection_cause(error, settings, _TAIL)
        raise link_error(cause, settings, settings.topic, reads=True) from None
    finally:
        if reader is not None:
            reader.close()
        stopping = asyncio.ensure_future(with_timeout(consumer.stop(), settings.send_timeout_s))
        await asyncio.wait({stopping})


def _received(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> ReceivedMessage:
    size = len(value or b"")
    try:
        return ReceivedMessage(kafka.read(headers, value), "", size)
    except MalformedMessageError as error:
        return ReceivedMessage(None, error.message, size)
