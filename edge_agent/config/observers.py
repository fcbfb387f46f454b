"""Settings of the observers: MQTT, Kafka and its outbox, the console, tracing, the log, the state folder.

A secret's own key is taken from the environment only; `..._file` names a file that holds it.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyAddress, SecretStr, model_validator

from edge_agent.config.base import Host, Port, Section, Text

Topic = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*$")]
Server = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+:[0-9]{1,5}$|^\[[0-9A-Fa-f:]+\]:[0-9]{1,5}$")]
Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9_.\-\[\]:]+$", max_length=300)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9\-]{1,64}$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class TlsSettings(Section):
    """Encryption of a connection."""

    enabled: bool = Field(False, description="Use TLS.")
    ca_file: Path | None = Field(None, description="Certificate authorities to trust (PEM); null takes the system's.")
    certificate_file: Path | None = Field(None, description="The client's certificate (PEM), for mutual TLS.")
    key_file: Path | None = Field(None, description="The private key of that certificate (PEM).")
    check_hostname: bool = Field(True, description="Require the broker's certificate to match its host name.")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together: give both or none")
        return self


class HomeAssistantSettings(Section):
    """Discovery by Home Assistant."""

    enabled: bool = Field(False, description="Announce the train to Home Assistant.")
    discovery_prefix: Topic = Field(
        "homeassistant", examples=["homeassistant"], description="Home Assistant's discovery prefix."
    )


class MqttSettings(Section):
    """The mirror to an MQTT broker."""

    enabled: bool = Field(False, description="Publish to an MQTT broker.")
    host: Host = Field("127.0.0.1", examples=["192.168.1.10"], description="The broker's host.")
    port: Port = Field(1883, description="The broker's port (8883 is usual with TLS).")
    version: Literal["5", "3.1.1"] = Field("5", description="Protocol version.")
    client_id: Text | None = Field(None, description="Client id; null derives one from the train's id.")
    username: Text | None = Field(None, description="User name.")
    password: SecretStr | None = Field(None, description="Password; only from the environment.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    tls: TlsSettings = Field(default_factory=TlsSettings, description="Encryption.")
    topic_prefix: Topic = Field(
        "edge-agent", examples=["edge-agent/booth"], description="First part of every topic; the train's id follows."
    )
    home_assistant: HomeAssistantSettings = Field(default_factory=HomeAssistantSettings, description="Home Assistant.")
    images: bool = Field(False, description="Also publish frames as JPEG.")
    jpeg_quality: int = Field(80, ge=10, le=100, description="JPEG quality of the frames.")
    commands: bool = Field(True, description="Accept commands; those that move the train need the command token.")
    command_token: SecretStr | None = Field(None, description="Token that commands need; only from the environment.")
    command_token_file: Path | None = Field(None, description="File that holds the command token.")
    keep_alive_s: int = Field(15, ge=5, le=3600, description="Keep-alive interval, in seconds.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Time limit of an attempt to connect, in seconds.")
    retry_max_s: float = Field(30.0, ge=1, le=600, description="Longest wait between two attempts, in seconds.")
    queue_size: int = Field(
        1000, ge=10, le=100000, description="Events that may wait for the broker; the oldest are dropped."
    )


class CommandSettings(Section):
    """Conditions for commands from outside, on every channel; a stop is always executed."""

    max_age_s: float = Field(10.0, gt=0, le=300, description="Refuse commands older than this, in seconds.")
    max_ahead_s: float = Field(
        5.0, ge=0, le=300, description="Refuse commands further than this in the future, in seconds: clocks differ."
    )
    hold_s: float = Field(
        1.0, ge=0, le=60, description="For this long after a stop, in seconds, refuse everything that moves the train."
    )
    max_per_s: int = Field(20, ge=1, le=50, description="Refuse more commands than this in a second.")


class OutboxSettings(Section):
    """The store that keeps events while Kafka cannot be reached."""

    path: Path | None = Field(None, description="The SQLite file; null is outbox.db in the state folder.")
    max_events_mb: int = Field(2048, ge=1, le=1000000, description="Most disk space for events, in MB.")
    max_events_h: float = Field(
        72.0, gt=0, le=8760, description="Events are evicted for their age only when older than this, in hours."
    )
    max_images_mb: int = Field(
        512, ge=0, le=1000000, description="Most disk space for frames, in MB; the oldest are evicted first."
    )
    drain_events_per_s: int = Field(
        1000,
        ge=10,
        le=100000,
        description="At most this many waiting events are sent per second, in addition to the live ones.",
    )
    drain_mb_per_s: float = Field(
        10.0, gt=0, le=1000, description="At most this many MB of them per second: frames are large."
    )
    drain_at_end_s: float = Field(
        1.5, ge=0, le=60, description="At the end of a run, keep sending what waits for this long, in seconds."
    )


class KafkaSettings(Section):
    """The mirror to a Kafka cluster, behind the outbox."""

    enabled: bool = Field(False, description="Send to Kafka.")
    bootstrap_servers: tuple[Server, ...] = Field(
        ("127.0.0.1:9092",),
        min_length=1,
        examples=["broker:9092"],
        description="Brokers to contact first, as a list of `host:port`.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Encryption and authentication."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism, for the SASL protocols."
    )
    username: Text | None = Field(None, description="User name, for the SASL protocols.")
    password: SecretStr | None = Field(None, description="Password; only from the environment.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    ca_file: Path | None = Field(None, description="Certificate authorities to trust (PEM); null takes the system's.")
    certificate_file: Path | None = Field(None, description="The client's certificate (PEM), for mutual TLS.")
    key_file: Path | None = Field(None, description="The private key of that certificate (PEM).")
    check_hostname: bool = Field(True, description="Require a broker's certificate to match its host name.")
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]{1,249}$")] = Field(
        "edge-agent-events", examples=["edge-agent-events"], description="Topic of the events."
    )
    command_topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]{1,249}$")] = Field(
        "edge-agent-commands", examples=["edge-agent-commands"], description="Topic of remote commands."
    )
    commands: bool = Field(True, description="Accept commands; those that move the train need the command token.")
    command_token: SecretStr | None = Field(None, description="Token that commands need; only from the environment.")
    command_token_file: Path | None = Field(None, description="File that holds the command token.")
    mode: Literal["binary", "structured"] = Field("binary", description="CloudEvents content mode.")
    images: bool = Field(True, description="Also send frames.")
    jpeg_quality: int = Field(80, ge=10, le=100, description="JPEG quality of the frames.")
    max_message_bytes: int = Field(
        1_000_000, ge=1000, le=100_000_000, description="Larger messages, in bytes, become dead letters."
    )
    send_timeout_s: float = Field(
        10.0, gt=0, le=120, description="A producer that hangs for this long, in seconds, is replaced."
    )
    retry_max_s: float = Field(30.0, ge=1, le=600, description="Longest wait between two attempts, in seconds.")
    outbox: OutboxSettings = Field(
        default_factory=OutboxSettings, description="The store that keeps events while Kafka cannot be reached."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together: give both or none")
        if self.enabled and self.security_protocol.startswith("SASL") and self.username is None:
            raise ValueError(f"username is needed with security_protocol {self.security_protocol}")
        return self


class ConsoleSettings(Section):
    """The web page on the train, with its metrics and health endpoints."""

    enabled: bool = Field(True, description="Serve the page.")
    host: Host = Field(
        "127.0.0.1",
        examples=["192.168.1.10"],
        description="Address to listen on; 0.0.0.0 opens it to the whole network.",
    )
    port: Port = Field(8080, description="Port to listen on.")
    metrics: bool = Field(True, description="Serve /metrics, /healthz and /readyz, even without the page.")
    token: SecretStr | None = Field(None, description="Token that commands need; only from the environment.")
    token_file: Path | None = Field(
        None, description="File that holds the token; without a token the page cannot send commands."
    )
    allowed_origins: tuple[Origin, ...] = Field(
        (),
        examples=["https://trains.example.org"],
        description="Origins other than its own from which the page may be used, as `https://host:port`.",
    )
    user_header: Header | None = Field(
        None,
        examples=["X-Forwarded-Email"],
        description="Header in which an authenticating proxy names the user; null trusts none.",
    )
    jpeg_quality: int = Field(80, ge=10, le=100, description="JPEG quality of the page's frames.")
    history_s: int = Field(300, ge=10, le=3600, description="How long pictures are kept, in seconds.")
    history_mb: int | None = Field(
        None, ge=1, le=16384, description="Memory for kept pictures, in MB; null: 64 on a train, 512 for a fleet."
    )
    max_viewers: int = Field(60, ge=1, le=500, description="Most pages that may be open at once.")
    trusted_proxies: tuple[IPvAnyAddress, ...] = Field(
        (), examples=["10.0.0.7"], description="Addresses other than the loopback from which `user_header` is trusted."
    )

    @property
    def is_read_only(self) -> bool:
        """Whether nobody can send commands: there is no token, and no proxy that logs users in."""
        return self.token is None and self.token_file is None and self.user_header is None

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the page."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class LogSettings(Section):
    """What the agent logs to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto` is text where stderr is a terminal, else JSON."
    )


class StateSettings(Section):
    """Where the agent keeps files that outlive the process."""

    directory: Path | None = Field(
        None, description="The state folder; null is systemd's STATE_DIRECTORY, else ~/.local/state/edge-agent."
    )


class TracingSettings(Section):
    """A trace of each frame for OpenTelemetry; needs the extra `tracing`."""

    enabled: bool = Field(False, description="Export a span for each frame, with its stages.")
    endpoint: Url = Field(
        "http://127.0.0.1:4318/v1/traces",
        examples=["http://collector:4318/v1/traces"],
        description="Collector to export to, by OTLP over HTTP.",
    )
    share: float = Field(1.0, ge=0, le=1, description="Fraction of frames that is exported.")
