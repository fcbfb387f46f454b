"""The whole of the settings, by section.

Knows which sections there are. Knows nothing of files, the environment or what reads a setting.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.config.base import Section
from edge_agent.config.control import Capture, Detector, Guard, Hub, Policy, Sim, Train
from edge_agent.config.observers import Commands, Console, Kafka, Log, Mqtt, State, Tracing


class Settings(Section):
    """Everything that can be set; `Settings()` holds the defaults."""

    train: Train = Field(default_factory=Train, description="Which train this is.")
    capture: Capture = Field(default_factory=Capture, description="Where pictures come from and how often.")
    sim: Sim = Field(default_factory=Sim, description="The simulated world behind `capture.source: sim`.")
    detector: Detector = Field(default_factory=Detector, description="What looks for signs in the frames.")
    policy: Policy = Field(default_factory=Policy, description="How detections become decisions.")
    guard: Guard = Field(default_factory=Guard, description="Leases and limits of the fail-safe rules.")
    hub: Hub = Field(default_factory=Hub, description="The actuator and how power becomes motion.")
    mqtt: Mqtt = Field(default_factory=Mqtt, description="The mirror to an MQTT broker.")
    kafka: Kafka = Field(default_factory=Kafka, description="The mirror to a Kafka cluster, behind the outbox.")
    compat: Literal["crazy-train"] | None = Field(
        None, description="`crazy-train` also speaks the original demo's topics and payloads; null does not."
    )
    commands: Commands = Field(default_factory=Commands, description="What a command from outside has to fulfil.")
    console: Console = Field(default_factory=Console, description="The web page, metrics and health endpoints.")
    tracing: Tracing = Field(default_factory=Tracing, description="Traces for OpenTelemetry.")
    log: Log = Field(default_factory=Log, description="What the agent tells on stderr.")
    state: State = Field(default_factory=State, description="Where the agent keeps what must outlive the process.")

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        drain_s, exit_s = self.kafka.outbox.drain_at_end_s, self.guard.exit_timeout_s
        if self.kafka.enabled and drain_s >= exit_s:
            raise ValueError(
                f"kafka.outbox.drain_at_end_s ({drain_s:g}) must be less than guard.exit_timeout_s ({exit_s:g}): "
                "the process is gone by then"
            )
        return self
