"""Commands from the outside: what one looks like, whether the train obeys it, and what is said back.

Shared by every channel that they come in by. Knows nothing of topics, HTTP or brokers, and nothing of what the train
does with a command it has accepted.
"""

from edge_agent.commands.desk import Desk
from edge_agent.commands.gate import Gate
from edge_agent.commands.judge import Past, Rules, judge
from edge_agent.commands.limits import read_rules
from edge_agent.commands.reader import NAMES, SWITCHES, read, read_moment
from edge_agent.commands.values import (
    STOPPING,
    Accepted,
    Acknowledgement,
    Code,
    Instruction,
    Refused,
    Request,
    Verb,
)

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
