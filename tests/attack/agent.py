"""A whole agent under attack: at full speed it drives an emulated hub, and takes commands by MQTT, Kafka and console.

It runs in this process, as in tests.chaos; what floods it does not. A stop counts once the agent has answered that it
is executed. In the end the motor must have been braked, and not driven again.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from edge_agent.config import Settings
from edge_agent.control.commands import Verb
from tests.chaos.faults_storage import with_outbox
from tests.chaos.rig import Rig, run_scenario
from tests.support.commands import TOKEN
from tests.support.proxy import free_port

SLACK = 20.0
"""Multiplies the agent's time limits: a machine that is busy with the attack is no reason to brake before the stop."""


@dataclass(frozen=True)
class Target:
    """A train under attack."""

    rig: Rig

    def verbs(self) -> list[str]:
        """Return what the train has executed by command, in order."""
        return [answer.verb for answer in self.rig.listener.answers if answer.accepted]

    def ids(self) -> list[str | None]:
        """Return the ids of the commands that the train has executed."""
        return [answer.command_id for answer in self.rig.listener.answers if answer.accepted]

    def refused(self) -> int:
        """Return how many refusals were published."""
        return sum(not answer.accepted for answer in self.rig.listener.answers)

    async def executed_ms(self, verb: Verb, send: Callable[[], Awaitable[object]]) -> float:
        """Send a stop; return the time until the train has executed one more of its kind."""
        count, started_s = self.verbs().count(verb), time.monotonic()
        await send()
        await self.rig.until(lambda: self.verbs().count(verb) > count, f"{verb} is executed")
        return (time.monotonic() - started_s) * 1000


def attacked(
    attack: Callable[[Target], Awaitable[float | None]], *, mqtt: int | None = None, kafka: str = ""
) -> float | None:
    """Attack a train that takes commands by its console, and by the brokers that are given; return the time measured.

    `mqtt` is a port of this machine, `kafka` a list of `host:port`.
    """

    def adjust(how: Settings, folder: Path) -> Settings:
        token = SecretStr(TOKEN)
        how = with_outbox(how, folder)
        servers = tuple(kafka.split(",")) if kafka else ()
        there = {"enabled": bool(kafka), "bootstrap_servers": servers, "send_timeout_s": 1.0, "retry_max_s": 1.0}
        changes = {
            "kafka": how.kafka.model_copy(update={**there, "command_token": token}),
            "mqtt": how.mqtt.model_copy(
                update={"enabled": mqtt is not None, "port": mqtt, "connect_timeout_s": 15.0, "command_token": token}
            ),
            "console": how.console.model_copy(
                update={"enabled": True, "metrics": True, "port": free_port(), "token": token}
            ),
        }
        return how.model_copy(update=changes)

    measured: list[float | None] = []

    async def scenario(rig: Rig) -> None:
        rig.mark()
        measured.append(await attack(Target(rig)))
        await rig.until(rig.stopped_s, "the motor is braked")

    rig = run_scenario(scenario, SLACK, adjust=adjust)
    stopped_s = rig.stopped_s()
    assert stopped_s is not None
    assert rig.drives_after(stopped_s) == [], "driven on after the stop"
    return measured[0]
