"""All attacks, and the Markdown section of their results.

A module of attacks has one function a row, which gets a factor for the agent's time limits and returns the ms that are
measured (None where only the outcome counts); it raises AssertionError where the attack succeeded. The module lists
them in `TRIALS` with the bound.
"""

from collections.abc import Sequence

from tests.chaos.table import ATTACKS, Outcome, rows, without_attacks
from tests.chaos.trial import Trial

from . import channels, console, kafka, mqtt

TRIALS: tuple[Trial, ...] = (*channels.TRIALS, *console.TRIALS, *kafka.TRIALS, *mqtt.TRIALS)

INTRODUCTION = """Written by `make attack`: each against a whole agent with its real console, a Mosquitto and
a broker that speaks Kafka's protocol; where it is about a link alone, against the mirror. By MQTT and Kafka the agent
drives an emulated hub, whose motor must be braked in the end and not driven again. The time runs from sending the stop,
during the attack, to its answer, or as the row says. The first row sends 1,000 commands a second that stop nothing
(damaged, without a token, with a wrong one) in equal parts by MQTT, Kafka, the console and the original demo's topic,
and 5 stops a second by each: all have to be accepted and handed to the driver, and the time is their p99.
"""


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Format the section."""
    return "\n".join([ATTACKS, "", *INTRODUCTION.splitlines(), "", *rows("attack", outcomes)]) + "\n"


def replace_section(document: str, section: str) -> str:
    """Return docs/chaos.md with a new section of attacks at its end."""
    return f"{without_attacks(document).rstrip()}\n\n{section}"
