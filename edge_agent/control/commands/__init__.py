"""Commands from outside: a channel's bytes come in, an order to the train and a result for the sender come out.

The way is message (CommandMessage) -> command (Command) -> result (events.CommandResult), the same for MQTT, Kafka, the
console and the original demo's topics. A message is parsed and authorized in the thread of its channel; the command is
executed in the train's event loop.
"""

from edge_agent.control.commands.authorizer import Authorizer
from edge_agent.control.commands.handler import CommandHandler, refused
from edge_agent.control.commands.model import (
    STOPPING,
    Channel,
    Code,
    Command,
    CommandMessage,
    Refusal,
    Verb,
)
from edge_agent.control.commands.parser import NAMES, SWITCHES, parse_command, read_document
from edge_agent.control.commands.rules import CommandHistory, CommandRules, check_rules, read_rules

__all__ = [
    "NAMES",
    "STOPPING",
    "SWITCHES",
    "Authorizer",
    "Channel",
    "Code",
    "Command",
    "CommandHandler",
    "CommandHistory",
    "CommandMessage",
    "CommandRules",
    "Refusal",
    "Verb",
    "check_rules",
    "parse_command",
    "read_document",
    "read_rules",
    "refused",
]
