"""A session with the broker, and the loop that starts a new one after each failure, until the mirror ends.

Everything here belongs to the mirror's thread, but for `ReconnectLoop.stats`. What waits while the broker is away is
bounded, and what is dropped is counted: events that must not be lost go through the outbox to Kafka.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from aiomqtt import Message

from edge_agent.config import MqttSettings
from edge_agent.errors import EdgeAgentError
from edge_agent.events import Frame
from edge_agent.faults import MQTT_FAILED, MQTT_UNREACHABLE, FaultKind, FaultReporter
from edge_agent.observers.crazy_train import payloads as compat
from edge_agent.observers.mqtt import home_assistant
from edge_agent.observers.mqtt.client import MqttConnection
from edge_agent.observers.mqtt.commands import (
    MAX_PER_S,
    CommandQueue,
    MqttCommands,
)
from edge_agent.observers.mqtt.errors import DenialReporter, MqttLinkError
from edge_agent.observers.mqtt.messages import STATE, MqttMessageBuilder, OutgoingMessage
from edge_agent.observers.mqtt.send_queue import EventEncoder, FrameWithPrediction, SendQueue
from edge_agent.runtime.backoff import Backoff
from edge_agent.runtime.timeouts import cancel_all

_log = structlog.get_logger(__name__)

SHED_S = 5.0
"""In a flood of commands the train unsubscribes from them for this long; the broker drops them."""

_STOP_S = 0.2

COMMANDS_PER_S = 50
"""At most so many commands are handled in a second: even a flood of stops must not take the CPU from the train."""


@dataclass
class MqttCounts:
    """Counters of one mirror since its start. Mutable."""

    published: int = 0
    too_large: int = 0
    discarded: int = 0
    max_bytes: float = math.inf
    """The size of a message for which the broker closed the connection; none as large is sent."""


class MqttSession:
    """Publishes and receives over an open connection.

    Args:
        connection: open.
        send_queue: what waits to be published.
        image: encodes a frame and makes its message; called in another thread.
        topics: what to subscribe to, with the QoS.
        shed: those of the topics that are unsubscribed from while a flood of commands lasts.
        before_resubscribe: called before they are subscribed to again.
        birth: makes the messages that come first, after each connect and whenever `republish_birth` is called.
        receive: handles a received message; returns whether it was a command.
        up: called once the broker has acknowledged the birth messages.
        report_denied: called with the topic that the broker denies, and "read" or "size".
        counts: outlive the session.
    """

    def __init__(
        self,
        connection: MqttConnection,
        send_queue: SendQueue,
        *,
        image: Callable[[Frame], OutgoingMessage],
        topics: Mapping[str, int],
        shed: Mapping[str, int],
        before_resubscribe: Callable[[], None],
        birth: Callable[[], list[OutgoingMessage]],
        receive: Callable[[Message], bool],
        up: Callable[[], None],
        report_denied: Callable[[str, str], None],
        counts: MqttCounts,
    ) -> None:
        self._connection = connection
        self._send_queue = send_queue
        self._image = image
        self._topics = topics
        self._shed = shed
        self._before_resubscribe = before_resubscribe
        self._flood = asyncio.Event()
        self._birth = birth
        self._receive = receive
        self._up = up
        self._report_denied = report_denied
        self._counts = counts
        self._birth_due = False
        self._largest: OutgoingMessage | None = None

    def republish_birth(self) -> None:
        """Publish the birth messages again."""
        self._birth_due = True
        self._send_queue.assured_news.set()

    def on_flood(self) -> None:
        """Unsubscribe from commands for a while."""
        self._flood.set()

    async def run(self) -> None:
        """Publish and receive until the link breaks; raises MqttLinkError."""
        try:
            await self._work()
        except MqttLinkError as error:
            self._learn_size(error)
            raise

    async def _work(self) -> None:
        for topic in await self._connection.subscribe(self._topics):
            self._report_denied(topic, "read")
        await self._publish_birth()
        self._up()
        work = (self._read(), self._publish_assured(), self._publish_stream(), self._resubscribe_after_flood())
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # No TaskGroup: before Python 3.13 it loses a cancellation that comes while one of its tasks fails.
            await cancel_all(tasks, _STOP_S)
        for task in done:
            task.result()

    async def drain(self) -> None:
        """Publish the assured messages and replies that wait; raises MqttLinkError."""
        while self._send_queue.replies or self._send_queue.first() is not None:
            await self._next_assured()

    async def _publish_birth(self) -> None:
        """Publish that the train is online, then its state; states that still wait are older than that one."""
        self._birth_due = False
        self._send_queue.discard(STATE)
        for message in self._birth():
            await self._publish(message)

    async def _read(self) -> None:
        async for message in self._connection.messages():
            if self._receive(message):
                await asyncio.sleep(1 / COMMANDS_PER_S)

    async def _resubscribe_after_flood(self) -> None:
        """Leave it to the broker to drop a flood: even dropping it here would take the CPU from the train."""
        while True:
            await self._flood.wait()
            _log.warning("command_flood", shed_s=SHED_S)
            await self._connection.unsubscribe(self._shed)
            await asyncio.sleep(SHED_S)
            self._flood.clear()
            self._before_resubscribe()
            await self._connection.subscribe(self._shed)

    async def _publish_assured(self) -> None:
        while True:
            if not await self._next_assured():
                self._send_queue.assured_news.clear()
                await self._send_queue.assured_news.wait()

    async def _next_assured(self) -> bool:
        """Publish one message at QoS 1 and wait for its acknowledgement; return false where none waits."""
        queue = self._send_queue
        if self._birth_due:
            await self._publish_birth()
        elif queue.replies:
            await self._publish(queue.replies.popleft())
        elif queue.telemetry is not None:
            message, queue.telemetry = queue.telemetry, None
            await self._publish(message)
        elif (oldest := queue.first()) is not None:
            await self._publish(oldest)
            queue.acknowledge(oldest)
        else:
            return False
        return True

    async def _publish_stream(self) -> None:
        while True:
            item = self._send_queue.take()
            if item is None:
                self._send_queue.stream_news.clear()
                await self._send_queue.stream_news.wait()
            elif isinstance(item, OutgoingMessage):
                await self._publish(item)
            elif isinstance(item, FrameWithPrediction):
                await self._publish_original(item)
            else:
                await self._publish_picture(item)
            if item is not None and len(self._send_queue):
                await asyncio.sleep(0)  # a received stop must not wait until the queue is empty

    async def _publish_picture(self, frame: Frame) -> None:
        try:
            message = await asyncio.get_running_loop().run_in_executor(None, self._image, frame)
        except EdgeAgentError as error:
            _log.warning("picture_not_encoded", error=error.message)
            return
        await self._publish(message)

    async def _publish_original(self, pair: FrameWithPrediction) -> None:
        from edge_agent.observers.cloudevents.images import encode_webp  # noqa: PLC0415 - OpenCV takes long to load

        await self._publish(OutgoingMessage(compat.COMMAND_TOPIC, compat.train_command(pair.prediction)))
        picture = await asyncio.get_running_loop().run_in_executor(None, encode_webp, pair.frame.image)
        await self._publish(OutgoingMessage(compat.RESULT_TOPIC, compat.model_result(pair.prediction, picture)))

    async def _publish(self, message: OutgoingMessage) -> None:
        """Publish and count; a message that is too large for the broker is dropped, and reported."""
        if message.size_bytes >= self._counts.max_bytes:
            self._counts.too_large += 1
            self._report_denied(message.topic, "size")
            return
        if self._largest is None or message.size_bytes > self._largest.size_bytes:
            self._largest = message
        await self._connection.publish(message)
        self._counts.published += 1

    def _learn_size(self, error: MqttLinkError) -> None:
        """Remember the size that made the broker close the connection, until the link breaks for another reason."""
        # aiomqtt does not pass on the limit that CONNACK names. Of what was published, the largest was too large.
        if not error.too_large or self._largest is None:
            self._counts.max_bytes = math.inf
            return
        self._counts.max_bytes = self._largest.size_bytes
        self._report_denied(self._largest.topic, "size")
        if not self._largest.qos:  # at QoS 1 it is tried again, and counted then
            self._counts.too_large += 1


TELEMETRY_S = 1.0
"""The period of telemetry; as its QoS is 1, it also detects a frozen broker."""

_DRAIN_S = 0.5
_CANCEL_S = 0.2


@dataclass(frozen=True, slots=True)
class MqttLinkStats:
    """Figures of the link since the start; `discarded` commands were never read."""

    connected: bool = False
    attempts: int = 0
    failures: int = 0
    published: int = 0
    too_large: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    accepted: int = 0
    refused: int = 0
    discarded: int = 0


class ReconnectLoop:
    """Connects, runs a session, and starts again with a growing delay when it has failed.

    Args:
        settings: how to reach the broker.
        device: names the train.
        encoder: makes messages of the events.
        send_queue: where messages wait.
        messages: builds messages.
        commands: handles received commands; None takes none.
        faults: reports faults of the link.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: home_assistant.HomeAssistantDevice,
        encoder: EventEncoder,
        send_queue: SendQueue,
        messages: MqttMessageBuilder,
        *,
        commands: MqttCommands | None,
        faults: FaultReporter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._device = device
        self._encoder = encoder
        self._send_queue = send_queue
        self._wall = wall
        self._messages = messages
        self._faults = faults
        self._denials = DenialReporter(faults)
        self._counts = MqttCounts()
        self._commands = commands
        self._inbox = CommandQueue(
            commands.read if commands else lambda message: None,
            self._discard,
            self._flooded,
            max_per_s=commands.max_per_s if commands else MAX_PER_S,
        )
        self._session: MqttSession | None = None
        self._connected = False
        self._attempts = self._failures = 0

    def stats(self) -> MqttLinkStats:
        """Return the figures; from any thread."""
        counts, commands = self._counts, self._commands
        return MqttLinkStats(
            connected=self._connected,
            attempts=self._attempts,
            failures=self._failures,
            published=counts.published,
            too_large=counts.too_large,
            waiting=len(self._send_queue),
            dropped=dict(self._send_queue.dropped),
            accepted=commands.accepted if commands else 0,
            refused=commands.refused if commands else 0,
            discarded=counts.discarded,
        )

    async def run(self) -> None:
        """Keep a session with the broker until cancelled."""
        backoff = Backoff(self._settings.retry_max_s)
        telemetry = asyncio.create_task(self._publish_telemetry())
        try:
            while True:
                await self._run_session(backoff)
                await asyncio.sleep(backoff.next_s())
        finally:
            telemetry.cancel()
            await cancel_all(asyncio.all_tasks() - {asyncio.current_task()}, _CANCEL_S)

    async def _run_session(self, backoff: Backoff) -> None:
        """Connect once and publish until the link breaks; when cancelled, publish what waits and disconnect."""
        self._attempts += 1
        self._inbox.reconnected()
        client_id = self._settings.client_id or f"edge-agent-{self._device.train_id}"
        will = self._messages.availability(online=False)
        connection = MqttConnection(self._settings, client_id, will, lambda: self._inbox)
        session = self._session = self._make_session(connection, backoff)
        try:
            await connection.open()
            await session.run()
        except MqttLinkError as error:
            self._fail(error.kind, error.message, error.remedy)
        except asyncio.CancelledError:
            if self._connected:
                await self._drain(session)
            raise
        except Exception:  # noqa: BLE001 - a defect must not end the mirror for the rest of the run
            _log.exception("mqtt_link_failed")
            self._fail(MQTT_FAILED, "the mirror to MQTT has failed; it tries again", "report this, with the log")
        finally:
            self._connected = False
            await connection.close()

    async def _drain(self, session: MqttSession) -> None:
        self._encoder.drain()
        with contextlib.suppress(MqttLinkError, TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await session.drain()

    def _fail(self, kind: FaultKind, message: str, remedy: str) -> None:
        self._failures += 1
        self._faults.report(kind, message, remedy)

    def _make_session(self, connection: MqttConnection, backoff: Backoff) -> MqttSession:
        def on_up() -> None:
            self._connected = True
            self._faults.clear(MQTT_UNREACHABLE)  # or whichever fault the link had
            backoff.reset()

        commands = self._commands
        topics = dict(commands.topics()) if commands else {}
        if self._settings.home_assistant.enabled:
            topics[home_assistant.birth_topic(self._settings.home_assistant)] = 0
        return MqttSession(
            connection,
            self._send_queue,
            image=self._encoder.image,
            topics=topics,
            birth=self._birth_messages,
            shed=commands.sheddable_topics() if commands else {},
            before_resubscribe=self._inbox.assume_flood,
            receive=self._receive,
            up=on_up,
            report_denied=self._denials.denied,
            counts=self._counts,
        )

    def _birth_messages(self) -> list[OutgoingMessage]:
        """Return the device for Home Assistant where that is enabled, availability, and the newest state."""
        home = self._settings.home_assistant
        structured = self._settings.version != "5"
        messages = [self._messages.availability(online=True)]
        if home.enabled:
            messages.insert(0, home_assistant.discovery(home, self._device, self._messages, structured=structured))
        if self._encoder.state is not None:
            messages.append(self._encoder.state)
        return messages

    def _flooded(self) -> None:
        if self._session is not None:
            self._session.on_flood()

    def _discard(self, count: int) -> None:
        self._counts.discarded += count

    def _receive(self, message: Message) -> bool:
        home = self._settings.home_assistant
        if home.enabled and message.topic.value == home_assistant.birth_topic(home):
            if message.payload == home_assistant.BIRTH and self._session is not None:
                self._session.republish_birth()
            return False
        return self._commands is not None and self._commands.handle(message)

    async def _publish_telemetry(self) -> None:
        """Publish telemetry every second while the link is up."""
        while True:
            await asyncio.sleep(TELEMETRY_S)
            data = self._encoder.telemetry(TELEMETRY_S)
            if self._connected:
                self._send_queue.put_telemetry(self._messages.telemetry(data, self._encoder.context(), self._wall()))
