"""Commands from MQTT: taken from their topics, handed to the train's CommandHandler, and replied to.

Everything here runs in the mirror's thread and loop. A command is read when it arrives, which is how a stop overtakes
what waits; the reply goes to `<name>/reply`, or to the response topic of MQTT 5 where that lies below it.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping

from aiomqtt import Message

from edge_agent.control.commands import (
    NAMES,
    SWITCHES,
    Channel,
    Code,
    Command,
    CommandHandler,
    CommandMessage,
    Verb,
    parse_command,
)
from edge_agent.events import CommandResult
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.observers.mqtt.payloads import ReplyData

MAX_WAITING = 64
MAX_INCOMING_BYTES = 65_536
"""A larger message that is no command is not kept. The broker gets no limit: it would hold what follows such a one."""

MAX_PER_S = 20
"""More commands than this in a second are a flood, where the settings do not say otherwise."""

CALM_S = 2.0
"""A flood is over when commands have come more slowly than that for this long."""

RECENT_S = 10.0
"""A flood that ended with a connection may go on with the next one for this long."""


class ReceivedCommand(Message):
    """A message that is a command, with what was read from it; the payload, of any size, is not kept.

    `stops` is how many stops the train had received before it.
    """

    def __init__(self, message: Message, command: Command, stops: int) -> None:
        super().__init__(message.topic, b"", message.qos, message.retain, message.mid, None)
        self.command = command
        self.stops = stops
        self.response_topic = getattr(message.properties, "ResponseTopic", None)
        self.correlation_data = getattr(message.properties, "CorrelationData", None)


class CommandQueue(asyncio.Queue[Message]):
    """A queue of messages that reads commands as they arrive and returns them as ReceivedCommand, stops first.

    A stop throws out the commands that wait: they were given before it. Of a flood of commands only the beginning is
    kept, from any sender: otherwise a command of it would undo the stop. The first stop of each kind is always kept and
    overtakes the others; where as many of those as possible wait, a further one is dropped, since it changes nothing.
    Of other messages, the oldest is.

    It is made for aiomqtt, which calls nothing but `put_nowait`, `get` and `qsize`.

    Args:
        read: returns the message as a command, None for other messages.
        discarded: called with the number of messages that are dropped.
        flooded: called when a flood begins.
        max_per_s: more commands than this in a second are a flood.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[Message], ReceivedCommand | None],
        discarded: Callable[[int], None],
        flooded: Callable[[], None],
        *,
        max_per_s: int = MAX_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._discarded = discarded
        self._flooded = flooded
        self._clock = clock
        self._first_stops: dict[Verb | None, Message] = {}
        self._stops: deque[Message] = deque()
        self._others: deque[Message] = deque()
        self._arrivals: deque[float] = deque(maxlen=max_per_s)
        self._flood_until_s = -float("inf")
        self._flood_reported = False
        super().__init__()

    def qsize(self) -> int:
        """Count what waits."""
        return len(self._first_stops) + len(self._stops) + len(self._others)

    def empty(self) -> bool:
        """Return whether nothing waits."""
        return not self.qsize()

    def reconnected(self) -> None:
        """Forget the commands of the last connection, but not a flood that it ended."""
        self._forget_commands()
        if self._clock() - self._flood_until_s < RECENT_S:
            self.assume_flood()

    def assume_flood(self) -> None:
        """Keep no command until it has been calm for a while: none was received, and the flood may go on."""
        self._flood_until_s = self._clock() + CALM_S
        self._flood_reported = False

    def _init(self, maxsize: int) -> None:
        """Do nothing: __init__ has made what holds the messages."""

    def _put(self, item: Message) -> None:
        received = self._read(item)
        if received is not None and received.command.stops:
            self._forget_commands()
            self._put_stop(received)
        elif (received is not None and self._is_flood()) or _size_bytes(received or item) > MAX_INCOMING_BYTES:
            self._discarded(1)
        else:
            if len(self._others) >= MAX_WAITING:
                self._others.popleft()
                self._discarded(1)
            self._others.append(received or item)

    def _put_stop(self, received: ReceivedCommand) -> None:
        if received.command.verb not in self._first_stops:
            self._first_stops[received.command.verb] = received
        elif len(self._stops) < MAX_WAITING:
            self._stops.append(received)
        else:
            self._discarded(1)

    def _get(self) -> Message:
        if self._first_stops:
            return self._first_stops.pop(next(iter(self._first_stops)))
        return self._stops.popleft() if self._stops else self._others.popleft()

    def _forget_commands(self) -> None:
        waited = len(self._others)
        self._others = deque(other for other in self._others if not isinstance(other, ReceivedCommand))
        self._discarded(waited - len(self._others))

    def _is_flood(self) -> bool:
        """Count a command that arrives; return whether it belongs to a flood."""
        now_s = self._clock()
        was = now_s < self._flood_until_s
        fast = len(self._arrivals) == self._arrivals.maxlen and now_s - self._arrivals[0] < 1.0
        self._arrivals.append(now_s)
        if fast:
            self._flood_until_s = now_s + CALM_S
        if fast and not (was and self._flood_reported):
            self._flood_reported = True
            self._flooded()
        return was or fast


