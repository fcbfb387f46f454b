"""Settings and sign rules: frozen, strict, each value with the place it came from.

Comes in: YAML files, the environment, the command line. Goes out: `Settings` and `SignRules`, or one ConfigError with a
line for each problem. Called once at the start, and again in a thread when the sign rules are reloaded.
"""

from edge_agent.config.base import read_secret
from edge_agent.config.control import CaptureSettings, HubSettings
from edge_agent.config.load import Loaded, load
from edge_agent.config.observers import (
    CommandSettings,
    ConsoleSettings,
    HomeAssistantSettings,
    KafkaSettings,
    MqttSettings,
)
from edge_agent.config.rules import AfterHold, Confirm, SignRule, SignRules, check_labels, load_rules
from edge_agent.config.settings import Settings

__all__ = [
    "AfterHold",
    "CaptureSettings",
    "CommandSettings",
    "Confirm",
    "ConsoleSettings",
    "HomeAssistantSettings",
    "HubSettings",
    "KafkaSettings",
    "Loaded",
    "MqttSettings",
    "Settings",
    "SignRule",
    "SignRules",
    "check_labels",
    "load",
    "load_rules",
    "read_secret",
]
