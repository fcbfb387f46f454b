"""Settings and sign rules: frozen, strict, each value with the place it came from.

Knows how they are written, found and checked. Knows nothing of the rooms that read them.
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
