"""Links that do not last, that deliver nothing, and the connection for stops. Against a real Mosquitto."""

from collections import defaultdict
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge_agent.control.commands import Verb
from edge_agent.faults import MQTT_UNREACHABLE
from edge_agent.observers.mqtt import reconnect, session
from edge_agent.runtime.backoff import Backoff
from tests.observers.mqtt.rig import ROOT, RemoteControl, Rig, rig, settings
from tests.support.faults import grace
from tests.support.mosquitto import Mosquitto, password_file, subscriber, until

WAITS_S: defaultdict[int, list[float]] = defaultdict(list)


class RecordedBackoff(Backoff):
    """Records the waits, which are as long as possible."""

    def __init__(self, longest_s: float) -> None:
        super().__init__(longest_s, spread=lambda: 1.0)

    def next_s(self) -> float:
        wait_s = super().next_s()
        WAITS_S[id(self)].append(wait_s)
        return wait_s


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_two_agents_with_one_id_wait_longer_each_time_and_report_it(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(reconnect, "Backoff", RecordedBackoff)
    WAITS_S.clear()
    config = settings(broker.port, version=version, retry_max_s=30)
    with grace(0.3, MQTT_UNREACHABLE):
        async with rig(config) as one:
            await one.wait_connected()
            async with rig(config) as other:
                await until(lambda: max(map(len, WAITS_S.values()), default=0) >= 3, f"{WAITS_S}")
                waits_s = max(WAITS_S.values(), key=len)
                faults = [*one.faults, *other.faults]
    assert waits_s[:3] == [0.5, 1.0, 2.0]
    assert all(fault.active for fault in faults), "none is over while it lasts"
    assert any("another client with the id edge-agent-train-1" in (fault.remedy or "") for fault in faults), faults


async def test_link_that_lasts_ends_the_fault(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "STEADY_S", 0.2)
    with grace(0.0, MQTT_UNREACHABLE):
        async with rig(settings(broker.port)) as train:
            await train.wait_connected()
            broker.kill()
            await until(lambda: train.codes() == ["mqtt_unreachable"], f"{train.faults}")
            broker.start()
            await until(lambda: train.codes(active=False) == ["mqtt_unreachable"], "over")


async def test_broker_that_no_longer_delivers_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link stays up and what is published is acknowledged; only nothing arrives any more."""
    monkeypatch.setattr(reconnect, "STEADY_S", 0.1)
    monkeypatch.setattr(session, "ECHO_S", 0.05)
    monkeypatch.setattr(session, "ECHO_LIMIT_S", 1.0)
    rules = tmp_path / "rules"
    rules.write_text(f"topic readwrite {ROOT}/#\n")
    rules.chmod(0o600)
    with (
        Mosquitto(tmp_path, "allow_anonymous true", f"acl_file {rules}") as broker,
        grace(0.0, MQTT_UNREACHABLE),
    ):
        async with rig(settings(broker.port)) as train, subscriber(broker.port, (f"{ROOT}/echo/set",)) as consumer:
            await train.wait_connected()
            await consumer.wait_for(f"{ROOT}/echo/set", 2)
            rules.write_text(f"topic write {ROOT}/#\n")
            broker.reload()
            await until(lambda: "mqtt_unreachable" in train.codes(), f"{train.faults}")
            assert "commands do not arrive" in train.faults[0].message
            await until(lambda: "mqtt_denied" in train.codes(), f"{train.faults}")
            assert f"{ROOT}/echo/set" in train.faults[-1].message


async def obeys_a_stop(broker: Mosquitto, train: Rig, **login: str) -> None:
    async with subscriber(broker.port, **login) as operator:
        await RemoteControl(broker, train, operator).send("stop")
        await until(lambda: train.verbs() == [Verb.STOP], f"obeyed once: {train.verbs()}")


async def test_stops_come_by_the_only_connection_where_the_broker_allows_no_second(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "allow_anonymous true", "max_connections 2") as broker:
        async with rig(settings(broker.port)) as train:
            await train.wait_connected()
            await obeys_a_stop(broker, train)
            assert train.codes() == []


async def test_stops_come_by_the_only_connection_where_the_broker_gives_both_one_id(tmp_path: Path) -> None:
    passwords = password_file(tmp_path, {"train": "t", "operator": "o"})
    lines = ("allow_anonymous false", f"password_file {passwords}", "use_username_as_clientid true")
    with Mosquitto(tmp_path, *lines) as broker:
        async with rig(settings(broker.port, username="train", password=SecretStr("t"))) as train:
            await until(lambda: train.mirror.stats().link.failures == 1, "the second took the place of the first")
            await train.wait_connected()
            await obeys_a_stop(broker, train, username="operator", password="o")  # noqa: S106
            assert train.codes() == []


async def test_stops_have_a_connection_of_their_own(broker: Mosquitto) -> None:
    """Another client with its id takes it over, which ends the link."""
    async with rig(settings(broker.port)) as train:
        await train.wait_connected()
        async with subscriber(broker.port, (), identifier="edge-agent-train-1-stop"):
            await until(lambda: train.mirror.stats().link.failures > 0, "taken over")
        await train.wait_connected()
        await obeys_a_stop(broker, train)
