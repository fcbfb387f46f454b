"""Faults for the failures of aiomqtt and paho: what each means and what to do about it, by class and reason code."""

import socket
import ssl
from dataclasses import dataclass

from aiomqtt import MqttCodeError, MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import MqttSettings
from edge_agent.errors import EdgeAgentError, RetryableError
from edge_agent.faults import MQTT_DENIED, MQTT_REFUSED, MQTT_SETTINGS, MQTT_UNREACHABLE, FaultKind, FaultReporter

_TAKEN_OVER = 0x8E
_TOO_LARGE = 0x95


class MqttLinkError(RetryableError):
    """The link to the broker does not work now; to be reported as `kind`.

    `code` is the broker's reason, where it gave one: `too_large` where a message was larger than it accepts,
    `taken_over` where another client with the same id has connected.
    """

    def __init__(self, kind: FaultKind, message: str, remedy: str, *, code: int | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.kind = kind
        self.too_large = code == _TOO_LARGE
        self.taken_over = code == _TAKEN_OVER


class ConnectionClosedError(OSError):
    """The broker closed the connection before it answered CONNECT."""


@dataclass(frozen=True, slots=True)
class _ErrorText:
    kind: FaultKind
    message: str
    remedy: str


# Reason codes of MQTT 5, section 2.4; paho translates those of 3.1.1 into them.
_BY_CODE: tuple[tuple[frozenset[int], _ErrorText], ...] = (
    (
        frozenset({0x86, 0x87, 0x8C}),
        _ErrorText(
            MQTT_REFUSED,
            "{broker} does not accept our credentials",
            "check mqtt.username, mqtt.password_file, mqtt.tls and the broker's access rules",
        ),
    ),
    (
        frozenset({0x84}),
        _ErrorText(MQTT_REFUSED, "{broker} does not speak this version of MQTT", "set mqtt.version to 3.1.1 or to 5"),
    ),
    (
        frozenset({0x85}),
        _ErrorText(MQTT_REFUSED, "{broker} does not accept our client id", "set mqtt.client_id to another one"),
    ),
    (
        frozenset({_TAKEN_OVER}),
        _ErrorText(
            MQTT_REFUSED,
            "another client has connected to {broker} with our client id",
            "give each train an id of its own",
        ),
    ),
    (
        frozenset({_TOO_LARGE}),
        _ErrorText(
            MQTT_UNREACHABLE,
            "{broker} closed the connection: a message was too large",
            "raise the broker's max_packet_size",
        ),
    ),
)

_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], _ErrorText], ...] = (
    (
        (ssl.SSLError,),
        _ErrorText(
            MQTT_REFUSED, "the TLS handshake with {broker} failed", "check mqtt.tls and the broker's certificate"
        ),
    ),
    (
        (socket.gaierror,),
        _ErrorText(MQTT_UNREACHABLE, "the host name of {broker} cannot be resolved", "check mqtt.host and DNS"),
    ),
    (
        (ConnectionClosedError,),
        _ErrorText(
            MQTT_UNREACHABLE,
            "{broker} closes the connection without an answer",
            "check mqtt.port, mqtt.tls and the broker's log",
        ),
    ),
    ((TimeoutError,), _ErrorText(MQTT_UNREACHABLE, "{broker} does not answer", "check the network and the broker")),
    (
        (OSError,),
        _ErrorText(MQTT_UNREACHABLE, "{broker} cannot be reached", "start the broker or check mqtt.host and mqtt.port"),
    ),
)


def link_error(error: BaseException, settings: MqttSettings) -> MqttLinkError:
    """Return the fault that an exception means."""
    broker = f"the MQTT broker {settings.host}:{settings.port}"
    if isinstance(error, MqttLinkError):
        return error
    if isinstance(error, EdgeAgentError):
        return MqttLinkError(MQTT_SETTINGS, error.message, error.remedy)
    code = _reason_code(error)
    text = _by_code(code, error) or _by_class(error)
    if text is None:
        text = _ErrorText(MQTT_UNREACHABLE, "the link to {broker} broke", "check the network and the broker")
    return MqttLinkError(text.kind, text.message.format(broker=broker), text.remedy, code=code)


def _reason_code(error: BaseException) -> int | None:
    """Return the reason code that the broker gave, None where it gave none."""
    # Where a connection ends, aiomqtt gives the code of DISCONNECT to the error's cause.
    for each in (error, error.__cause__):
        if isinstance(each, MqttCodeError) and isinstance(each.rc, ReasonCode):
            return int(each.rc.value)
    return None


def _by_code(code: int | None, error: BaseException) -> _ErrorText | None:
    known = next((text for codes, text in _BY_CODE if code in codes), None)
    if known is None and isinstance(error, MqttConnectError):
        return _ErrorText(MQTT_UNREACHABLE, "{broker} is not available", "see the broker's log")
    return known


def _by_class(error: BaseException) -> _ErrorText | None:
    # aiomqtt hides an OSError in an MqttError.
    behind = error.__context__ if isinstance(error, MqttError) and error.__context__ is not None else error
    return next((text for kinds, text in _BY_CLASS if isinstance(behind, kinds)), None)


_DENIALS = {
    "read": ("refuses our subscription to {topics}: nothing sent there arrives", "allow the train's user to read it"),
    "echo": (
        "does not deliver the train's own messages to {topics}: commands may not arrive either",
        "allow the train's user to write and to read it",
    ),
    "size": ("accepts no messages as large as those to {topics}", "raise the broker's max_packet_size"),
    "discovery": (
        "accepts no message as large as the one that announces the train to Home Assistant, to {topics}",
        "raise the broker's max_packet_size to 16384 or more, or set mqtt.home_assistant.enabled to false",
    ),
}


class DenialReporter:
    """Reports the topics that the broker denies, each once: a reconnect does not change its access rules.

    `discovery_prefix` is of the topic on which Home Assistant finds the train.
    """

    def __init__(self, faults: FaultReporter, discovery_prefix: str) -> None:
        self._faults = faults
        self._discovery_prefix = discovery_prefix
        self._denied: set[tuple[str, str]] = set()

    def denied(self, topic: str, what: str) -> None:
        """Report that the broker does not let us `read` a topic, or accepts no message of our `size` on it.

        `echo`: it does not deliver what the train sends to itself by the topic.
        """
        if what == "size" and topic.startswith(f"{self._discovery_prefix}/"):
            what = "discovery"
        if (topic, what) in self._denied:
            return
        self._denied.add((topic, what))
        text, remedy = _DENIALS[what]
        topics = ", ".join(sorted(name for name, denied in self._denied if denied == what))
        self._faults.report(MQTT_DENIED, f"the MQTT broker {text.format(topics=topics)}", remedy)
