"""What producer and consumers of Kafka share: aiokafka's arguments, its errors as faults, and how a consumer restarts.

Secrets are read when they are used and are not kept.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.conn import create_conn

from edge_agent.config import KafkaSettings, read_secret
from edge_agent.errors import ConfigError, EdgeAgentError, RetryableError
from edge_agent.faults import KAFKA_REFUSED, KAFKA_SETTINGS, KAFKA_TOPIC_MISSING, KAFKA_UNREACHABLE, FaultKind
from edge_agent.runtime.backoff import Backoff
from edge_agent.runtime.timeouts import close_client, with_timeout

NO_TOPIC_S = 1.0
"""More time for what looks up a topic: aiokafka gives up after `send_timeout_s` as well, and its error says more."""

_ABANDON_S = 1.0
_ALERT_S = 0.5  # a broker's alert comes one round trip after the handshake
_OF_TOPIC = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.UnknownTopicOrPartitionError,
    kafka_errors.InvalidTopicError,
)

# aiokafka logs each failed attempt with a traceback; we report what it means instead.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class KafkaLinkError(RetryableError):
    """The link to Kafka does not work now; to be reported as `kind`. `topic` is set if only that topic is affected."""

    def __init__(self, kind: FaultKind, message: str, remedy: str, topic: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.kind = kind
        self.topic = topic


def client_arguments(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    """Return the arguments that producer and consumer share; raises ConfigError for an unusable file."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": client_id,
        "request_timeout_ms": max(1, round(settings.send_timeout_s * 1000)),
        "security_protocol": settings.security_protocol,
        "metadata_max_age_ms": 60_000,
        "retry_backoff_ms": 100,
    }
    if settings.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = _tls(settings)
    if settings.security_protocol.startswith("SASL"):
        password = read_secret(settings.password, settings.password_file, "kafka.password_file")
        if password is None:
            raise ConfigError(
                f"kafka: {settings.security_protocol} needs a password",
                remedy="set kafka.password_file, or EDGE_AGENT_KAFKA__PASSWORD in the environment",
            )
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.username
        arguments["sasl_plain_password"] = password.get_secret_value()
    return arguments


def link_error(error: BaseException, settings: KafkaSettings, topic: str, *, reads: bool = False) -> KafkaLinkError:
    """Return the error that an exception of aiokafka means, by its class, never by its text.

    `topic` is what was written to, or read.
    """
    if isinstance(error, KafkaLinkError):
        return error
    servers = ", ".join(settings.bootstrap_servers)
    words = {"servers": servers, "topic": topic, "use": "read" if reads else "write to"}
    for classes, kind, message, remedy in _MEANINGS:
        if isinstance(error, classes):
            affected = topic if issubclass(classes[0], _OF_TOPIC) else ""
            right = "READ" if reads else "WRITE"
            return KafkaLinkError(kind, message.format(**words), remedy.format(right=right), affected)
    if isinstance(error, LookupError) and settings.security_protocol.startswith("SASL"):
        # A SCRAM reply that aiokafka cannot read.
        return link_error(kafka_errors.SaslAuthenticationFailed(), settings, topic)
    if isinstance(error, EdgeAgentError):
        return KafkaLinkError(KAFKA_SETTINGS, error.message, error.remedy)
    name = type(error).__name__
    return KafkaLinkError(KAFKA_UNREACHABLE, f"Kafka at {servers} fails ({name})", "check the broker's log")


async def connection_error(settings: KafkaSettings, client_id: str) -> Exception | None:
    """Return why no connection could be made, by trying the first server once more; None if this attempt succeeds.

    aiokafka's clients only log what went wrong with each server and raise one error for everything, even a wrong
    password.
    """
    arguments = client_arguments(settings, client_id)
    refusal = await tls_refusal(settings, settings.bootstrap_servers[0])
    if refusal is not None:
        return refusal
    kept = ("client_id", "request_timeout_ms", "security_protocol", "ssl_context")
    options = {name: value for name, value in arguments.items() if name in kept or name.startswith("sasl")}
    host, _, port = settings.bootstrap_servers[0].rpartition(":")
    try:
        connection = await create_conn(host.strip("[]"), int(port), **options)
    except Exception as error:  # noqa: BLE001 - this is the result
        return error
    connection.close()
    return None


async def connection_cause(error: Exception, settings: KafkaSettings, client_id: str) -> Exception:
    """Return the cause of an error that says only that there is no connection; the error itself if it says more."""
    if not isinstance(error, kafka_errors.KafkaConnectionError | TimeoutError):
        return error
    try:
        return await with_timeout(connection_error(settings, client_id), settings.send_timeout_s) or error
    except Exception:  # noqa: BLE001 - then the first error has to do
        return error


