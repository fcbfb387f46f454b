"""Where commands from MQTT come in: read, judged, handed to the train, and answered.

Knows the commands' topics, response topics and correlation data. Knows nothing of what the train does, and nothing of
the connection.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

import structlog
from aiomqtt import Message

from edge_agent.control.commands import (
    NAMES,
    STOPPING,
    SWITCHES,
    Accepted,
    Acknowledgement,
    Authorizer,
    Code,
    CommandRequest,
    CommandRules,
    Instruction,
    Refused,
    Verb,
    parse_command,
)
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.observers.mqtt.payloads import ReplyData

MAX_WAITING = 64
MAX_PER_S = 20
"""More commands than this in a second are a flood, unless told otherwise."""

CALM_S = 2.0
"""A flood is over when commands have come more slowly than that for this long."""

RECENT_S = 10.0
"""A flood that ended with a connection may go on with the next one for this long."""


class MessageKind(Enum):
    """What a message is: a command that stops, any other command, or no command."""

    STOP = auto()
    COMMAND = auto()
    OTHER = auto()


class CommandQueue(asyncio.Queue[Message]):
    """A queue of messages in two lanes, made for aiomqtt, which calls nothing but `put_nowait`, `get` and `qsize`.

    A stop is taken first, and throws out the commands that wait: they were given before it. Of a flood of commands
    nothing is taken but its beginning, whoever sends it: otherwise a command of it would undo the stop. Where a lane is
    full, a further stop is as good as those that wait, and the oldest of the others goes.

    Args:
        kind: tells what a message is.
        discarded: is told how many messages nobody will look at.
        flooded: is called when a flood begins.
        max_per_s: more commands than this in a second are a flood.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        kind: Callable[[Message], MessageKind],
        discarded: Callable[[int], None],
        flooded: Callable[[], None],
        *,
        max_per_s: int = MAX_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._discarded = discarded
        self._flooded = flooded
        self._clock = clock
        self._stops: deque[Message] = deque()
        self._others: deque[tuple[MessageKind, Message]] = deque()
        self._arrivals: deque[float] = deque(maxlen=max_per_s)
        self._flood_until_s = -float("inf")
        self._told = False
        super().__init__()

    def qsize(self) -> int:
        """Count what waits."""
        return len(self._stops) + len(self._others)

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._stops and not self._others

    def reconnected(self) -> None:
        """Forget the commands of the last connection, but not a flood that it ended."""
        self._forget_commands()
        if self._clock() - self._flood_until_s < RECENT_S:
            self.distrust()

    def distrust(self) -> None:
        """Take no command until it has been calm for a while: nobody has listened, and the flood may go on."""
        self._flood_until_s = self._clock() + CALM_S
        self._told = False

    def _init(self, maxsize: int) -> None:
        """Do nothing: the lanes are there."""

    def _put(self, item: Message) -> None:
        kind = self._kind(item)
        if kind is MessageKind.STOP:
            self._forget_commands()
            if len(self._stops) < MAX_WAITING:
                self._stops.append(item)
            else:
                self._discarded(1)
        elif kind is MessageKind.COMMAND and self._floods():
            self._discarded(1)
        else:
            if len(self._others) >= MAX_WAITING:
                self._others.popleft()
                self._discarded(1)
            self._others.append((kind, item))

    def _get(self) -> Message:
        return self._stops.popleft() if self._stops else self._others.popleft()[1]

    def _forget_commands(self) -> None:
        waited = len(self._others)
        self._others = deque(other for other in self._others if other[0] is not MessageKind.COMMAND)
        self._discarded(waited - len(self._others))

    def _floods(self) -> bool:
        """Note that a command has arrived, and tell whether it belongs to a flood."""
        now_s = self._clock()
        was = now_s < self._flood_until_s
        fast = len(self._arrivals) == self._arrivals.maxlen and now_s - self._arrivals[0] < 1.0
        self._arrivals.append(now_s)
        if fast:
            self._flood_until_s = now_s + CALM_S
        if fast and not (was and self._told):
            self._told = True
            self._flooded()
        return was or fast


_log = structlog.get_logger(__name__)

_STOPPING_NAMES = frozenset({"stop", "emergency_stop", "disarm"})
_SET = "/set"
_MAX_TOPIC = 512

Execute = Callable[[Instruction, Callable[[Acknowledgement], None]], None]
"""Hands an instruction to the train and has the function called with its answer."""


