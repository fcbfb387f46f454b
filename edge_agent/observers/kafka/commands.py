"""Commands from Kafka topics: read in a thread of their own, handed to the train's CommandHandler.

A stop overtakes what came with it, and of a flood only a part is handled. What was sent before the start is not read.
What came while the topic could not be read is read for stops, the one kind of command for which late is better than
never.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from edge_agent.config import KafkaSettings
from edge_agent.control.commands import Command, CommandHandler, CommandMessage, Verb, parse_command
from edge_agent.faults import (
    KAFKA_COMMANDS_AWAY,
    KAFKA_COMMANDS_FAILED,
    KAFKA_COMMANDS_UNHEARD,
    KAFKA_COMMANDS_UNREADABLE,
    KAFKA_UNREACHABLE,
    FaultReport,
    FaultReporter,
)
from edge_agent.observers.cloudevents import MalformedMessageError, read_command
from edge_agent.observers.crazy_train import payloads as compat
from edge_agent.observers.kafka.client import client_arguments, connection_cause, consume_forever, link_error
from edge_agent.observers.kafka.reader import RecordReader, TopicChangedError, TopicProgress
from edge_agent.runtime.threads import LoopThread

_log = structlog.get_logger(__name__)

WINDOW_S = 0.1
"""Time in which at most 500 records are read: even a flood must not take the processor from the train."""

MAX_PER_WINDOW = 5
"""Maximum number of commands handled in that time, beside stops."""

MAX_STOPS_PER_WINDOW = 20
"""Maximum number of stops handled in that time, the first of each kind aside."""

_POLL_MS = 1000
_FETCH_MS = 100  # how long a broker may hold back an answer; some look for new messages no more often than that
_MAX_AHEAD_S = 5.0  # of a sender's clock
_UNREADABLE_S = 60.0  # after so long without one, unreadable messages are over
_MAX_RECORDS = 500
_CLOSE_S = 3.0


class Record(Protocol):
    """The part of aiokafka.ConsumerRecord that is read; `timestamp` is the sender's or broker's, in ms since 1970."""

    topic: str
    partition: int
    offset: int
    key: Any
    value: Any
    headers: Sequence[tuple[str, bytes]]
    timestamp: int


ReadMessage = Callable[[Record], CommandMessage | None]
"""Reads a record; None for one that is not for this train. Raises MalformedMessageError."""


class KafkaCommandConsumer:
    """Consumes commands from a topic, in a thread with an event loop of its own.

    Args:
        settings: how to reach Kafka.
        train_id: names the client in the brokers' logs.
        topic: what to consume.
        read: reads a record; None for one that is not for this train.
        commands: handles what was read.
        max_age_s: how old a stop may be that came while the topic could not be read.
        report_fault: called in the train's event loop with each fault.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        train_id: str,
        topic: str,
        read: ReadMessage,
        commands: CommandHandler,
        max_age_s: float = 10.0,
        report_fault: Callable[[FaultReport], None] = lambda report: None,
    ) -> None:
        self.listening = False
        self.received = 0
        self.discarded = 0
        self.unreadable = 0
        self._settings = settings
        self._client_id = f"edge-agent-{train_id}-{topic}"
        self._topic = topic
        self._read = read
        self._commands = commands
        self._max_age_s = max_age_s
        self._read_s, self._read_unix_s = time.monotonic(), time.time()
        self._unreadable_s = 0.0
        self._window_s, self._stops, self._others = -WINDOW_S, 0, 0
        self._verbs: set[Verb | None] = set()
        self._progress = TopicProgress()
        self._present: dict[TopicPartition, int] = {}
        self._oldest_ms = 0
        self._report_in_loop = report_fault
        self._faults = FaultReporter(self._report_fault, time.monotonic)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = LoopThread("kafka-commands", self._consume, self._failed)

    async def run(self) -> None:
        """Listen until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._loop = None
            self._thread.cancel()

    def join(self, timeout_s: float = _CLOSE_S) -> bool:
        """Wait for the thread's end after `run`; return False if it takes longer."""
        return self._thread.join(timeout_s)

    async def _consume(self) -> None:
        await consume_forever(self._settings, self._make, self._listen, self._report_error)

    def _make(self) -> Any:
        arguments = client_arguments(self._settings, self._client_id)
        return AIOKafkaConsumer(
            self._topic,
            **arguments,
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_MS,
        )

    async def _listen(self, consumer: Any, ready: Callable[[], None]) -> None:
        reader = RecordReader(consumer, self._settings.send_timeout_s, self._count_undecodable, self._progress)
        # All that came since reading ended is younger than that, whatever clock its sender has.
        recent = bool(self._progress.positions) and time.monotonic() - self._read_s <= self._max_age_s
        since_ms = round(max(self._read_unix_s, time.time() - self._max_age_s) * 1000)
        self._oldest_ms = 0 if recent else since_ms
        self._present = await reader.seek(since_ms, resume=recent)
        self.listening = True
        try:
            while True:
                records = await reader.read(_POLL_MS, _MAX_RECORDS)
                self._read_s, self._read_unix_s = time.monotonic(), time.time()
                ready()
                self._faults.clear(KAFKA_COMMANDS_UNHEARD)  # or whichever of its group is active
                if time.monotonic() - self._unreadable_s > _UNREADABLE_S:
                    self._faults.clear(KAFKA_COMMANDS_UNREADABLE)
                if records:
                    self._submit(records)
                    await asyncio.sleep(WINDOW_S * len(records) / _MAX_RECORDS)
        finally:
            self.listening = False

    def _submit(self, records: list[Record]) -> None:
        """Submit stops first, then the others, as many as a window allows; the rest is counted as discarded.

        The first stop of each verb goes before all others, however many there were: no kind of stop is left out.
        """
        came_after = self._commands.stops
        now_s = time.monotonic()
        if now_s - self._window_s >= WINDOW_S:
            self._window_s, self._verbs, self._stops, self._others = now_s, set(), 0, 0
        firsts, stops, others = list[Command](), list[Command](), list[Command]()
        for command in self._parse(records):
            if not command.stops:
                others.append(command)
            elif command.verb in self._verbs:
                stops.append(command)
            else:
                self._verbs.add(command.verb)
                firsts.append(command)
        more = max(0, MAX_STOPS_PER_WINDOW - self._stops - len(firsts))
        due = [*firsts, *stops[:more], *others[: MAX_PER_WINDOW - self._others]]
        for command in due:
            self._commands.submit(command, stops=came_after)
        stopping = sum(command.stops for command in due)
        self._stops += stopping
        self._others += len(due) - stopping
        self.discarded += len(firsts) + len(stops) + len(others) - len(due)

    def _parse(self, records: list[Record]) -> Iterator[Command]:
        """Yield the commands for this train; of what came while the topic could not be read, only stops."""
        unreadable, reason = 0, ""
        for record in records:
            self.received += 1
            try:
                message = self._read(record)
                command = None if message is None else parse_command(message)
            except Exception as error:  # noqa: BLE001 - nothing in one message may cost another
                unreadable += 1
                reason = reason or (error.message if isinstance(error, MalformedMessageError) else type(error).__name__)
                continue
            if command is None:
                continue
            if self._is_due(record, command):
                yield command
            else:
                self.discarded += 1
        if unreadable:
            self._count_undecodable(unreadable, reason)

    def _is_due(self, record: Record, command: Command) -> bool:
        """Return whether a command came just now, or is a stop that came while the topic could not be read."""
        if record.offset >= self._present.get(TopicPartition(record.topic, record.partition), 0):
            return True
        newest_ms = (time.time() + _MAX_AHEAD_S) * 1000
        return command.stops and (not self._oldest_ms or self._oldest_ms <= record.timestamp <= newest_ms)

    def _count_undecodable(self, count: int, reason: str) -> None:
        self.unreadable += count
        self._unreadable_s = time.monotonic()
        _log.warning("command_unreadable", channel="kafka", reason=reason)
        message = f"messages in the topic {self._topic} cannot be read: {self.unreadable} so far ({reason})"
        self._faults.report(KAFKA_COMMANDS_UNREADABLE, message)

    async def _report_error(self, error: Exception) -> None:
        """Report why no commands can come in."""
        if isinstance(error, TopicChangedError):
            _log.info("kafka_topic_changed", topic=self._topic)
            self._progress.forget()
            self._read_unix_s = 0.0  # nothing of the new topic has been read
            return
        cause = await connection_cause(error, self._settings, self._client_id)
        link = link_error(cause, self._settings, self._topic, reads=True)
        kind = KAFKA_COMMANDS_AWAY if link.kind is KAFKA_UNREACHABLE else KAFKA_COMMANDS_UNHEARD
        message = f"{link.message}: no commands are received from {self._topic}"
        self._faults.report(kind, message, link.remedy.partition(";")[0])

    def _failed(self) -> None:
        self._faults.report(KAFKA_COMMANDS_FAILED, "the listener for commands has failed")

    def _report_fault(self, report: FaultReport) -> None:
        self._in_loop(lambda: self._report_in_loop(report))

    def _in_loop(self, work: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(work)


def own_messages(train_id: str) -> ReadMessage:
    """Return the reader of the command topic, for messages whose key is the train's id."""
    key = train_id.encode()

    def read(record: Record) -> CommandMessage | None:
        return read_command(record.headers, record.value) if record.key == key else None

    return read


def capture_messages(wall: Callable[[], float] = time.time) -> ReadMessage:
    """Return the reader of the original demo's `train-command-capture`: one train, so all are for us."""

    def read(record: Record) -> CommandMessage:
        # A sender whose clock is ahead must not make a message younger than now.
        return compat.read_capture_command(record.value, min(record.timestamp / 1000, wall()))

    return read
