"""One life of an aiomqtt client: opened once, used, and let go of at the first doubt; every call comes back in time.

Knows aiomqtt's traps. A client whose connect was cancelled cannot be used again, so each attempt gets a new one. A
publish that the broker's access rules forbid returns normally, so the reason code is read where paho gives it. A
publish at QoS 0 "succeeds" into a frozen broker, so only QoS 1 proves that somebody is there. Nothing closes the socket
of a connect that was not answered, so that is done here. Knows nothing of what is published.
"""

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from aiomqtt import Client, Message, MqttCodeError, MqttError, ProtocolVersion, Will
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.config import MqttSettings, read_secret
from edge_agent.errors import ConfigError
from edge_agent.observers.mqtt.errors import ConnectionClosedError, MqttLinkError, link_error
from edge_agent.observers.mqtt.messages import OutgoingMessage
from edge_agent.runtime.timeouts import with_timeout

_CONTENT_TYPE, _CORRELATION_DATA, _USER_PROPERTY = b"\x03", b"\x09", b"\x26"
_MORE = 0x80


class PackedProperties:
    """What paho asks a message's properties for."""

    def __init__(self, message: OutgoingMessage) -> None:
        self._message = message

    def pack(self) -> bytes:
        """Return the properties with their length before them; OverflowError for a text above 65,535 bytes."""
        message = self._message
        parts: list[bytes] = []
        if message.content_type is not None:
            parts += _CONTENT_TYPE, _sized(message.content_type.encode())
        if message.correlation_data is not None:
            parts += _CORRELATION_DATA, _sized(message.correlation_data)
        for name, value in message.user_properties:
            parts += _USER_PROPERTY, _sized(name.encode()), _sized(value.encode())
        body = b"".join(parts)
        return _variable(len(body)) + body


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _variable(number: int) -> bytes:
    """Write a number in groups of seven bits, the lowest first, each but the last with its top bit set."""
    groups = bytearray()
    while number >= _MORE:
        groups.append(number % _MORE | _MORE)
        number //= _MORE
    groups.append(number)
    return bytes(groups)


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """Return what TLS needs, None where it is off; raises ConfigError for a file that cannot be used."""
    tls = settings.tls
    if not tls.enabled:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise _unusable("mqtt.tls.ca_file", tls.ca_file, error) from None
    context.sslsocket_class = _ClosingSocket
    context.check_hostname = tls.check_hostname
    if tls.certificate_file is not None and tls.key_file is not None:
        try:
            # Without a function OpenSSL would ask for a passphrase on the terminal, and wait for ever.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: "")
        except OSError as error:
            raise _unusable("mqtt.tls.certificate_file and key_file", tls.certificate_file, error) from None
    return context


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself where the two sides do not agree on TLS; paho would leave that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """Agree with the broker on TLS."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _unusable(key: str, path: object, error: OSError) -> ConfigError:
    why = "not usable as PEM" if isinstance(error, ssl.SSLError) else error.strerror
    return ConfigError(f"{key}: {path}: {why}", remedy="name readable PEM files; the key without a passphrase")


class SocketWriter:
    """Writes the packets of one client of paho's; made in the thread of the loop, before the client connects.

    What paho wants to write from another thread, as it does while it connects, is left to aiomqtt; so is a socket that
    takes no more.
    """

    def __init__(self, paho: Any) -> None:
        self._paho = paho
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._watch, self._leave = paho.on_socket_register_write, paho.on_socket_unregister_write
        self._watched = False
        paho.on_socket_register_write, paho.on_socket_unregister_write = self._register, self._unregister

    def write(self) -> None:
        """Write what waits; where the socket takes no more now, the rest follows when it does."""
        try:
            self._paho.loop_write()
        except Exception:  # noqa: BLE001 - aiomqtt knows what to do about it, and meets it once more
            self._have_watched()
        if self._paho.want_write():
            self._have_watched()

    def write_unheard(self) -> None:
        """Write what waits, for those who ask paho what is written: to tell it, paho makes three objects a packet."""
        told, self._paho.on_publish = self._paho.on_publish, None
        try:
            self.write()
        finally:
            self._paho.on_publish = told

    def _have_watched(self) -> None:
        sock = self._paho.socket()
        if sock is not None and not self._watched:
            self._watched = True
            self._watch(self._paho, None, sock)

    def _register(self, paho: Any, data: Any, sock: Any) -> None:
        """Be told that there is something to write; not at once: paho may be in the middle of something."""
        if threading.get_ident() == self._thread_id:
            self._loop.call_soon(self.write)
        else:
            self._watched = True
            self._watch(paho, data, sock)

    def _unregister(self, paho: Any, data: Any, sock: Any) -> None:
        """Be told that all is written, or that the socket is closed."""
        if self._watched:
            self._watched = False
            self._leave(paho, data, sock)


T = TypeVar("T")

_quiet = logging.getLogger(__name__)
_quiet.addHandler(logging.NullHandler())  # what its failures mean is told by us

MAX_INCOMING_BYTES = 65_536
"""With MQTT 5 a broker does not pass larger messages on to us; a command has a few hundred bytes."""

_FAILURE = 0x80
"""Reason codes from here on say that something was refused."""

_CLOSE_S = 0.5
_GRACE_S = 0.2
"""A broker that refuses us hangs up too; its answer, which came first, may still be on its way to us."""
_FAILURES = (MqttError, OSError, TimeoutError, ConfigError)


class MqttConnection:
    """One connection to a broker.

    Args:
        settings: how to reach the broker.
        client_id: how it calls us.
        will: what it publishes when we vanish.
        inbox: makes the queue of what arrives.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: OutgoingMessage,
        inbox: Callable[[], "asyncio.Queue[Message]"],
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._inbox = inbox
        self._modern = settings.version == "5"
        self._client: Client | None = None
        self._given_up = False
        self._denied: list[ReasonCode] = []
        self._hung_up = asyncio.Event()
        self._moved = asyncio.Event()
        self._writes: SocketWriter | None = None
        self._max_bytes: int | None = None

    async def open(self) -> None:
        """Connect; raises LinkError."""
        try:
            client = self._client = self._make()
            await self._enter(client)
        except asyncio.CancelledError:
            self.abandon()
            raise
        except _FAILURES as error:
            self.abandon()
            raise link_error(error, self._settings) from error

    async def subscribe(self, topics: Mapping[str, int]) -> tuple[str, ...]:
        """Subscribe to topics at their QoS; return those that the broker does not let us read. Raises LinkError."""
        if not topics:
            return ()
        wishes: Any = [(topic, self._options(qos) if self._modern else qos) for topic, qos in topics.items()]
        with self._failures():
            codes = await self._in_time(self._opened().subscribe(wishes))
        values = [code.value if isinstance(code, ReasonCode) else code for code in codes]
        return tuple(topic for topic, value in zip(topics, values, strict=True) if value >= _FAILURE)

    async def unsubscribe(self, topics: Iterable[str]) -> None:
        """Hear nothing more of these topics. Raises LinkError."""
        with self._failures():
            await self._in_time(self._opened().unsubscribe(list(topics)))

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what arrives; raises LinkError when the connection ends."""
        with self._failures():
            async for message in self._opened().messages:
                yield message

    def fits(self, message: OutgoingMessage) -> bool:
        """Tell whether the broker takes messages of this size; with 3.1.1 it does not say."""
        properties = sum(len(name) + len(value) + 5 for name, value in message.user_properties)
        size = len(message.payload) + len(message.topic) + properties + 64
        return self._max_bytes is None or size <= self._max_bytes

    async def publish(self, message: OutgoingMessage) -> bool:
        """Publish; return when the broker has it (QoS 1) or the socket has (QoS 0). Raises LinkError.

        False where the broker refuses it, which it tells at QoS 1 with MQTT 5 only. One call at a time with QoS 1.
        """
        with self._failures():
            if not message.qos:
                await self._write(message)
                return True
            self._denied.clear()
            await self._in_time(self._opened().publish(*self._arguments(message)))
        return not self._denied

    async def _write(self, message: OutgoingMessage) -> None:
        """Publish at QoS 0, which takes no waiting as long as the socket takes what we write."""
        paho: Any = self._opened()._client
        info = paho.publish(*self._arguments(message))
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise MqttCodeError(info.rc, "Could not publish message")
        if self._writes is not None:
            self._writes.write_unheard()
            self._moved.set()
        if info.is_published():
            return
        async with asyncio.timeout(self._settings.connect_timeout_s):
            while not info.is_published():
                self._moved.clear()
                await self._moved.wait()

    async def close(self, last: OutgoingMessage) -> None:
        """Say goodbye with one last message; takes no longer than a second, and never raises."""
        client = self._client
        if client is not None:
            with contextlib.suppress(MqttLinkError, *_FAILURES):
                await with_timeout(self.publish(last), _CLOSE_S)
                await with_timeout(client.__aexit__(None, None, None), _CLOSE_S)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the socket and of what aiomqtt runs for it, now."""
        self._given_up = True
        if self._client is not None:
            _drop(self._client)

    def _make(self) -> Client:
        settings = self._settings
        password = read_secret(settings.password, settings.password_file, "mqtt.password_file")
        client = Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=password.get_secret_value() if password else None,
            identifier=self._client_id,
            queue_type=cast("type[asyncio.Queue[Message]]", lambda maxsize: self._inbox()),
            protocol=ProtocolVersion.V5 if self._modern else ProtocolVersion.V311,
            will=Will(self._will.topic, self._will.payload, self._will.qos, self._will.retain),
            timeout=settings.connect_timeout_s,
            keepalive=settings.keep_alive_s,
            properties=_connect_properties() if self._modern else None,
            logger=_quiet,
            tls_context=tls_context(settings),
            tls_insecure=True if settings.tls.enabled and not settings.tls.check_hostname else None,
        )
        self._listen(client)
        return client

    def _listen(self, client: Client) -> None:
        """Hear from paho what aiomqtt does not pass on: why a publish was refused, how much the broker takes."""
        paho: Any = client._client
        paho.connect_timeout = self._settings.connect_timeout_s
        connected, disconnected = paho.on_connect, paho.on_disconnect
        published, opened = paho.on_publish, paho.on_socket_open

        def on_connect(inner: Any, data: Any, flags: Any, code: Any, properties: Properties | None = None) -> None:
            self._max_bytes = getattr(properties, "MaximumPacketSize", None)
            connected(inner, data, flags, code, properties)

        def on_disconnect(inner: Any, data: Any, flags: Any, code: Any, properties: Any = None) -> None:
            self._hung_up.set()  # aiomqtt would wait for an answer until its time is up
            disconnected(inner, data, flags, code, properties)

        def on_publish(inner: Any, data: Any, number: int, code: ReasonCode, properties: Any) -> None:
            self._moved.set()
            if code.is_failure:
                self._denied.append(code)
            published(inner, data, number, code, properties)

        def on_socket_open(inner: Any, data: Any, sock: Any) -> None:
            if self._given_up:  # the attempt took too long: it must not take the place of the next one
                sock.close()
                raise ConnectionAbortedError
            opened(inner, data, sock)

        paho.on_connect, paho.on_disconnect = on_connect, on_disconnect
        paho.on_publish, paho.on_socket_open = on_publish, on_socket_open
        self._writes = SocketWriter(paho)

    async def _enter(self, client: Client) -> None:
        """Connect in time; what takes longer is left to end by itself, and its socket is closed then."""
        task = asyncio.ensure_future(client.__aenter__())
        hung_up = asyncio.ensure_future(self._hung_up.wait())
        try:
            limit_s = self._settings.connect_timeout_s
            await asyncio.wait({task, hung_up}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if hung_up.done():
                await asyncio.wait({task}, timeout=_GRACE_S)
            if task.done():
                task.result()
            elif hung_up.done():
                raise ConnectionClosedError
            else:
                raise TimeoutError
        finally:
            hung_up.cancel()
            if not task.done():
                task.add_done_callback(lambda task: _forget(task, client))

    @staticmethod
    def _options(qos: int) -> SubscribeOptions:
        """Ask for the retain flag as it was sent: without that, only what was retained before we came carries it."""
        return SubscribeOptions(qos, retainAsPublished=True)

    async def _in_time(self, call: Coroutine[Any, Any, T]) -> T:
        """Do a call of aiomqtt's within the time limit.

        aiomqtt waits by asyncio.wait_for, which in Python 3.11 swallows a cancellation that comes with the answer.
        """
        return await with_timeout(call, self._settings.connect_timeout_s)

    def _opened(self) -> Client:
        assert self._client is not None  # noqa: S101 - for the type checker: open comes first
        return self._client

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn aiomqtt's failures into ours."""
        try:
            yield
        except _FAILURES as error:
            raise link_error(error, self._settings) from error

    def _arguments(self, message: OutgoingMessage) -> tuple[str, bytes, int, bool, Any]:
        """Return what aiomqtt and paho want to publish a message; of its properties they only ask for the bytes."""
        properties = PackedProperties(message) if self._modern else None
        return message.topic, message.payload, message.qos, message.retain, properties


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = MAX_INCOMING_BYTES
    return properties


def _drop(client: Client) -> None:
    """Close the socket, which also ends aiomqtt's reader and its task; hear what its futures still have to say."""
    with contextlib.suppress(OSError, ValueError):  # closed meanwhile, by the thread that connects
        client._client._sock_close()
    for future in (client._connected, client._disconnected):
        if future.done() and not future.cancelled():
            future.exception()


def _forget(task: "asyncio.Future[Any]", client: Client) -> None:
    """Close what an attempt that took too long has opened after all."""
    if not task.cancelled():
        task.exception()
    _drop(client)
