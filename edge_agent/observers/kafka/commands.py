"""Orders that come to the train through Kafka: brought from a topic to what is done about them in the event loop.

Knows how to go on listening, that a stop overtakes what came with it, and that of a flood only a part is looked at.
Knows nothing of what an order means, or whether it may be obeyed: handlers do. Only what is sent after the start is
heard, so nothing old is replayed at a restart.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka_errors

from edge_agent.config import KafkaSettings
from edge_agent.control.commands import (
    STOPPING,
    Accepted,
    Code,
    CommandHandler,
    CommandRequest,
    Refused,
    Verb,
    parse_command,
    parse_unix_s,
)
from edge_agent.faults import KAFKA_COMMANDS_FAILED, KAFKA_COMMANDS_UNHEARD, FaultReport, FaultReporter
from edge_agent.observers.cloudevents import CommandMessage, MalformedMessageError, read_command
from edge_agent.observers.crazy_train import payloads as compat
from edge_agent.observers.kafka.client import client_arguments, consume_forever
from edge_agent.runtime.threads import LoopThread

PAUSE_S = 0.1
"""So long the listener rests after it has heard something: even a flood must not take the processor from the train."""

AT_ONCE = 5
"""So many orders are looked at then, beside as many stops."""

_POLL_MS = 1000
_MAX_RECORDS = 500
_CLOSE_S = 3.0
_FRESH_MS = 5000.0


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """A message of a topic of orders. `age_ms` is by the wall clocks of sender and train: compare it with care."""

    topic: str
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes = field(repr=False)
    age_ms: float


class TopicHandler(Protocol):
    """What is done about the messages of one topic. Called in the listener's thread."""

    def ours(self, message: TopicMessage) -> bool:
        """Tell whether a message is for this train."""
        ...

    def stop(self, message: TopicMessage) -> str | None:
        """Return what a message stops, None where it does not only stop."""
        ...

    def handle(self, message: TopicMessage) -> Callable[[], object] | None:
        """Read a message; return what to do about it in the event loop."""
        ...


