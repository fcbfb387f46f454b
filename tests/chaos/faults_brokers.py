"""Faults of brokers that need no broker: refused connections, and a server that accepts them and never answers.

The others are tested with real brokers in tests/observers; tests.soak.jitter and tests.soak.mqtt_jitter measure their
effect on the train's latency.
"""

import socket
from contextlib import closing
from pathlib import Path

from edge_agent.config import Settings
from edge_agent.faults import KAFKA_UNREACHABLE, MQTT_UNREACHABLE
from tests.support.faults import grace

from .faults_storage import with_outbox
from .rig import Adjust, Rig
from .trial import Trial, harmless_trial

QUICK_S = 0.5
"""Time after which the mirrors report an outage."""


def _brokers_at(port: int) -> Adjust:
    def adjust(how: Settings, folder: Path) -> Settings:
        how = with_outbox(how, folder)
        there = {"bootstrap_servers": (f"127.0.0.1:{port}",), "send_timeout_s": QUICK_S}
        kafka = how.kafka.model_copy(update=there)
        mqtt = how.mqtt.model_copy(update={"enabled": True, "port": port, "connect_timeout_s": QUICK_S})
        return how.model_copy(update={"kafka": kafka, "mqtt": mqtt})

    return adjust


async def _wait_for_both_faults(rig: Rig) -> None:
    """Drive on until both mirrors have reported the outage."""
    rig.mark()
    rig.undo.enter_context(grace(QUICK_S, KAFKA_UNREACHABLE, MQTT_UNREACHABLE))
    await rig.until(
        lambda: _active_faults(rig) >= {"kafka_unreachable", "mqtt_unreachable"}, "both outages are reported"
    )


def _active_faults(rig: Rig) -> set[str]:
    return {fault.code for fault in rig.listener.faults if fault.active}


def _refused(slack: float) -> None:
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        _try("brokers refuse", nobody).try_once(slack)


def _silent(slack: float) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as frozen:
        _try("brokers take connections and never answer", frozen).try_once(slack)


def _try(fault: str, there: socket.socket) -> Trial:
    return harmless_trial(fault, "drives on", _wait_for_both_faults, adjust=_brokers_at(there.getsockname()[1]))


TRIALS: tuple[Trial, ...] = (
    Trial("Kafka and MQTT refused", "drives on, reports both", None, _refused),
    Trial("Kafka and MQTT never answer", "drives on, reports both", None, _silent),
)