def _size_bytes(message: Message) -> int:
    return len(message.payload) if isinstance(message.payload, bytes) else 0


_STOPPING_NAMES = frozenset({"stop", "emergency_stop", "disarm"})
_SET = "/set"
_MAX_TOPIC = 512


class MqttCommands:
    """The commands of one train, between their topics and its CommandHandler. Used in the mirror's thread.

    Args:
        handler: the train's.
        root: the train's topics begin with this.
        max_per_s: more commands than this in a second are a flood.
        reply: publishes a reply: its topic, what it says, and the correlation data.
        send_images_for: called in the train's loop with the seconds for which pictures are asked for.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        handler: CommandHandler,
        root: str,
        *,
        max_per_s: int = MAX_PER_S,
        reply: Callable[[str, ReplyData, bytes | None], None],
        send_images_for: Callable[[float], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.max_per_s = max_per_s
        self._handler = handler
        self._root = root
        self._reply = reply
        self._send_images_for = send_images_for
        self._wall = wall

    @property
    def accepted(self) -> int:
        """Commands that the train has obeyed."""
        return self._handler.accepted[Channel.MQTT]

    @property
    def refused(self) -> int:
        """Commands that the train has not obeyed."""
        return self._handler.refused[Channel.MQTT]

    def stop_topics(self) -> Mapping[str, int]:
        """Return the topics by which only stops come, with their QoS."""
        return {f"{self._root}/{name}{_SET}": 1 for name in sorted(_STOPPING_NAMES)}

    def topics(self) -> Mapping[str, int]:
        """Return the other topics to subscribe to with their QoS.

        It is 0: a broker queues what is sent at QoS 1 and, when a flood has filled that queue, throws away what comes
        next, which may be the stop.
        """
        return {f"{self._root}/{name}{_SET}": 0 for name in NAMES if name not in _STOPPING_NAMES}

    def sheddable_topics(self) -> Mapping[str, int]:
        """Return those of the topics by which no stop can come."""
        spared = {f"{self._root}/{name}{_SET}" for name in SWITCHES}
        return {topic: qos for topic, qos in self.topics().items() if topic not in spared}

    def read(self, message: Message) -> ReceivedCommand | None:
        """Return a message as the command that it is; None for a message on another topic."""
        topic = message.topic.value
        if not topic.startswith(f"{self._root}/") or not topic.endswith(_SET):
            return None
        name = topic[len(self._root) + 1 : -len(_SET)]
        body = message.payload if isinstance(message.payload, bytes) else b""
        if name not in NAMES:
            return None
        command = parse_command(CommandMessage(Channel.MQTT, name, body, retained=bool(message.retain)))
        return ReceivedCommand(message, command, self._handler.stops)

    def handle(self, message: Message) -> bool:
        """Submit a command and return at once, the reply follows; return False for a message that is none."""
        if not isinstance(message, ReceivedCommand):
            return False
        loop, command = asyncio.get_running_loop(), message.command

        def on_result(result: CommandResult) -> None:
            """Take the result back to the mirror's thread; called in the train's loop."""
            if result.accepted and command.verb is Verb.IMAGE:
                self._send_images_for(command.duration_s or 0.0)
            with contextlib.suppress(RuntimeError):  # the mirror has ended
                loop.call_soon_threadsafe(self._reply_to, message, result)

        self._handler.submit(command, on_result, stops=message.stops)
        return True

    def _reply_to(self, message: ReceivedCommand, result: CommandResult) -> None:
        data = ReplyData(
            message.command.name,
            result.command_id,
            result.accepted,
            None if result.code is None else Code(result.code),
            result.reason,
            result.state,
            to_rfc3339(self._wall()),
        )
        self._reply(self._reply_topic(message), data, message.correlation_data)

    def _reply_topic(self, message: ReceivedCommand) -> str:
        """Return the response topic that the sender names where it lies below our reply topic, else that one.

        Anywhere else a sender could write through us where the broker does not let it, to another train for example.
        """
        own, topic = f"{self._root}/{message.command.name}/reply", message.response_topic
        if not isinstance(topic, str) or not topic.startswith(f"{own}/") or len(topic) > _MAX_TOPIC:
            return own
        return topic if topic.isprintable() and not {"+", "#"} & set(topic) else own
