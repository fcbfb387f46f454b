"""Commands from Kafka topics: read in a thread of their own, handed to the train's CommandHandler.

A stop overtakes what came with it, and of a flood only a part is handled. Only messages sent after the start are read,
so nothing old is replayed at a restart.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, errors as kafka_errors

from edge_agent.config import KafkaSettings
from edge_agent.control.commands import Command, CommandHandler, CommandMessage, Verb, parse_command
from edge_agent.faults import KAFKA_COMMANDS_FAILED, KAFKA_COMMANDS_UNHEARD, FaultReport, FaultReporter
from edge_agent.observers.cloudevents import MalformedMessageError, read_command
from edge_agent.observers.crazy_train import payloads as compat
from edge_agent.observers.kafka.client import client_arguments, consume_forever
from edge_agent.runtime.threads import LoopThread

_log = structlog.get_logger(__name__)

PAUSE_S = 0.1
"""Pause after each batch of records: even a flood must not take the processor from the train."""

MAX_PER_BATCH = 5
"""Maximum number of commands handled per batch, and of stops."""

_POLL_MS = 1000
_MAX_RECORDS = 500
_CLOSE_S = 3.0


class Record(Protocol):
    """The part of aiokafka.ConsumerRecord that is read; `timestamp` is the sender's or broker's, in ms since 1970."""

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
        report_fault: Callable[[FaultReport], None] = lambda report: None,
    ) -> None:
        self.listening = False
        self.received = 0
        self.discarded = 0
        self._settings = settings
        self._client_id = f"edge-agent-{train_id}-{topic}"
        self._topic = topic
        self._read = read
        self._commands = commands
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
        await consume_forever(self._settings, self._make, self._listen, self._report_unreadable_topic)

    def _make(self) -> Any:
        arguments = client_arguments(self._settings, self._client_id)
        return AIOKafkaConsumer(self._topic, **arguments, auto_offset_reset="latest", enable_auto_commit=False)

    async def _listen(self, consumer: Any, ready: Callable[[], None]) -> None:
        ready()
        self.listening = True
        try:
            while True:
                parts = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
                self._faults.clear(KAFKA_COMMANDS_UNHEARD)
                records = [record for part in parts.values() for record in part]
                if records:
                    self._submit(records)
                    await asyncio.sleep(PAUSE_S)
        finally:
            self.listening = False

    def _submit(self, records: list[Record]) -> None:
        """Submit stops first, then the others, at most MAX_PER_BATCH of each; the rest is counted as discarded.

        The first stop of each verb goes before all others, so that no kind of stop is left out.
        """
        came_after = self._commands.stops
        firsts: dict[Verb | None, Command] = {}
        stops, others = [], []
        for command in self._parse(records):
            if not command.stops:
                others.append(command)
            elif firsts.setdefault(command.verb, command) is not command:
                stops.append(command)
        stops = [*firsts.values(), *stops]
        for command in (*stops[:MAX_PER_BATCH], *others[:MAX_PER_BATCH]):
            self._commands.submit(command, stops=came_after)
        self.discarded += len(stops[MAX_PER_BATCH:]) + len(others[MAX_PER_BATCH:])

    def _parse(self, records: list[Record]) -> Iterator[Command]:
        """Yield the commands for this train; of several unreadable records, log the first."""
        unreadable = 0
        for record in records:
            self.received += 1
            try:
                message = self._read(record)
            except MalformedMessageError as error:
                unreadable += 1
                if unreadable == 1:
                    _log.warning("command_unreadable", channel="kafka", reason=error.message)
                continue
            if message is not None:
                yield parse_command(message)

    async def _report_unreadable_topic(self, error: Exception) -> None:
        """Report why no commands can come in, unless the uplink has the same trouble and reports it."""
        topic = self._topic
        if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
            message, remedy = (
                f"Kafka denies access to {topic}",
                "grant the user READ and DESCRIBE on the topic",
            )
        elif isinstance(error, kafka_errors.UnknownTopicOrPartitionError):
            message, remedy = f"Kafka has no topic {topic} and does not create one", "create the topic"
        else:
            return
        self._faults.report(KAFKA_COMMANDS_UNHEARD, f"{message}: no commands are received from it", remedy)

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
