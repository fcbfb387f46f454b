"""One connected life of the mirror: subscribes, greets, and publishes what waits until the link breaks.

Knows the order of things after a connect and which lane goes first. Knows nothing of reconnecting.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiomqtt import Message

from edge_agent.errors import EdgeAgentError
from edge_agent.mirror.bounded import leave_all
from edge_agent.mirror.mqtt_client import Connection
from edge_agent.mirror.mqtt_lanes import Lanes, Pair, Parcel, Picture
from edge_agent.mirror.mqtt_messages import STATE, Messages, Outgoing
from edge_agent.wire import compat

_log = structlog.get_logger(__name__)

SHED_S = 5.0
"""In a flood of commands the train does not listen to them for this long; the broker throws them away."""

_END_S = 0.2

COMMANDS_PER_S = 50
"""So many commands are looked at in a second: even a flood of stops must not take the processor from the train."""


@dataclass
class Counts:
    """What one mirror has done since its start. Mutable; belongs to its thread."""

    published: int = 0
    denied: int = 0
    too_large: int = 0
    discarded: int = 0


class Session:
    """Works on an open connection.

    Args:
        connection: open.
        lanes: what waits.
        messages: writes events.
        topics: what to subscribe to, with the QoS.
        shed: those of them that are left while a flood comes by them.
        listening: called before they are subscribed to again.
        greeting: makes the messages that come first, after each connect and whenever `greet_again` is called.
        receive: takes a message that has arrived; true where it was a command.
        up: called once the greeting has arrived.
        deny: called with the topic of a message that the broker does not take or give, and why.
    """

    def __init__(
        self,
        connection: Connection,
        lanes: Lanes,
        messages: Messages,
        *,
        topics: Mapping[str, int],
        shed: Mapping[str, int],
        listening: Callable[[], None],
        greeting: Callable[[], list[Outgoing]],
        receive: Callable[[Message], bool],
        up: Callable[[], None],
        deny: Callable[[str, str], None],
        counts: Counts,
    ) -> None:
        self._connection = connection
        self._lanes = lanes
        self._messages = messages
        self._topics = topics
        self._shed = shed
        self._listening = listening
        self._flood = asyncio.Event()
        self._greeting = greeting
        self._receive = receive
        self._up = up
        self._deny = deny
        self._counts = counts
        self._greet_due = False

    def greet_again(self) -> None:
        """Greet once more, as after a connect."""
        self._greet_due = True
        self._lanes.assured_news.set()

    def flooded(self) -> None:
        """Stop listening to commands for a while."""
        self._flood.set()

    async def run(self) -> None:
        """Work until the link breaks; raises LinkError."""
        for topic in await self._connection.subscribe(self._topics):
            self._deny(topic, "read")
        await self._greet()
        self._up()
        work = (self._read(), self._publish_assured(), self._publish_stream(), self._weather_floods())
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # No TaskGroup: before Python 3.13 it forgets that it was cancelled when a task of it fails just then.
            await leave_all(tasks, _END_S)
        for task in done:
            task.result()

    async def drain(self) -> None:
        """Publish what must arrive and waits now; raises LinkError."""
        while self._lanes.replies or self._lanes.first() is not None:
            await self._next_assured()

    async def _greet(self) -> None:
        """Say that the train is there, then its state; states that waited for the broker are older than that one."""
        self._greet_due = False
        self._lanes.forget(STATE)
        for message in self._greeting():
            await self._publish(message)

    async def _read(self) -> None:
        async for message in self._connection.messages():
            if self._receive(message):
                await asyncio.sleep(1 / COMMANDS_PER_S)

    async def _weather_floods(self) -> None:
        """Leave it to the broker to throw a flood away: even that would take the processor from the train."""
        while True:
            await self._flood.wait()
            _log.warning("command_flood", shed_s=SHED_S)
            await self._connection.unsubscribe(self._shed)
            await asyncio.sleep(SHED_S)
            self._flood.clear()
            self._listening()
            await self._connection.subscribe(self._shed)

    async def _publish_assured(self) -> None:
        while True:
            if not await self._next_assured():
                self._lanes.assured_news.clear()
                await self._lanes.assured_news.wait()

    async def _next_assured(self) -> bool:
        """Publish one message at QoS 1 and wait until it has arrived; False where none waits."""
        lanes = self._lanes
        if self._greet_due:
            await self._greet()
        elif lanes.replies:
            await self._publish(lanes.replies.popleft())
        elif lanes.telemetry is not None:
            message, lanes.telemetry = lanes.telemetry, None
            await self._publish(message)
        elif (parcel := lanes.first()) is not None:
            await self._publish(parcel.message)
            lanes.arrived(parcel)
        else:
            return False
        return True

    async def _publish_stream(self) -> None:
        while True:
            item = self._lanes.take()
            if item is None:
                self._lanes.stream_news.clear()
                await self._lanes.stream_news.wait()
            elif isinstance(item, Parcel):
                await self._publish(item.message)
            elif isinstance(item, Pair):
                await self._publish_original(item)
            else:
                await self._publish_picture(item)
            if item is not None and len(self._lanes):
                await asyncio.sleep(0)  # a stop that comes in must not wait for all that goes out

    async def _publish_picture(self, waiting: Picture) -> None:
        from edge_agent.wire.images import encode_jpeg  # noqa: PLC0415 - OpenCV takes long to load

        try:
            picture = await asyncio.get_running_loop().run_in_executor(
                None, encode_jpeg, waiting.frame.image, self._messages.quality_percent
            )
        except EdgeAgentError as error:
            _log.warning("picture_not_encoded", error=error.message)
            return
        await self._publish(self._messages.image(waiting.frame, picture, waiting.stamp))

    async def _publish_original(self, pair: Pair) -> None:
        from edge_agent.wire.images import encode_webp  # noqa: PLC0415 - OpenCV takes long to load

        await self._publish(Outgoing(compat.COMMAND_TOPIC, compat.train_command(pair.prediction)))
        picture = await asyncio.get_running_loop().run_in_executor(None, encode_webp, pair.frame.image)
        await self._publish(Outgoing(compat.RESULT_TOPIC, compat.model_result(pair.prediction, picture)))

    async def _publish(self, message: Outgoing) -> None:
        """Publish and count; what the broker does not take is told and let go of."""
        if not self._connection.fits(message):
            self._counts.too_large += 1
            self._deny(message.topic, "size")
        elif await self._connection.publish(message):
            self._counts.published += 1
        else:
            self._counts.denied += 1
            self._deny(message.topic, "write")
