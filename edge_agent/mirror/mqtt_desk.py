"""Where commands from MQTT come in: read, judged, handed to the train, and answered.

Knows the commands' topics, response topics and correlation data. Knows nothing of what the train does, and nothing of
the connection.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiomqtt import Message

from edge_agent.commands import (
    NAMES,
    STOPPING,
    SWITCHES,
    Accepted,
    Acknowledgement,
    Code,
    Gate,
    Instruction,
    Refused,
    Request,
    Rules,
    Verb,
    read,
)
from edge_agent.mirror.mqtt_inbox import Kind
from edge_agent.mirror.mqtt_payloads import ReplyData
from edge_agent.wire.convert import moment

_log = structlog.get_logger(__name__)

_STOPPING_NAMES = frozenset({"stop", "emergency_stop", "disarm"})
_SET = "/set"
_MAX_TOPIC = 512

Execute = Callable[[Instruction, Callable[[Acknowledgement], None]], None]
"""Hands an instruction to the train and has the function called with its answer."""


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the answer to a command goes."""

    topic: str
    correlation_data: bytes | None


@dataclass(frozen=True, slots=True)
class Office:
    """What the desk works with, all of it used in the mirror's thread.

    `gate` remembers what was obeyed, `read_rules` gives the rules of this channel, `execute` hands an instruction to
    the train, `show` is told for how many seconds pictures are wanted, `refused` of each command that is not obeyed:
    its name, its id and why. More than `max_per_s` commands in a second are a flood.
    """

    gate: Gate
    read_rules: Callable[[], Rules]
    execute: Execute
    show: Callable[[float], None]
    refused: Callable[[str, str | None, Refused], None]
    max_per_s: int


class Desk:
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
        office: Office,
        *,
        closed: tuple[str, ...] = (),
        answer: Callable[[ReplyTo, ReplyData], None],
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

    def kind(self, message: Message) -> Kind:
        """Tell what a message is."""
        name = self._name(message)
        if name is None:
            return Kind.OTHER
        if name in _STOPPING_NAMES:
            return Kind.STOP
        request = read(name, _body(message))
        stops = isinstance(request, Request) and request.verb in STOPPING
        return Kind.STOP if stops else Kind.COMMAND

    def receive(self, message: Message) -> bool:
        """Take a command; False for a message that is none. Returns at once, the answer follows."""
        name = self._name(message)
        if name is None:
            return False
        office = self._office
        request = read(name, _body(message), retained=bool(message.retain))
        verdict = request if isinstance(request, Refused) else office.gate.admit(request, office.read_rules)
        command_id = request.command_id if isinstance(request, Request) else None
        back = self._reply_to(name, message)
        if isinstance(verdict, Accepted):
            self._obey(name, verdict.instruction, back)
        else:
            self.refused += 1
            _log.warning("command_refused", channel="mqtt", name=name, code=verdict.code.value, reason=verdict.reason)
            self._answer(back, self._reply(name, command_id, verdict))
            office.refused(name, command_id, verdict)
        return True

    def _obey(self, name: str, instruction: Instruction, back: ReplyTo) -> None:
        self.accepted += 1
        _log.info("command", channel="mqtt", name=name, id=instruction.command_id, reason=instruction.reason)

        def answered(acknowledgement: Acknowledgement) -> None:
            self._answer(back, self._reply(name, instruction.command_id, acknowledgement))

        if instruction.verb is Verb.IMAGE:
            self._office.show(instruction.duration_s or 0.0)
        self._office.execute(instruction, answered)

    def _reply(self, name: str, command_id: str | None, verdict: Acknowledgement | Refused) -> ReplyData:
        train_time = moment(self._wall())
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

    def _reply_to(self, name: str, message: Message) -> ReplyTo:
        """Return the response topic that the sender names, where it can be one, else our own."""
        properties = message.properties
        topic = getattr(properties, "ResponseTopic", None)
        correlation = getattr(properties, "CorrelationData", None)
        if not isinstance(topic, str) or not self._may_reply_to(topic):
            topic = f"{self._root}/{name}/reply"
        return ReplyTo(topic, correlation if isinstance(correlation, bytes) else None)

    def _may_reply_to(self, topic: str) -> bool:
        """Tell whether a reply may go there; to another train it would be a command."""
        plain = topic.isprintable() and "+" not in topic and "#" not in topic
        return (
            plain and 0 < len(topic) <= _MAX_TOPIC and not topic.endswith(_SET) and not topic.startswith(self._closed)
        )


def _body(message: Message) -> bytes:
    return message.payload if isinstance(message.payload, bytes) else b""
