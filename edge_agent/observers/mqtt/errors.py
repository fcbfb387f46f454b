"""Faults for the failures of aiomqtt and paho: what each means and what to do about it, by class and reason code."""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiomqtt import MqttCodeError, MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import MqttSettings
from edge_agent.errors import EdgeAgentError, RetryableError
from edge_agent.faults import FaultReport

UNREACHABLE = "mqtt_unreachable"
_REFUSED = "mqtt_refused"
_SETTINGS = "mqtt_settings"

_TOO_LARGE = 0x95


class MqttLinkError(RetryableError):
    """The link to the broker does not work now; `notice` says why.

    `too_large`: the broker closed it since a message was larger than it accepts.
    """

    def __init__(self, notice: FaultReport, *, too_large: bool = False) -> None:
        super().__init__(notice.message, remedy=notice.remedy)
        self.notice = notice
        self.too_large = too_large


class ConnectionClosedError(OSError):
    """The broker closed the connection before it answered CONNECT."""


@dataclass(frozen=True, slots=True)
class _ErrorText:
    code: str
    message: str
    remedy: str


# Reason codes of MQTT 5, section 2.4; paho translates those of 3.1.1 into them.
_BY_CODE: tuple[tuple[frozenset[int], _ErrorText], ...] = (
    (
        frozenset({0x86, 0x87, 0x8C}),
        _ErrorText(
            _REFUSED,
            "{broker} does not accept our credentials",
            "check mqtt.username, mqtt.password_file, mqtt.tls and the broker's access rules",
        ),
    ),
    (
        frozenset({0x84}),
        _ErrorText(_REFUSED, "{broker} does not speak this version of MQTT", "set mqtt.version to 3.1.1 or to 5"),
    ),
    (
        frozenset({0x85}),
        _ErrorText(_REFUSED, "{broker} does not accept our client id", "set mqtt.client_id to another one"),
    ),
    (
        frozenset({0x8E}),
        _ErrorText(_REFUSED, "another client took our place at {broker}", "give each train an id of its own"),
    ),
    (
        frozenset({_TOO_LARGE}),
        _ErrorText(UNREACHABLE, "{broker} hung up since a message was too large", "raise the broker's max_packet_size"),
    ),
)

_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], _ErrorText], ...] = (
    (
        (ssl.SSLError,),
        _ErrorText(_REFUSED, "{broker} and we do not agree on TLS", "check mqtt.tls and the broker's certificate"),
    ),
    (
        (socket.gaierror,),
        _ErrorText(UNREACHABLE, "the name of {broker} is not known", "check mqtt.host and the name server"),
    ),
    (
        (ConnectionClosedError,),
        _ErrorText(
            UNREACHABLE, "{broker} hangs up without an answer", "check mqtt.port, mqtt.tls and the broker's log"
        ),
    ),
    ((TimeoutError,), _ErrorText(UNREACHABLE, "{broker} does not answer", "check the network and the broker")),
    (
        (OSError,),
        _ErrorText(UNREACHABLE, "{broker} cannot be reached", "start the broker or check mqtt.host and mqtt.port"),
    ),
)


def link_error(error: BaseException, settings: MqttSettings) -> MqttLinkError:
    """Return what an exception means."""
    broker = f"the MQTT broker {settings.host}:{settings.port}"
    if isinstance(error, MqttLinkError):
        return error
    if isinstance(error, EdgeAgentError):
        return MqttLinkError(FaultReport(_SETTINGS, error.message, error.remedy))
    code = _reason_code(error)
    text = _by_code(code, error) or _by_class(error)
    if text is None:
        text = _ErrorText(UNREACHABLE, "the link to {broker} broke", "check the network and the broker")
    report = FaultReport(text.code, text.message.format(broker=broker), text.remedy)
    return MqttLinkError(report, too_large=code == _TOO_LARGE)


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
        return _ErrorText(UNREACHABLE, "{broker} is not ready for us", "look into the broker's log")
    return known


def _by_class(error: BaseException) -> _ErrorText | None:
    # aiomqtt hides an OSError in an MqttError.
    behind = error.__context__ if isinstance(error, MqttError) and error.__context__ is not None else error
    return next((text for kinds, text in _BY_CLASS if isinstance(behind, kinds)), None)


PATIENCE_S = 5.0
"""An outage shorter than this is not worth telling people."""

_DENIED = "mqtt_denied"
_WORDS = {
    "read": ("does not let us read {topics}: no commands come in by it", "allow the train's user to read it"),
    "size": ("takes no messages as large as those to {topics}", "raise the broker's max_packet_size"),
}


class LinkFaultReporter:
    """Turns what happens to the link into notices."""

    def __init__(self, tell: Callable[[FaultReport], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._down_s: float | None = None
        self._told: FaultReport | None = None
        self._denied: set[tuple[str, str]] = set()

    def down(self, notice: FaultReport) -> None:
        """Note that the link does not work; told when that lasts, or when only a person can mend it."""
        now_s = self._clock()
        self._down_s = now_s if self._down_s is None else self._down_s
        lasting = now_s - self._down_s >= PATIENCE_S or notice.code != UNREACHABLE
        if not lasting or (self._told is not None and self._told.code == notice.code):
            return
        self._over()
        self._told = notice
        self._tell(notice)

    def up(self) -> None:
        """Note that the link works."""
        self._down_s = None
        self._over()

    def denied(self, topic: str, what: str) -> None:
        """Note that the broker denies us a topic; told once for each."""
        if (topic, what) in self._denied:
            return
        self._denied.add((topic, what))
        words, remedy = _WORDS[what]
        topics = ", ".join(sorted(name for name, denied in self._denied if denied == what))
        self._tell(FaultReport(_DENIED, f"the MQTT broker {words.format(topics=topics)}", remedy))

    def _over(self) -> None:
        if self._told is not None:
            self._tell(FaultReport(self._told.code, active=False))
            self._told = None
