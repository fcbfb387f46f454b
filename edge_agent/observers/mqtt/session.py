"""A session with the broker: publishes, receives, and notices that nothing arrives any more.

Everything here belongs to the mirror's thread. What waits while the broker is away is bounded, and what is dropped is
counted: events that must not be lost go through the outbox to Kafka.
"""

import asyncio
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiomqtt import Message

from edge_agent.errors import EdgeAgentError
from edge_agent.events import Frame
from edge_agent.faults import MQTT_UNREACHABLE
from edge_agent.observers.crazy_train import payloads as compat
from edge_agent.observers.mqtt.client import MqttConnection
from edge_agent.observers.mqtt.errors import MqttLinkError
from edge_agent.observers.mqtt.messages import STATE, OutgoingMessage
from edge_agent.observers.mqtt.send_queue import FrameWithPrediction, SendQueue
from edge_agent.runtime.timeouts import cancel_all

_log = structlog.get_logger(__name__)

SHED_S = 5.0
"""In a flood of commands the train unsubscribes from them for this long; the broker drops them."""

_STOP_S = 0.2
_REASON_S = 0.1

COMMANDS_PER_S = 50
"""At most so many commands are handled in a second: even a flood of stops must not take the CPU from the train."""


ECHO_S = 5.0
"""The wait between two messages to oneself."""

ECHO_LIMIT_S = 10.0
"""A message to oneself that is not back by then does not come any more, and neither does a stop."""


class Echo:
    """Notices that the broker no longer delivers to the train, by messages that the train sends to itself.

    Args:
        topic: of these messages.
        report_denied: called when even the first of a connection does not arrive, which the broker's rules may forbid.
    """

    def __init__(self, topic: str, report_denied: Callable[[str, str], None]) -> None:
        self.topic = topic
        self._report_denied = report_denied
        self._awaited = b""
        self._arrived = asyncio.Event()

    def receive(self, message: Message) -> None:
        """Note a message that arrived."""
        if message.topic.value == self.topic and message.payload == self._awaited:
            self._arrived.set()

    async def watch(self, connection: MqttConnection) -> None:
        """Send a message again and again; raises MqttLinkError when one does not arrive though an earlier one did."""
        arrived = False
        while True:
            self._arrived.clear()
            self._awaited = secrets.token_hex(8).encode()
            await connection.publish(OutgoingMessage(self.topic, self._awaited, qos=1))
            try:
                async with asyncio.timeout(ECHO_LIMIT_S):
                    await self._arrived.wait()
                arrived = True
            except TimeoutError:
                if arrived:
                    message = "the MQTT broker no longer delivers to the train: commands do not arrive"
                    raise MqttLinkError(MQTT_UNREACHABLE, message, "see the broker's log") from None
                self._report_denied(self.topic, "echo")
            await asyncio.sleep(ECHO_S)


@dataclass
class MqttCounts:
    """Counters of one mirror since its start. Mutable."""

    published: int = 0
    too_large: int = 0
    discarded: int = 0
    max_bytes: float = math.inf
    """The size of a message for which the broker closed the connection; none as large is sent."""


class MqttSession:
    """Publishes and receives over an open connection, and takes stops over one of their own, which nothing else fills.

    Args:
        connection: open.
        stops: open, too; None where stops come by the other connection.
        send_queue: what waits to be published.
        image: encodes a frame and makes its message; called in another thread.
        topics: what to subscribe to, with the QoS.
        stop_topics: likewise, by the connection for stops where there is one.
        echo: notices that no stop would arrive any more; its topic is one of the `stop_topics`.
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
        stops: MqttConnection | None = None,
        image: Callable[[Frame], OutgoingMessage],
        topics: Mapping[str, int],
        stop_topics: Mapping[str, int],
        echo: Echo | None = None,
        shed: Mapping[str, int],
        before_resubscribe: Callable[[], None],
        birth: Callable[[], list[OutgoingMessage]],
        receive: Callable[[Message], bool],
        up: Callable[[], None],
        report_denied: Callable[[str, str], None],
        counts: MqttCounts,
    ) -> None:
        self._connection = connection
        self._stops = stops or connection
        self._stop_topics = stop_topics
        self._echo = echo
        self._send_queue = send_queue
        self._image = image
        self._topics = topics
        self._shed = shed
        self._before_resubscribe = before_resubscribe
        self._flood = asyncio.Event()
        self._begun = asyncio.Event()
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
        readers = [asyncio.create_task(self._read(each)) for each in {self._connection, self._stops}]
        work = (self._publish_assured(), self._publish_stream(), self._resubscribe_after_flood(), self._watch())
        tasks = [*readers, *(asyncio.create_task(part) for part in work)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # An error of what reads has the broker's reason, an error of what writes may come before it.
            done, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED, timeout=_REASON_S)
        finally:
            # No TaskGroup: before Python 3.13 it loses a cancellation that comes while one of its tasks fails.
            await cancel_all(tasks, _STOP_S)
        for task in (*done, *tasks):
            if task.done() and not task.cancelled():
                task.result()

    async def _begin(self) -> None:
        for connection, topics in ((self._stops, self._stop_topics), (self._connection, self._topics)):
            for topic in await connection.subscribe(topics):
                self._report_denied(topic, "read")
        await self._publish_birth()
        self._begun.set()
        self._up()

    async def _watch(self) -> None:
        await self._begun.wait()
        if self._echo is None:
            await asyncio.Event().wait()
        else:
            await self._echo.watch(self._stops)

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

    async def _read(self, connection: MqttConnection) -> None:
        async for message in connection.messages():
            if self._receive(message):
                await asyncio.sleep(1 / COMMANDS_PER_S)

    async def _resubscribe_after_flood(self) -> None:
        """Leave it to the broker to drop a flood: even dropping it here would take the CPU from the train."""
        while True:
            await self._begun.wait()
            await self._flood.wait()
            _log.warning("command_flood", shed_s=SHED_S)
            await self._connection.unsubscribe(self._shed)
            await asyncio.sleep(SHED_S)
            self._flood.clear()
            self._before_resubscribe()
            await self._connection.subscribe(self._shed)

    async def _publish_assured(self) -> None:
        await self._begin()
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
        await self._begun.wait()
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
        from edge_agent.observers.crazy_train.pictures import plain_webp  # noqa: PLC0415 - OpenCV takes long to load

        await self._publish(OutgoingMessage(compat.COMMAND_TOPIC, compat.train_command(pair.prediction)))
        picture = await asyncio.get_running_loop().run_in_executor(None, plain_webp, pair.frame)
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
