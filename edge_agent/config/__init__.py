"""Settings and sign rules: frozen, strict, each value with the place it came from.

Knows how they are written, found and checked. Knows nothing of the rooms that read them.
"""

from edge_agent.config.base import read_secret
from edge_agent.config.control import Capture, Detector, Guard, Hub, Policy, Sim, Train
from edge_agent.config.load import Loaded, load
from edge_agent.config.observers import Commands, Console, HomeAssistant, Kafka, Log, Mqtt, Outbox, State, Tls
from edge_agent.config.rules import Confirm, Rules, SignRule, Then, check_labels, load_rules
from edge_agent.config.settings import Settings

__all__ = [
    "Capture",
    "Commands",
    "Confirm",
    "Console",
    "Detector",
    "Guard",
    "HomeAssistant",
    "Hub",
    "Kafka",
    "Loaded",
    "Log",
    "Mqtt",
    "Outbox",
    "Policy",
    "Rules",
    "Settings",
    "SignRule",
    "Sim",
    "State",
    "Then",
    "Tls",
    "Train",
    "check_labels",
    "load",
    "load_rules",
    "read_secret",
]