async def tls_refusal(settings: KafkaSettings, server: str) -> KafkaLinkError | None:
    """Return why a broker ends our TLS connection after it has seen our certificate, or that there is none.

    With TLS 1.3 it does so after the handshake has succeeded on our side. Nothing is sent here: a broker that closes
    with unread bytes resets the connection, and its alert is lost.
    """
    if not settings.security_protocol.endswith("SSL"):
        return None
    host, _, port = server.rpartition(":")
    shaken_hands = False
    try:
        async with asyncio.timeout(settings.send_timeout_s):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=_tls(settings))
        shaken_hands = True
        try:
            await with_timeout(reader.read(1), _ALERT_S)
        finally:
            writer.transport.abort()
    except TimeoutError:  # it is content with us, or does not answer at all
        return None
    except OSError as error:
        if not shaken_hands and "ALERT" not in (getattr(error, "reason", None) or ""):
            return None
    if settings.certificate_file is None:
        what, remedy = "requires a client certificate", "set kafka.certificate_file and kafka.key_file"
    else:
        what = "does not accept our client certificate"
        remedy = "let an authority that the broker trusts sign kafka.certificate_file, and check its dates"
    return KafkaLinkError(KAFKA_REFUSED, f"Kafka at {server} {what}", remedy)


async def consume_forever(
    settings: KafkaSettings,
    make: Callable[[], Any],
    consume: Callable[[Any, Callable[[], None]], Awaitable[None]],
    failed: Callable[[Exception], Awaitable[None]],
) -> None:
    """Consume until cancelled, with a new consumer, after a pause, whenever one fails.

    Needs an event loop of its own: what a hanging consumer leaves running is found there and cancelled.

    Args:
        settings: how long a call may take, and the longest pause.
        make: returns a consumer that is not started.
        consume: called with the started consumer, and a function to call once all is well; does not return.
        failed: called with the reason why a consumer ended, before it is closed.
    """
    backoff = Backoff(settings.retry_max_s)
    while True:
        before = asyncio.all_tasks()
        consumer: Any = None
        try:
            consumer = make()
            await with_timeout(consumer.start(), settings.send_timeout_s + NO_TOPIC_S)
            await consume(consumer, backoff.reset)
        except Exception as error:  # noqa: BLE001 - aiokafka raises more than its own errors; all mean no link
            await failed(error)
        finally:
            if consumer is not None:
                # If stop hangs, its sockets must still be closed. Unlike the producer, aiokafka's consumer has no
                # public attribute for its client, hence the private one.
                await close_client((consumer.stop, consumer._client.close), before, _ABANDON_S)
        await asyncio.sleep(backoff.next_s())


_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], FaultKind, str, str], ...] = (
    (
        (kafka_errors.TopicAuthorizationFailedError,),
        KAFKA_REFUSED,
        "Kafka at {servers} does not allow us to {use} the topic {topic}",
        "grant the user {right} and DESCRIBE on the topic",
    ),
    (
        (kafka_errors.ClusterAuthorizationFailedError,),
        KAFKA_REFUSED,
        "Kafka at {servers} does not allow us to use the cluster",
        "grant the user {right} and DESCRIBE on the topic, and IDEMPOTENT_WRITE on the cluster",
    ),
    (
        (
            kafka_errors.AuthenticationFailedError,
            kafka_errors.SaslAuthenticationFailed,
            kafka_errors.UnsupportedSaslMechanismError,
            kafka_errors.IllegalSaslStateError,
        ),
        KAFKA_REFUSED,
        "Kafka at {servers} does not accept our credentials",
        "check kafka.username, kafka.password_file, kafka.sasl_mechanism and kafka.security_protocol",
    ),
    (
        (kafka_errors.UnknownTopicOrPartitionError, kafka_errors.InvalidTopicError),
        KAFKA_TOPIC_MISSING,
        "Kafka at {servers} has no topic {topic} and does not create one",
        "create the topic",
    ),
    (
        (ssl.SSLError,),
        KAFKA_REFUSED,
        "the TLS handshake with Kafka at {servers} fails",
        "check kafka.ca_file, kafka.certificate_file and the broker's certificate",
    ),
    (
        (
            kafka_errors.LeaderNotAvailableError,
            kafka_errors.NotLeaderForPartitionError,
            kafka_errors.StaleMetadata,
            kafka_errors.ReplicaNotAvailableError,
        ),
        KAFKA_UNREACHABLE,
        "Kafka at {servers} has no leader for the topic {topic}",
        "check that all brokers run",
    ),
    (
        (TimeoutError, kafka_errors.KafkaTimeoutError, kafka_errors.RequestTimedOutError),
        KAFKA_UNREACHABLE,
        "Kafka at {servers} does not answer",
        "check the uplink; events wait in the outbox meanwhile",
    ),
    (
        (kafka_errors.KafkaConnectionError, OSError),
        KAFKA_UNREACHABLE,
        "Kafka at {servers} cannot be reached",
        "check the uplink and kafka.bootstrap_servers; events wait in the outbox meanwhile",
    ),
)


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("kafka.ca_file", settings.ca_file, error) from None
    context.check_hostname = settings.check_hostname
    if settings.certificate_file is not None and settings.key_file is not None:
        try:
            context.load_cert_chain(settings.certificate_file, settings.key_file, password=_no_passphrase)
        except (OSError, ssl.SSLError) as error:
            raise _unusable("kafka.certificate_file and key_file", settings.certificate_file, error) from None
    return context


def _no_passphrase() -> str:
    """Return an empty passphrase: OpenSSL would otherwise ask for one on the terminal, and wait forever."""
    return ""


def _unusable(key: str, path: object, error: Exception) -> ConfigError:
    why = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else "not usable as PEM"
    return ConfigError(f"{key}: {path}: {why}", remedy="name readable PEM files; the key without a passphrase")