class KafkaCommandConsumer:
    """Listens to a topic for as long as it runs, in a thread and a loop of its own.

    Args:
        settings: how to reach Kafka.
        train_id: names us in the brokers' logs.
        topic: what to listen to.
        handler: what is done about its messages.
        report: is called in the event loop with what there is to tell.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        train_id: str,
        topic: str,
        handler: TopicHandler,
        report_fault: Callable[[FaultReport], None] = lambda report: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.listening = False
        self.heard = 0
        self.discarded = 0
        self._settings = settings
        self._client_id = f"edge-agent-{train_id}-{topic}"
        self._topic = topic
        self._handler = handler
        self._report_in_loop = report_fault
        self._faults = FaultReporter(self._report_fault, time.monotonic)
        self._wall = wall
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = LoopThread("kafka-orders", self._listen_for_ever, self._failed)

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
        """Wait for the thread's end after `run`; False when it takes longer."""
        return self._thread.join(timeout_s)

    async def _listen_for_ever(self) -> None:
        await consume_forever(self._settings, self._make, self._listen, self._report_deafness)

    def _make(self) -> Any:
        arguments = client_arguments(self._settings, self._client_id)
        return AIOKafkaConsumer(self._topic, **arguments, auto_offset_reset="latest", enable_auto_commit=False)

    async def _listen(self, consumer: Any, well: Callable[[], None]) -> None:
        well()
        self.listening = True
        try:
            while True:
                parts = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
                self._faults.clear(KAFKA_COMMANDS_UNHEARD)
                messages = [self._message(record) for records in parts.values() for record in records]
                if messages:
                    self._take(messages)
                    await asyncio.sleep(PAUSE_S)
        finally:
            self.listening = False

    def _message(self, record: Any) -> TopicMessage:
        age_ms = max(0.0, self._wall() * 1000 - record.timestamp)
        return TopicMessage(record.topic, record.key, tuple(record.headers), record.value or b"", age_ms)

    def _take(self, messages: list[TopicMessage]) -> None:
        """Handle stops first, then the others, of both only so many; what is left out was never looked at."""
        self.heard += len(messages)
        firsts: dict[str, TopicMessage] = {}
        more, others = [], []
        for message in messages:
            if not self._handler.ours(message):
                continue
            stop = self._handler.stop(message)
            if stop is None:
                others.append(message)
            elif firsts.setdefault(stop, message) is not message:
                more.append(message)
        stops = [*firsts.values(), *more]
        for message in (*stops[:AT_ONCE], *others[:AT_ONCE]):
            self._deliver(message)
        self.discarded += len(stops[AT_ONCE:]) + len(others[AT_ONCE:])

    def _deliver(self, message: TopicMessage) -> None:
        work = self._handler.handle(message)
        if work is not None:
            self._in_loop(work)

    async def _report_deafness(self, error: Exception) -> None:
        """Report why no commands can come in, unless the uplink has the same trouble and reports it."""
        topic = self._topic
        if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
            message, remedy = f"Kafka does not let us read {topic}", "grant the user READ and DESCRIBE on the topic"
        elif isinstance(error, kafka_errors.UnknownTopicOrPartitionError):
            message, remedy = f"Kafka has no topic {topic} and does not make one", "create the topic"
        else:
            return
        self._faults.report(KAFKA_COMMANDS_UNHEARD, f"{message}: no commands come in by it", remedy)

    def _failed(self) -> None:
        self._faults.report(KAFKA_COMMANDS_FAILED, "the listener for commands has failed")

    def _report_fault(self, report: FaultReport) -> None:
        self._in_loop(lambda: self._report_in_loop(report))

    def _in_loop(self, work: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(work)


class CaptureHandler:
    """Takes the original's `train-command-capture`: a stop always, a start only while it is fresh.

    Args:
        obey: carries the wish out, in the event loop.
    """

    def __init__(self, obey: Callable[[compat.CaptureCommand], None]) -> None:
        self._obey = obey

    def ours(self, message: TopicMessage) -> bool:
        """Every message is: the original knows one train."""
        return True

    def stop(self, message: TopicMessage) -> str | None:
        """Return `stop` for an order to stop."""
        wish = compat.read_capture_command(message.value)
        return "stop" if wish is not None and wish.command == "stop" else None

    def handle(self, message: TopicMessage) -> Callable[[], object] | None:
        """Return how to obey."""
        wish = compat.read_capture_command(message.value)
        if wish is None or (wish.command != "stop" and message.age_ms > _FRESH_MS):
            return None
        return lambda: self._obey(wish)


_log = structlog.get_logger(__name__)

_LONGEST = 128
_NO_PICTURES = Refused(Code.VALUE, "pictures on request go out by MQTT; Kafka gets every one where kafka.images is set")


class KafkaCommands:
    """Takes the commands of one train, in the listener's thread. A kafka_orders.Handler.

    Args:
        train_id: only messages with this key are ours.
        desk: judges, carries out and tells.
    """

    def __init__(self, train_id: str, desk: CommandHandler) -> None:
        self.accepted = 0
        self.refused = 0
        self._key = train_id.encode()
        self._desk = desk

    def ours(self, message: TopicMessage) -> bool:
        """Tell whether a message is for this train."""
        return message.key == self._key

    def stop(self, message: TopicMessage) -> str | None:
        """Return what a message stops, None where it does not only stop."""
        try:
            order = read_command(message.headers, message.value)
        except MalformedMessageError:
            return None
        request = parse_command(order.verb, order.body)
        return request.verb.value if isinstance(request, CommandRequest) and request.verb in STOPPING else None

    def handle(self, message: TopicMessage) -> Callable[[], object] | None:
        """Judge a command; return what to do about it in the train's loop."""
        try:
            order = read_command(message.headers, message.value)
        except MalformedMessageError as error:
            _log.warning("command_unreadable", channel="kafka", reason=error.message)
            return None
        request = _request(order)
        verdict = self._desk.judge(request)
        command_id = request.command_id if isinstance(request, CommandRequest) else _short(order.order_id)
        verb, who = _short(order.verb) or "", _who(order, request)
        if isinstance(verdict, Accepted):
            self.accepted += 1
            _log.info("command", channel="kafka", name=verb, id=command_id, by=who)
        else:
            self.refused += 1
            _log.warning("command_refused", channel="kafka", name=verb, code=verdict.code.value, reason=verdict.reason)
        return lambda: self._desk.settle(verb, command_id, verdict, who)


def _request(order: CommandMessage) -> CommandRequest | Refused:
    """Read a command's body; where it lacks id or time, those of the event are meant."""
    request = parse_command(order.verb, order.body)
    if isinstance(request, Refused):
        return request
    if request.verb is Verb.IMAGE:
        return _NO_PICTURES
    issued_unix_s = parse_unix_s(order.issued_at) if request.issued_unix_s is None else request.issued_unix_s
    return replace(request, command_id=request.command_id or _short(order.order_id), issued_unix_s=issued_unix_s)


def _who(order: CommandMessage, request: CommandRequest | Refused) -> str | None:
    return (request.by if isinstance(request, CommandRequest) else None) or _short(order.source)


def _short(text: str) -> str | None:
    """Return a text that may go into answers and logs; None for one that is long or cannot be shown."""
    return text if len(text) <= _LONGEST and text.isprintable() else None
