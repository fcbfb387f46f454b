"""Commands from the outside: what one looks like, whether the train obeys it, and what is said back.

Shared by every channel that they come in by. Knows nothing of topics, HTTP or brokers, and nothing of what the train
does with a command it has accepted.
"""

from edge_agent.control.commands.authorizer import Authorizer
from edge_agent.control.commands.handler import CommandHandler
from edge_agent.control.commands.model import (
    STOPPING,
    Accepted,
    Acknowledgement,
    Code,
    CommandRequest,
    Instruction,
    Refused,
    Verb,
)
from edge_agent.control.commands.parser import NAMES, SWITCHES, parse_command, parse_unix_s
from edge_agent.control.commands.rules import CommandHistory, CommandRules, check_rules, read_rules

__all__ = [
    "NAMES",
    "STOPPING",
    "SWITCHES",
    "Accepted",
    "Acknowledgement",
    "Authorizer",
    "Code",
    "CommandHandler",
    "CommandHistory",
    "CommandRequest",
    "CommandRules",
    "Instruction",
    "Refused",
    "Verb",
    "check_rules",
    "parse_command",
    "parse_unix_s",
    "read_rules",
]
