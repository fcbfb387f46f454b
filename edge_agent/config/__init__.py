"""Settings and sign rules: frozen, strict, each value with the place it came from.

Comes in: YAML files, the environment, the command line. Goes out: `Settings` and `SignRules`, or one ConfigError with a
line for each problem. Called once at the start, and again in a thread when the sign rules are reloaded.
"""

from edge_agent.config.base import read_secret
from edge_agent.config.control import (
    CaptureSettings,
    DetectorSettings,
    GuardSettings,
    HubSettings,
    PolicySettings,
    SimSettings,
    TrainSettings,
)
from edge_agent.config.load import Loaded, load
from edge_agent.config.observers import (
    CommandSettings,
    ConsoleSettings,
    HomeAssistantSettings,
    KafkaSettings,
    LogSettings,
    MqttSettings,
    OutboxSettings,
    StateSettings,
    TlsSettings,
)
from edge_agent.config.rules import AfterHold, Confirm, SignRule, SignRules, check_labels, load_rules
from edge_agent.config.settings import Settings

__all__ = [
    "AfterHold",
    "CaptureSettings",
    "CommandSettings",
    "Confirm",
    "ConsoleSettings",
    "DetectorSettings",
    "GuardSettings",
    "HomeAssistantSettings",
    "HubSettings",
    "KafkaSettings",
    "Loaded",
    "LogSettings",
    "MqttSettings",
    "OutboxSettings",
    "PolicySettings",
    "Settings",
    "SignRule",
    "SignRules",
    "SimSettings",
    "StateSettings",
    "TlsSettings",
    "TrainSettings",
    "check_labels",
    "load",
    "load_rules",
    "read_secret",
]