@dataclass(frozen=True, slots=True)
class ReplyAddress:
    """Where the answer to a command goes."""

    topic: str
    correlation_data: bytes | None


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What the desk works with, all of it used in the mirror's thread.

    `gate` remembers what was obeyed, `read_rules` gives the rules of this channel, `execute` hands an instruction to
    the train, `show` is told for how many seconds pictures are wanted, `refused` of each command that is not obeyed:
    its name, its id and why. More than `max_per_s` commands in a second are a flood.
    """

    gate: Authorizer
    read_rules: Callable[[], CommandRules]
    execute: Execute
    show: Callable[[float], None]
    refused: Callable[[str, str | None, Refused], None]
    max_per_s: int


class MqttCommands:
    """Takes the commands of one train.

    Args:
        root: the train's topics begin with this.
        closed: no reply goes to topics that begin with one of these, nor to the train's own: whoever may command us
            must not write through us where the broker does not let them.
        office: what it works with.
        answer: publishes an answer.
    """

    def __init__(
        self,
        root: str,
        office: CommandContext,
        *,
        closed: tuple[str, ...] = (),
        answer: Callable[[ReplyAddress, ReplyData], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.accepted = 0
        self.refused = 0
        self._root = root
        self._closed = ("$", f"{root}/", *closed)
        self._office = office
        self._answer = answer
        self._wall = wall

    def topics(self) -> Mapping[str, int]:
        """Return the topics to subscribe to with their QoS.

        Stops come at QoS 1, the others at QoS 0: a broker queues what is sent at QoS 1 and, when a flood has filled
        that queue, throws away what comes next, which may be the stop.
        """
        return {f"{self._root}/{name}{_SET}": 1 if name in _STOPPING_NAMES else 0 for name in NAMES}

    def may_shed(self) -> Mapping[str, int]:
        """Return those of the topics by which no stop can come."""
        spared = {f"{self._root}/{name}{_SET}" for name in (*_STOPPING_NAMES, *SWITCHES)}
        return {topic: qos for topic, qos in self.topics().items() if topic not in spared}

    def kind(self, message: Message) -> MessageKind:
        """Tell what a message is."""
        name = self._name(message)
        if name is None:
            return MessageKind.OTHER
        if name in _STOPPING_NAMES:
            return MessageKind.STOP
        request = parse_command(name, _body(message))
        stops = isinstance(request, CommandRequest) and request.verb in STOPPING
        return MessageKind.STOP if stops else MessageKind.COMMAND

    def receive(self, message: Message) -> bool:
        """Take a command; False for a message that is none. Returns at once, the answer follows."""
        name = self._name(message)
        if name is None:
            return False
        office = self._office
        request = parse_command(name, _body(message), retained=bool(message.retain))
        verdict = request if isinstance(request, Refused) else office.gate.admit(request, office.read_rules)
        command_id = request.command_id if isinstance(request, CommandRequest) else None
        back = self._reply_to(name, message)
        if isinstance(verdict, Accepted):
            self._obey(name, verdict.instruction, back)
        else:
            self.refused += 1
            _log.warning("command_refused", channel="mqtt", name=name, code=verdict.code.value, reason=verdict.reason)
            self._answer(back, self._reply(name, command_id, verdict))
            office.refused(name, command_id, verdict)
        return True

    def _obey(self, name: str, instruction: Instruction, back: ReplyAddress) -> None:
        self.accepted += 1
        _log.info("command", channel="mqtt", name=name, id=instruction.command_id, reason=instruction.reason)

        def answered(acknowledgement: Acknowledgement) -> None:
            self._answer(back, self._reply(name, instruction.command_id, acknowledgement))

        if instruction.verb is Verb.IMAGE:
            self._office.show(instruction.duration_s or 0.0)
        self._office.execute(instruction, answered)

    def _reply(self, name: str, command_id: str | None, verdict: Acknowledgement | Refused) -> ReplyData:
        train_time = to_rfc3339(self._wall())
        if isinstance(verdict, Refused):
            return ReplyData(name, command_id, False, verdict.code, verdict.reason, None, train_time)
        code = None if verdict.accepted else Code.FAILED
        return ReplyData(name, command_id, verdict.accepted, code, verdict.reason, verdict.state or None, train_time)

    def _name(self, message: Message) -> str | None:
        topic = message.topic.value
        if not topic.startswith(f"{self._root}/") or not topic.endswith(_SET):
            return None
        name = topic[len(self._root) + 1 : -len(_SET)]
        return name if name in NAMES else None

    def _reply_to(self, name: str, message: Message) -> ReplyAddress:
        """Return the response topic that the sender names, where it can be one, else our own."""
        properties = message.properties
        topic = getattr(properties, "ResponseTopic", None)
        correlation = getattr(properties, "CorrelationData", None)
        if not isinstance(topic, str) or not self._may_reply_to(topic):
            topic = f"{self._root}/{name}/reply"
        return ReplyAddress(topic, correlation if isinstance(correlation, bytes) else None)

    def _may_reply_to(self, topic: str) -> bool:
        """Tell whether a reply may go there; to another train it would be a command."""
        plain = topic.isprintable() and "+" not in topic and "#" not in topic
        return (
            plain and 0 < len(topic) <= _MAX_TOPIC and not topic.endswith(_SET) and not topic.startswith(self._closed)
        )


def _body(message: Message) -> bytes:
    return message.payload if isinstance(message.payload, bytes) else b""
