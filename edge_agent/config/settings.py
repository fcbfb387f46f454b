"""All settings, by section."""

from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.config.base import Section
from edge_agent.config.control import (
    CaptureSettings,
    DetectorSettings,
    GuardSettings,
    HubSettings,
    PolicySettings,
    SimSettings,
    TrainSettings,
)
from edge_agent.config.observers import (
    CommandSettings,
    ConsoleSettings,
    KafkaSettings,
    LogSettings,
    MqttSettings,
    StateSettings,
    TracingSettings,
)


class Settings(Section):
    """Everything that can be set; `Settings()` holds the defaults."""

    train: TrainSettings = Field(default_factory=TrainSettings, description="Which train this is.")
    capture: CaptureSettings = Field(
        default_factory=CaptureSettings, description="Where pictures come from, and how many a second."
    )
    sim: SimSettings = Field(
        default_factory=SimSettings, description="The simulated world behind `capture.source: sim`."
    )
    detector: DetectorSettings = Field(
        default_factory=DetectorSettings, description="What detects signs in the frames."
    )
    policy: PolicySettings = Field(default_factory=PolicySettings, description="How detections become decisions.")
    guard: GuardSettings = Field(default_factory=GuardSettings, description="Lease and limits of the fail-safe rules.")
    hub: HubSettings = Field(default_factory=HubSettings, description="The actuator and how power becomes motion.")
    mqtt: MqttSettings = Field(default_factory=MqttSettings, description="The mirror to an MQTT broker.")
    kafka: KafkaSettings = Field(
        default_factory=KafkaSettings, description="The mirror to a Kafka cluster, behind the outbox."
    )
    compat: Literal["crazy-train"] | None = Field(
        None, description="`crazy-train` also uses the original demo's topics and payloads; null does not."
    )
    commands: CommandSettings = Field(
        default_factory=CommandSettings, description="Conditions for commands from outside."
    )
    console: ConsoleSettings = Field(
        default_factory=ConsoleSettings, description="The web page, metrics and health endpoints."
    )
    tracing: TracingSettings = Field(default_factory=TracingSettings, description="Traces for OpenTelemetry.")
    log: LogSettings = Field(default_factory=LogSettings, description="What the agent logs to stderr.")
    state: StateSettings = Field(
        default_factory=StateSettings, description="Where the agent keeps files that outlive the process."
    )

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        drain_s, exit_s = self.kafka.outbox.drain_at_end_s, self.guard.exit_timeout_s
        if self.kafka.enabled and drain_s >= exit_s:
            raise ValueError(
                f"kafka.outbox.drain_at_end_s ({drain_s:g}) must be less than guard.exit_timeout_s ({exit_s:g}): "
                "the process has exited by then"
            )
        return self
