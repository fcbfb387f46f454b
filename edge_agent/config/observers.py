"""Settings of what watches the train: MQTT, Kafka and its outbox, the console, the log, the state folder.

Knows names, units, ranges and defaults. Knows nothing of files, the environment or what reads a setting.
A secret's own key is taken from the environment only; `..._file` names a file that holds it.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyAddress, SecretStr, model_validator

from edge_agent.config.base import Host, Port, Section, Text

Topic = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*$")]
Server = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+:[0-9]{1,5}$|^\[[0-9A-Fa-f:]+\]:[0-9]{1,5}$")]


def _keep_one(section: Section, *secrets: str) -> None:
    """Raise ValueError where a secret is given both itself and by a file."""
    for name in secrets:
        if getattr(section, name) is not None and getattr(section, f"{name}_file") is not None:
            raise ValueError(f"{name} and {name}_file are both set: keep one")


Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9_.\-\[\]:]+$", max_length=300)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9\-]{1,64}$")]


class TlsSettings(Section):
    """Encryption of a connection."""

    enabled: bool = Field(False, description="Use TLS.")
    ca_file: Path | None = Field(None, description="Authorities to trust (PEM); null takes the system's.")
    certificate_file: Path | None = Field(None, description="The client's certificate (PEM), for mutual TLS.")
    key_file: Path | None = Field(None, description="The key of the client's certificate (PEM).")
    check_hostname: bool = Field(True, description="The broker's certificate must name its host.")

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
    client_id: Text | None = Field(None, description="Client id; null makes one of the train's id.")
    username: Text | None = Field(None, description="User name.")
    password: SecretStr | None = Field(None, description="Password; environment only.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    tls: TlsSettings = Field(default_factory=TlsSettings, description="Encryption.")
    topic_prefix: Topic = Field(
        "edge-agent", examples=["edge-agent/booth"], description="First part of each topic; the train's id follows."
    )
    home_assistant: HomeAssistantSettings = Field(default_factory=HomeAssistantSettings, description="Home Assistant.")
    images: bool = Field(False, description="Publish frames as JPEG too.")
    jpeg_quality: int = Field(80, ge=10, le=100, description="Quality of the frames.")
    commands: bool = Field(True, description="Take commands; those that move the train need the command token.")
    command_token: SecretStr | None = Field(None, description="Token of commands; environment only.")
    command_token_file: Path | None = Field(None, description="File that holds the token of commands.")
    keep_alive_s: int = Field(15, ge=5, le=3600, description="Keep-alive interval, in seconds.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Time limit of one attempt to connect, in seconds.")
    retry_max_s: float = Field(30.0, ge=1, le=600, description="Longest wait between two attempts, in seconds.")
    queue_size: int = Field(1000, ge=10, le=100000, description="Events that may wait for the broker; oldest drop out.")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        _keep_one(self, "password", "command_token")
        return self


class CommandSettings(Section):
    """What a command from outside has to fulfil, whatever channel it comes by; a stop is obeyed in any case."""

    max_age_s: float = Field(10.0, gt=0, le=300, description="An older command is refused, in seconds.")
    max_ahead_s: float = Field(
        5.0, ge=0, le=300, description="One from further in the future is refused, in seconds: clocks differ."
    )
    hold_s: float = Field(
        1.0, ge=0, le=60, description="For so long after a stop, in seconds, nothing that moves the train is obeyed."
    )
    max_per_s: int = Field(20, ge=1, le=50, description="More commands in a second are a flood, and refused.")


class OutboxSettings(Section):
    """What keeps events while the uplink is away."""

    path: Path | None = Field(None, description="The SQLite file; null takes outbox.db in the state folder.")
    max_events_mb: int = Field(2048, ge=1, le=1000000, description="Budget of events, in MB.")
    max_events_h: float = Field(
        72.0, gt=0, le=8760, description="Events younger than this, in hours, are not evicted for their age."
    )
    max_images_mb: int = Field(512, ge=0, le=1000000, description="Budget of frames, in MB; the oldest go first.")
    drain_events_per_s: int = Field(
        1000, ge=10, le=100000, description="At most this many waiting events a second are sent beside the live ones."
    )
    drain_mb_per_s: float = Field(
        10.0, gt=0, le=1000, description="At most so many MB of them a second: pictures are large."
    )
    drain_at_end_s: float = Field(
        1.5, ge=0, le=60, description="At the end of a run, what waits may still be sent for so long, in seconds."
    )


class KafkaSettings(Section):
    """The mirror to a Kafka cluster, behind the outbox."""

    enabled: bool = Field(False, description="Send to Kafka.")
    bootstrap_servers: tuple[Server, ...] = Field(
        ("127.0.0.1:9092",),
        min_length=1,
        examples=["broker:9092"],
        description="Brokers to ask first, as a list of `host:port`.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Encryption and authentication."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism, with the SASL protocols."
    )
    username: Text | None = Field(None, description="User name, with the SASL protocols.")
    password: SecretStr | None = Field(None, description="Password; environment only.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    ca_file: Path | None = Field(None, description="Authorities to trust (PEM); null takes the system's.")
    certificate_file: Path | None = Field(None, description="The client's certificate (PEM), for mutual TLS.")
    key_file: Path | None = Field(None, description="The key of the client's certificate (PEM).")
    check_hostname: bool = Field(True, description="A broker's certificate must name its host.")
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]{1,249}$")] = Field(
        "edge-agent-events", examples=["edge-agent-events"], description="Topic of the events."
    )
    command_topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]{1,249}$")] = Field(
        "edge-agent-commands", examples=["edge-agent-commands"], description="Topic of remote commands."
    )
    commands: bool = Field(True, description="Take commands; those that move the train need the command token.")
    command_token: SecretStr | None = Field(None, description="Token of commands; environment only.")
    command_token_file: Path | None = Field(None, description="File that holds the token of commands.")
    mode: Literal["binary", "structured"] = Field("binary", description="CloudEvents content mode.")
    images: bool = Field(True, description="Send frames too.")
    jpeg_quality: int = Field(80, ge=10, le=100, description="Quality of the frames.")
    max_message_bytes: int = Field(
        1_000_000, ge=1000, le=100_000_000, description="Larger messages, in bytes, are set aside (dead-lettered)."
    )
    send_timeout_s: float = Field(
        10.0, gt=0, le=120, description="A producer hanging this long, in seconds, is given up."
    )
    retry_max_s: float = Field(30.0, ge=1, le=600, description="Longest wait between two attempts, in seconds.")
    outbox: OutboxSettings = Field(
        default_factory=OutboxSettings, description="What keeps events while the uplink is away."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _keep_one(self, "password", "command_token")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together: give both or none")
        if self.enabled and self.security_protocol.startswith("SASL") and self.username is None:
            raise ValueError(f"username is needed with security_protocol {self.security_protocol}")
        return self


class ConsoleSettings(Section):
    """The web page on the train, with its metrics and health endpoints."""

    enabled: bool = Field(True, description="Serve the page.")
    host: Host = Field(
        "127.0.0.1", examples=["192.168.1.10"], description="Address to listen on; 0.0.0.0 admits the whole network."
    )
    port: Port = Field(8080, description="Port to listen on.")
    metrics: bool = Field(True, description="Serve /metrics, /healthz and /readyz, also without the page.")
    token: SecretStr | None = Field(None, description="Token of commands; environment only.")
    token_file: Path | None = Field(None, description="File that holds the token; without a token the page only shows.")
    allowed_origins: tuple[Origin, ...] = Field(
        (),
        examples=["https://trains.example.org"],
        description="Origins beside its own that the page may be opened at, as `https://host:port`.",
    )
    user_header: Header | None = Field(
        None,
        examples=["X-Forwarded-Email"],
        description="Header in which a proxy that logs people in names them; null trusts none.",
    )
    jpeg_quality: int = Field(80, ge=10, le=100, description="Quality of the frames that the page gets.")
    history_s: int = Field(300, ge=10, le=3600, description="How long pictures are kept, in seconds.")
    history_mb: int | None = Field(
        None, ge=1, le=16384, description="Budget of kept pictures, in MB; null: 64 on a train, 512 for a fleet."
    )
    max_viewers: int = Field(60, ge=1, le=500, description="More pages than this are turned away.")
    trusted_proxies: tuple[IPvAnyAddress, ...] = Field(
        (),
        examples=["10.0.0.7"],
        description="Addresses beside the loopback from which user_header is believed.",
    )

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        _keep_one(self, "token")
        return self


class LogSettings(Section):
    """What the agent tells on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe lines shown.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto` is for people where stderr is a terminal and JSON where it is not."
    )


class StateSettings(Section):
    """Where the agent keeps what must outlive the process."""

    directory: Path | None = Field(
        None, description="The state folder; null takes systemd's STATE_DIRECTORY, else ~/.local/state/edge-agent."
    )


Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class TracingSettings(Section):
    """A trace of each frame for OpenTelemetry; needs the extra `tracing`."""

    enabled: bool = Field(False, description="Export a span for each frame, with its stages.")
    endpoint: Url = Field(
        "http://127.0.0.1:4318/v1/traces",
        examples=["http://collector:4318/v1/traces"],
        description="Where to export to: OTLP over HTTP.",
    )
    share: float = Field(1.0, ge=0, le=1, description="The share of frames that is exported.")
