"""Commands from the outside: what one looks like, whether the train obeys it, and what is said back.

Shared by every channel that they come in by. Knows nothing of topics, HTTP or brokers, and nothing of what the train
does with a command it has accepted.
"""

from edge_agent.control.commands.authorizer import Gate
from edge_agent.control.commands.handler import Desk
from edge_agent.control.commands.model import (
    STOPPING,
    Accepted,
    Acknowledgement,
    Code,
    Instruction,
    Refused,
    Request,
    Verb,
)
from edge_agent.control.commands.parser import NAMES, SWITCHES, read, read_moment
from edge_agent.control.commands.rules import Past, Rules, judge, read_rules

__all__ = [
    "NAMES",
    "STOPPING",
    "SWITCHES",
    "Accepted",
    "Acknowledgement",
    "Code",
    "Desk",
    "Gate",
    "Instruction",
    "Past",
    "Refused",
    "Request",
    "Rules",
    "Verb",
    "judge",
    "read",
    "read_moment",
    "read_rules",
]
