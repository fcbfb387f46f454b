"""Faults of the brokers that need no broker: nobody there, and somebody who takes connections and never answers.

The others, with a real broker, are tried in tests/observers; what any of them costs the train in time is measured by
tests.soak.jitter and tests.soak.mqtt_jitter.
"""

import socket
from contextlib import closing
from pathlib import Path

from edge_agent.config import Settings
from edge_agent.faults import KAFKA_UNREACHABLE, MQTT_UNREACHABLE
from tests.support.faults import grace

from .faults_storage import with_outbox
from .stage import Adjust, Scene
from .trial import Trial, undisturbed

QUICK_S = 0.5
"""How long the mirrors try, and keep an outage to themselves; the train drives all the while."""


def _brokers_at(port: int) -> Adjust:
    def adjust(how: Settings, folder: Path) -> Settings:
        how = with_outbox(how, folder)
        there = {"bootstrap_servers": (f"127.0.0.1:{port}",), "send_timeout_s": QUICK_S}
        kafka = how.kafka.model_copy(update=there)
        mqtt = how.mqtt.model_copy(update={"enabled": True, "port": port, "connect_timeout_s": QUICK_S})
        return how.model_copy(update={"kafka": kafka, "mqtt": mqtt})

    return adjust


async def _both_are_told(scene: Scene) -> None:
    """Drive on until both mirrors have said that nobody answers, and lose nothing of what happens meanwhile."""
    scene.mark()
    scene.undo.enter_context(grace(QUICK_S, KAFKA_UNREACHABLE, MQTT_UNREACHABLE))
    await scene.until(lambda: _told(scene) >= {"kafka_unreachable", "mqtt_unreachable"}, "both outages are told")


def _told(scene: Scene) -> set[str]:
    return {fault.code for fault in scene.listener.faults if fault.active}


def _refused(slack: float) -> None:
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        _try("brokers refuse", nobody).try_once(slack)


def _silent(slack: float) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as frozen:
        _try("brokers take connections and never answer", frozen).try_once(slack)


def _try(fault: str, there: socket.socket) -> Trial:
    return undisturbed(fault, "drives on", _both_are_told, adjust=_brokers_at(there.getsockname()[1]))


TRIALS: tuple[Trial, ...] = (
    Trial("Kafka and MQTT refused", "drives on, tells both", None, _refused),
    Trial("Kafka and MQTT never answer", "drives on, tells both", None, _silent),
)
