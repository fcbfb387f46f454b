"""Settings and sign rules: frozen, strict, each value with the place it came from.

Comes in: YAML files, the environment, the command line. Goes out: `Settings` and `SignRules`, or one ConfigError with a
line for each problem. Called once at the start, and again in a thread when the sign rules are reloaded.
"""

from edge_agent.config.base import read_secret as read_secret
from edge_agent.config.control import CaptureSettings as CaptureSettings, HubSettings as HubSettings
from edge_agent.config.load import Loaded as Loaded, load as load
from edge_agent.config.observers import (
    CommandSettings as CommandSettings,
    ConsoleSettings as ConsoleSettings,
    HomeAssistantSettings as HomeAssistantSettings,
    KafkaSettings as KafkaSettings,
    MqttSettings as MqttSettings,
)
from edge_agent.config.rules import (
    AfterHold as AfterHold,
    Confirm as Confirm,
    SignRule as SignRule,
    SignRules as SignRules,
    at_working_point as at_working_point,
    check_labels as check_labels,
    load_rules as load_rules,
    threshold_note as threshold_note,
)
from edge_agent.config.settings import Settings as Settings
