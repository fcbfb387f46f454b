"""One connection to an MQTT broker through aiomqtt, of which only the public interface is used.

A connection is opened once and closed at the first doubt; each attempt to connect makes a new one, as aiomqtt's client
cannot be used again after a connect that was cancelled. Every call returns within a time limit.
"""

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic import SecretStr

from edge_agent.config import MqttSettings, read_secret
from edge_agent.errors import ConfigError
from edge_agent.observers.mqtt.errors import ConnectionClosedError, link_error
from edge_agent.observers.mqtt.messages import OutgoingMessage
from edge_agent.runtime.threads import in_daemon_thread

T = TypeVar("T")

_FAILURE = 0x80
"""Reason codes of MQTT 5 from here on mean failure (section 2.4)."""

_CLOSE_S = 0.3
_FAILURES = (MqttError, OSError, TimeoutError, ConfigError)

# aiomqtt and paho log failures that the mirror reports as faults.
_silent = logging.getLogger(__name__)
_silent.addHandler(logging.NullHandler())


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None where TLS is off; raises ConfigError for a file that cannot be used."""
    tls = settings.tls
    if not tls.enabled:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise _unusable("mqtt.tls.ca_file", tls.ca_file, error) from None
    context.check_hostname = tls.check_hostname
    if tls.certificate_file is not None and tls.key_file is not None:
        try:
            # Without a password function OpenSSL would prompt for a passphrase on the terminal, and wait forever.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: "")
        except OSError as error:
            raise _unusable("mqtt.tls.certificate_file and key_file", tls.certificate_file, error) from None
    return context


def _unusable(key: str, path: object, error: OSError) -> ConfigError:
    why = "not valid PEM" if isinstance(error, ssl.SSLError) else error.strerror
    return ConfigError(f"{key}: {path}: {why}", remedy="name readable PEM files; the key without a passphrase")


class MqttConnection:
    """One connection to a broker.

    Args:
        settings: how to reach the broker.
        client_id: the client identifier.
        will: published by the broker when the connection is lost, and by `close`; None for none.
        inbox: makes the queue of received messages.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: OutgoingMessage | None,
        inbox: Callable[[], "asyncio.Queue[Message]"],
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._inbox = inbox
        self._v5 = settings.version == "5"
        self._client: Client | None = None

    async def open(self) -> None:
        """Connect; raises MqttLinkError."""
        loop, limit_s = asyncio.get_running_loop(), self._settings.connect_timeout_s
        deadline_s = loop.time() + limit_s
        with self._link_errors():
            # aiomqtt connects in a thread that cannot be interrupted and that the interpreter joins at exit. A host
            # that does not respond is therefore detected before, in a daemon thread.
            async with asyncio.timeout_at(deadline_s):
                tls, password = await in_daemon_thread(lambda: _try_to_connect(self._settings), "mqtt-connect")
            client = self._make_client(tls, password)
            await _connect(client, deadline_s - loop.time())
            self._client = client

    async def subscribe(self, topics: Mapping[str, int]) -> tuple[str, ...]:
        """Subscribe to topics at their QoS; return those that the broker refuses. Raises MqttLinkError."""
        if not topics:
            return ()
        requests: Any = [(topic, self._options(qos) if self._v5 else qos) for topic, qos in topics.items()]
        codes = await self._call(self._connected().subscribe(requests, timeout=math.inf))
        values = [code.value if isinstance(code, ReasonCode) else code for code in codes]
        return tuple(topic for topic, value in zip(topics, values, strict=True) if value >= _FAILURE)

    async def unsubscribe(self, topics: Iterable[str]) -> None:
        """Unsubscribe from topics. Raises MqttLinkError."""
        await self._call(self._connected().unsubscribe(list(topics), timeout=math.inf))

    async def messages(self) -> AsyncIterator[Message]:
        """Yield received messages; raises MqttLinkError when the connection ends."""
        with self._link_errors():
            async for message in self._connected().messages:
                yield message

    async def publish(self, message: OutgoingMessage) -> None:
        """Publish; return when the broker has acknowledged it (QoS 1) or it is written to the socket (QoS 0).

        Raises MqttLinkError. A publish that the broker's access rules forbid returns normally: aiomqtt does not pass
        the reason code on.
        """
        properties = _publish_properties(message) if self._v5 else None
        await self._call(
            self._connected().publish(
                message.topic, message.payload, message.qos, message.retain, properties, timeout=math.inf
            )
        )

    async def close(self) -> None:
        """Publish the will and disconnect, within 0.6 s; never raises. Does nothing where `open` has failed."""
        client, self._client = self._client, None
        if client is None:
            return
        will = self._will
        client.timeout = _CLOSE_S
        if will is not None:
            # After DISCONNECT the broker does not publish it.
            with contextlib.suppress(Exception):
                await client.publish(will.topic, will.payload, will.qos, will.retain)
        await _disconnect(client)

    def _make_client(self, tls: ssl.SSLContext | None, password: SecretStr | None) -> Client:
        settings, will = self._settings, self._will
        return Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=password.get_secret_value() if password else None,
            identifier=self._client_id,
            queue_type=cast("type[asyncio.Queue[Message]]", lambda maxsize: self._inbox()),
            protocol=ProtocolVersion.V5 if self._v5 else ProtocolVersion.V311,
            will=None if will is None else Will(will.topic, will.payload, will.qos, will.retain),
            keepalive=settings.keep_alive_s,
            logger=_silent,
            tls_context=tls,
            tls_insecure=True if tls is not None and not tls.check_hostname else None,
        )

    def _connected(self) -> Client:
        assert self._client is not None  # noqa: S101 - for the type checker: open comes first
        return self._client

    async def _call(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call of aiomqtt with a time limit; raises MqttLinkError."""
        # Not aiomqtt's own time limit (calls get math.inf): it stands on asyncio.wait_for, which in Python 3.11 makes
        # a task of each call and swallows a cancellation that comes with the result.
        with self._link_errors():
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return await call

    @contextlib.contextmanager
    def _link_errors(self) -> Iterator[None]:
        """Raise failures of aiomqtt and of sockets as MqttLinkError."""
        try:
            yield
        except _FAILURES as error:
            raise link_error(error, self._settings) from error

    @staticmethod
    def _options(qos: int) -> SubscribeOptions:
        # Otherwise the retain flag would be set only on what was retained before the subscription.
        return SubscribeOptions(qos, retainAsPublished=True)


def _try_to_connect(settings: MqttSettings) -> tuple[ssl.SSLContext | None, SecretStr | None]:
    """Connect to the broker, with TLS, and disconnect; return the TLS context and the password.

    Blocks; raises OSError, or ConfigError, before anything is connected, where the settings' files cannot be read.
    """
    password = read_secret(settings.password, settings.password_file, "mqtt.password_file")
    tls = tls_context(settings)
    with socket.create_connection((settings.host, settings.port), settings.connect_timeout_s) as sock:
        if tls is not None:
            tls.wrap_socket(sock, server_hostname=settings.host).close()
    return tls, password


async def _connect(client: Client, limit_s: float) -> None:
    """Connect and wait for CONNACK; raises what aiomqtt raises, and ConnectionClosedError."""
    client.timeout = limit_s  # of waiting for CONNACK
    task = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.wait({task}, timeout=limit_s + _CLOSE_S)
        if not task.done():
            raise TimeoutError
        task.result()
    except MqttError as error:
        # aiomqtt does not notice that a broker disconnects before CONNACK: it waits until the time limit.
        if isinstance(error.__context__, TimeoutError) and not await _disconnect(client):
            raise ConnectionClosedError from None
        raise
    finally:
        if not task.done():  # it may still log in, in the place of the next attempt, but must not stay
            task.add_done_callback(lambda _: asyncio.ensure_future(_disconnect(client)))


async def _disconnect(client: Client) -> bool:
    """Disconnect and close the socket; false where it was closed before CONNACK. Never raises."""
    client.timeout = _CLOSE_S
    try:
        await client.__aexit__(None, None, None)
    except Exception:  # noqa: BLE001 - among others whatever a callback of this connection has raised
        # aiomqtt waits for the end of a connection; one that is not established, or whose socket is full, has none.
        return True
    return False


def _publish_properties(message: OutgoingMessage) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.content_type is not None:
        properties.ContentType = message.content_type
    if message.user_properties:
        properties.UserProperty = list(message.user_properties)
    if message.correlation_data is not None:
        properties.CorrelationData = message.correlation_data
    return properties
