"""Settings of Kafka as arguments of aiokafka's clients, and its errors as what to do about them.

Knows aiokafka's names, TLS and SASL. Knows nothing of what is sent. Secrets are read at the moment of use and go
nowhere else.
"""

import logging
import ssl
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.conn import create_conn

from edge_agent.config import KafkaSettings, read_secret
from edge_agent.errors import ConfigError, EdgeAgentError, RetryableError
from edge_agent.faults import KAFKA_REFUSED, KAFKA_SETTINGS, KAFKA_TOPIC_MISSING, KAFKA_UNREACHABLE, FaultKind

# aiokafka logs each failed attempt with a trace; what its failures mean is told by us.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class KafkaLinkError(RetryableError):
    """The link to Kafka does not work now; to be reported as `kind`."""

    def __init__(self, kind: FaultKind, message: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.kind = kind


def client_arguments(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    """Return the arguments that producer and consumer share; raises ConfigError for a file that cannot be used."""
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


def link_error(error: BaseException, settings: KafkaSettings) -> KafkaLinkError:
    """Return what an exception of aiokafka means; by its class, never by its text."""
    servers = ", ".join(settings.bootstrap_servers)
    for classes, kind, message, remedy in _MEANINGS:
        if isinstance(error, classes):
            return KafkaLinkError(kind, message.format(servers=servers, topic=settings.topic), remedy)
    if isinstance(error, LookupError) and settings.security_protocol.startswith("SASL"):
        return link_error(kafka_errors.SaslAuthenticationFailed(), settings)  # a SCRAM answer that aiokafka cannot read
    if isinstance(error, EdgeAgentError):
        return KafkaLinkError(KAFKA_SETTINGS, error.message, error.remedy)
    name = type(error).__name__
    return KafkaLinkError(KAFKA_UNREACHABLE, f"Kafka at {servers} fails ({name})", "check the broker's log")


async def reason(settings: KafkaSettings, client_id: str) -> Exception | None:
    """Return why no connection comes about, by trying the first server once more; None where this one did.

    aiokafka's clients only log what went wrong with each server and raise one error for everything, a wrong password
    included.
    """
    arguments = client_arguments(settings, client_id)
    kept = ("client_id", "request_timeout_ms", "security_protocol", "ssl_context")
    options = {name: value for name, value in arguments.items() if name in kept or name.startswith("sasl")}
    host, _, port = settings.bootstrap_servers[0].rpartition(":")
    try:
        connection = await create_conn(host.strip("[]"), int(port), **options)
    except Exception as error:  # noqa: BLE001 - this is the answer
        return error
    connection.close()
    return None


_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], FaultKind, str, str], ...] = (
    (
        (kafka_errors.TopicAuthorizationFailedError, kafka_errors.ClusterAuthorizationFailedError),
        KAFKA_REFUSED,
        "Kafka at {servers} does not let us write to the topic {topic}",
        "grant the user WRITE and DESCRIBE on the topic",
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
        "Kafka at {servers} has no topic {topic} and does not make one",
        "create the topic",
    ),
    (
        (ssl.SSLError,),
        KAFKA_REFUSED,
        "Kafka at {servers} and we do not agree on TLS",
        "check kafka.ca_file, kafka.certificate_file and the broker's certificate",
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
    """Refuse to ask for a passphrase on the terminal, where OpenSSL would wait for ever."""
    return ""


def _unusable(key: str, path: object, error: Exception) -> ConfigError:
    why = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else "not usable as PEM"
    return ConfigError(f"{key}: {path}: {why}", remedy="name readable PEM files; the key without a passphrase")
