"""Parts of the mirror without a broker: the queues of commands and messages, and the faults of the link."""

import ast
import re
from pathlib import Path

import pytest
from aiomqtt import Message, MqttCodeError, MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import MqttSettings
from edge_agent.control.commands import Channel, CommandMessage, parse_command
from edge_agent.errors import ConfigError
from edge_agent.events import Frame
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.observers import mqtt
from edge_agent.observers.mqtt.commands import (
    CALM_S,
    MAX_INCOMING_BYTES,
    MAX_PER_S,
    MAX_WAITING,
    CommandQueue,
    ReceivedCommand,
)
from edge_agent.observers.mqtt.errors import DenialReporter, link_error
from edge_agent.observers.mqtt.messages import OutgoingMessage
from edge_agent.observers.mqtt.send_queue import SendQueue
from tests.support import events as make


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Inbox:
    """A CommandQueue to which the first word of a topic is a command, `hello` excepted."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.discarded = 0
        self.floods = 0
        self.inbox = CommandQueue(self._read, self._count, self._flood, clock=self.clock)

    def _read(self, message: Message) -> ReceivedCommand | None:
        name, body = message.topic.value.split("/")[0], message.payload
        if name == "hello" or not isinstance(body, bytes):
            return None
        return ReceivedCommand(message, parse_command(CommandMessage(Channel.MQTT, name, body)), 0)

    def _count(self, count: int) -> None:
        self.discarded += count

    def _flood(self) -> None:
        self.floods += 1

    def put(self, topic: str, payload: bytes = b"") -> None:
        self.inbox.put_nowait(Message(topic, payload, 0, False, 0, None))

    def take_all(self) -> list[str]:
        return [self.inbox.get_nowait().topic.value for _ in range(self.inbox.qsize())]


async def test_stop_overtakes_waiting_messages_and_discards_earlier_commands() -> None:
    box = Inbox()
    for topic in ("drive/1", "hello/1", "drive/2", "stop/1", "drive/3"):
        box.put(topic)
    assert box.take_all() == ["stop/1", "hello/1", "drive/3"]
    assert box.discarded == 2


async def test_flood_of_commands_is_discarded_until_it_has_been_calm_for_a_while() -> None:
    box = Inbox()
    for number in range(500):
        box.clock.now_s += 0.001
        box.put(f"drive/{number}")
    assert len(box.take_all()) == MAX_PER_S
    assert box.floods == 1, "reported once"
    box.clock.now_s += CALM_S - 0.1
    box.put("drive/still")
    assert box.take_all() == []
    box.clock.now_s += 0.2
    box.put("drive/again")
    assert box.take_all() == ["drive/again"]
    assert box.discarded == 500 - MAX_PER_S + 1


async def test_flood_that_goes_on_while_unsubscribed_is_reported_again_and_discarded() -> None:
    box = Inbox()
    for number in range(100):
        box.put(f"drive/a{number}")
    box.take_all()
    box.clock.now_s += 60
    box.inbox.assume_flood()
    for number in range(100):
        box.put(f"drive/b{number}")
    assert box.take_all() == []
    assert box.floods == 2


@pytest.mark.parametrize(("away_s", "taken"), [(1.0, []), (60.0, ["drive/new"])])
async def test_flood_is_remembered_over_a_short_break_of_the_link(away_s: float, taken: list[str]) -> None:
    box = Inbox()
    for number in range(100):
        box.put(f"drive/{number}")
    box.clock.now_s += away_s
    box.inbox.reconnected()
    box.put("drive/new")
    assert box.take_all() == taken


async def test_commands_of_the_last_connection_are_forgotten() -> None:
    box = Inbox()
    for topic in ("drive/1", "stop/1"):
        box.put(topic)
    box.put("drive/2")
    box.inbox.reconnected()
    assert box.take_all() == ["stop/1"]


async def test_commands_at_an_ordinary_rate_are_no_flood() -> None:
    box = Inbox()
    for number in range(200):
        box.clock.now_s += 1 / (MAX_PER_S - 1)
        box.put(f"drive/{number}")
        assert box.take_all() == [f"drive/{number}"]


async def test_command_queue_is_bounded() -> None:
    box = Inbox()
    for number in range(1000):
        box.put(f"stop/{number}")
        box.put(f"hello/{number}")
    assert box.inbox.qsize() == 2 * MAX_WAITING + 1
    first, *_, last = box.take_all()
    assert (first, last) == ("stop/0", "hello/999")
    assert box.discarded == 2 * (1000 - MAX_WAITING) - 1


async def test_first_stop_of_each_kind_overtakes_a_flood_of_another() -> None:
    box = Inbox()
    for number in range(200):
        box.put(f"stop/{number}")
    box.put("emergency_stop/1")
    box.put("disarm/1")
    assert box.inbox.get_nowait().topic.value == "stop/0"
    box.put("stop/200")
    assert [box.inbox.get_nowait().topic.value for _ in range(3)] == ["emergency_stop/1", "disarm/1", "stop/200"]


async def test_large_message_is_not_kept_and_a_stop_only_without_its_body() -> None:
    box = Inbox()
    box.put("hello/1", b"x" * (MAX_INCOMING_BYTES + 1))
    box.put("stop/1", b"x" * (MAX_INCOMING_BYTES + 1))
    assert box.discarded == 1
    message = box.inbox.get_nowait()
    assert (message.topic.value, message.payload) == ("stop/1", b"")


def message(kind: str, number: int, qos: int = 1) -> OutgoingMessage:
    return OutgoingMessage(f"{kind}/{number}", b"", qos, kind=kind)


async def test_assured_message_waits_until_it_is_acknowledged() -> None:
    queue = SendQueue(10)
    queue.add(message("fault", 1))
    first = queue.first()
    assert first is not None
    assert queue.first() is first
    queue.acknowledge(first)
    assert queue.first() is None


async def test_acknowledgement_of_a_dropped_message_removes_no_other() -> None:
    queue = SendQueue(2)
    queue.add(message("fault", 1))
    sent = queue.first()
    queue.add(message("fault", 2))
    queue.add(message("fault", 3))
    assert sent is not None
    queue.acknowledge(sent)
    assert (len(queue), dict(queue.dropped)) == (2, {"fault": 1})


async def test_full_stream_drops_no_assured_message() -> None:
    queue = SendQueue(3)
    queue.add(message("fault", 1))
    for number in range(10):
        queue.add(message("prediction", number, qos=0))
    assert queue.first() is not None
    assert dict(queue.dropped) == {"prediction": 7}


async def test_only_the_newest_frame_waits_and_it_is_last() -> None:
    queue = SendQueue(3)
    for number in (1, 2):
        queue.put_frame(make.frame(number))
    queue.add(message("prediction", 1, qos=0))
    assert isinstance(queue.take(), OutgoingMessage)
    picture = queue.take()
    assert isinstance(picture, Frame)
    assert picture.sequence == 2
    assert queue.take() is None
    assert dict(queue.dropped) == {"image": 1}


def test_reason_of_a_lost_connection_is_read_from_the_cause_of_its_error() -> None:
    lost = MqttError("Disconnected during message iteration")
    lost.__cause__ = MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=0x8E), "Unexpected disconnection")
    error = link_error(lost, MqttSettings())
    assert (error.kind.code, error.taken_over, error.too_large) == ("mqtt_refused", True, False)


def test_denial_is_reported_once_for_each_topic_and_names_all_of_them() -> None:
    reports: list[FaultReport] = []
    denials = DenialReporter(FaultReporter(reports.append, lambda: 0.0), "homeassistant")
    for topic, what in (("b", "read"), ("a", "size"), ("a", "read"), ("b", "read"), ("a", "size")):
        denials.denied(topic, what)
    assert {report.code for report in reports} == {"mqtt_denied"}
    assert [re.findall(r"(?:read|to) ([^:]*)", report.message)[-1] for report in reports] == ["b", "a", "a, b"]


def test_only_the_public_interface_of_aiomqtt_is_used() -> None:
    """A private attribute of another object than `self` would be one of aiomqtt or paho."""
    for path in Path(mqtt.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
                assert isinstance(node.value, ast.Name), f"{path.name}:{node.lineno}"
                assert node.value.id == "self", f"{path.name}:{node.lineno}"


def _connect_error(value: int) -> MqttConnectError:
    return MqttConnectError(ReasonCode(PacketTypes.CONNACK, identifier=value))


def _hidden(error: OSError) -> MqttError:
    """Return the error that aiomqtt raises for an OSError."""
    try:
        try:
            raise error
        except OSError as inner:
            raise MqttError(str(inner)) from None
    except MqttError as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (_connect_error(0x86), "mqtt_refused", "mqtt.username"),
        (_connect_error(0x87), "mqtt_refused", "mqtt.username"),
        (_connect_error(0x84), "mqtt_refused", "mqtt.version"),
        (_connect_error(0x85), "mqtt_refused", "mqtt.client_id"),
        (_connect_error(0x88), "mqtt_unreachable", "not available"),
        (_hidden(ConnectionRefusedError(111, "no")), "mqtt_unreachable", "mqtt.host"),
        (_hidden(TimeoutError()), "mqtt_unreachable", "does not answer"),
        (TimeoutError(), "mqtt_unreachable", "does not answer"),
        (MqttError("Operation timed out"), "mqtt_unreachable", "broke"),
        (ConfigError("mqtt.tls.ca_file: x: gone", remedy="name it"), "mqtt_settings", "name it"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failure_is_reported_with_its_remedy(error: BaseException, code: str, words: str) -> None:
    meaning = link_error(error, MqttSettings(host="broker.example", port=8883))
    assert meaning.kind.code == code
    assert words in str(meaning)
