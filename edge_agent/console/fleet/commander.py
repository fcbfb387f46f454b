"""Commands to trains over Kafka, and their results, which are events of the trains.

The console has decided who may command; the train wants its own command token, which the console holds
(kafka.command_token). Sending has a thread and a loop of its own: a producer that hangs is cancelled with all that it
had started.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_agent.config import KafkaSettings, read_secret
from edge_agent.console.commands import RESULT_TIMEOUT_S
from edge_agent.console.store import Change, ItemAdded
from edge_agent.control.commands import Code, Command, Refusal, refused
from edge_agent.errors import EdgeAgentError, RetryableError
from edge_agent.events import CommandResult
from edge_agent.observers.cloudevents import AnswerData, OrderData, kafka, write_command
from edge_agent.observers.kafka.producer import Producer
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind
from edge_agent.runtime.backoff import Backoff
from edge_agent.runtime.threads import LoopThread, in_daemon_thread

SOURCE = "/consoles/fleet"
_CLIENT = "edge-agent-console-orders"
_MAX_WAITING = 1000


@dataclass(frozen=True, slots=True)
class _PendingRecord:
    """A message to send, dropped after `until_s`, in seconds on the monotonic clock."""

    record: OutboxRecord
    until_s: float


class FleetCommander:
    """A Commander over Kafka.

    Args:
        settings: how to reach Kafka, the topic of commands and the trains' command token.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._waiting: dict[str, asyncio.Future[CommandResult]] = {}
        self._queue: asyncio.Queue[_PendingRecord] | None = None
        self._thread = LoopThread("fleet-commands", self._send_loop, lambda: None)

    async def run(self) -> None:
        """Keep a producer ready until cancelled."""
        self._thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._thread.cancel()

    async def send(self, train_id: str, command: Command) -> CommandResult | None:
        """Send a command and wait for the train's result; raises EdgeAgentError where it cannot be sent."""
        now_s = asyncio.get_running_loop().time()
        command_id = command.command_id
        if command.malformed is not None:
            return refused(command, command.malformed, now_s)
        if not command_id or command_id in self._waiting:
            why = "the command has no id of its own; give each one an id"
            return refused(command, Refusal(Code.NO_ID, why), now_s)
        if len(self._waiting) >= _MAX_WAITING:
            raise RetryableError("too many commands wait for an answer", remedy="try again in some seconds")
        record = await in_daemon_thread(lambda: self._record(train_id, command, command_id), "fleet-command")
        result: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = result
        try:
            self._enqueue(_PendingRecord(record, time.monotonic() + RESULT_TIMEOUT_S))
            async with asyncio.timeout(RESULT_TIMEOUT_S):
                return await result
        except TimeoutError:
            return None
        finally:
            del self._waiting[command_id]

    def match_results(self, changes: Iterable[Change]) -> None:
        """Return results to those who wait for them; they are among the events of trains."""
        now_s = asyncio.get_running_loop().time()
        for change in changes:
            if not isinstance(change, ItemAdded) or not isinstance(change.item.data, AnswerData):
                continue
            data = change.item.data
            waiting = self._waiting.get(data.command_id or "")
            if waiting is not None and not waiting.done():
                waiting.set_result(CommandResult(**dataclasses.asdict(data), at_s=now_s))

    def _record(self, train_id: str, command: Command, command_id: str) -> OutboxRecord:
        token = read_secret(self._settings.command_token, self._settings.command_token_file, "kafka.command_token_file")
        now_s = time.time()
        issued_s = now_s if command.issued_unix_s is None else command.issued_unix_s
        data = OrderData(
            id=command_id,
            issued_at=datetime.fromtimestamp(issued_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            token=token.get_secret_value() if token else None,
            by=command.sender,
            reason=command.reason or None,
            power_percent=command.power_percent,
        )
        headers, value = kafka.binary(write_command(train_id, str(command.verb), data, source=SOURCE))
        topic, key, at_ms = self._settings.command_topic, train_id.encode(), round(now_s * 1000)
        return OutboxRecord(RecordKind.SAFETY, topic, key, headers, value, at_ms)

    def _enqueue(self, pending: _PendingRecord) -> None:
        queue = self._queue
        if queue is None:
            raise RetryableError("Kafka is not reached yet", remedy="try again in some seconds")
        self._thread.call(lambda: queue.put_nowait(pending))

    async def _send_loop(self) -> None:
        queue: asyncio.Queue[_PendingRecord] = asyncio.Queue()
        backoff = Backoff(self._settings.retry_max_s)
        self._queue = queue
        pending: _PendingRecord | None = None
        while True:
            producer = Producer(self._settings, _CLIENT)
            try:
                await producer.open()
                backoff.reset()
                while True:
                    pending = pending or await queue.get()
                    if time.monotonic() < pending.until_s:
                        await producer.send([pending.record])
                    pending = None
            except EdgeAgentError:
                pass  # the listener reports what is wrong with Kafka; the sender gets a timeout
            finally:
                with contextlib.suppress(Exception):
                    await producer.abandon()
            await asyncio.sleep(backoff.next_s())
