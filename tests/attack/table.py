"""All attacks, and the Markdown section of their results.

A module of attacks has one function a row, which gets a factor for the agent's time limits and returns the ms that are
measured (None where only the outcome counts); it raises AssertionError where the attack succeeded. The module lists
them in `TRIALS` with the bound.
"""

from collections.abc import Sequence

from tests.chaos.table import ATTACKS, Outcome, rows, without_attacks
from tests.chaos.trial import Trial

from . import console, kafka, mqtt

TRIALS: tuple[Trial, ...] = (*console.TRIALS, *kafka.TRIALS, *mqtt.TRIALS)

INTRODUCTION = """Written by `make attack`: each against a running agent with its real console, a Mosquitto and
a broker that speaks Kafka's protocol. The time runs from sending the stop, during the attack, to its answer, or as the
row says.
"""


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Format the section."""
    return "\n".join([ATTACKS, "", *INTRODUCTION.splitlines(), "", *rows("attack", outcomes)]) + "\n"


def replace_section(document: str, section: str) -> str:
    """Return docs/chaos.md with a new section of attacks at its end."""
    return f"{without_attacks(document).rstrip()}\n\n{section}"
