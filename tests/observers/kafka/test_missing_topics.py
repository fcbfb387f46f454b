"""A topic that does not exist is named by everything that reads or writes it, on a broker that creates none."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka
import pytest
from aiokafka.protocol.metadata import MetadataRequest

from edge_agent.config import KafkaSettings
from edge_agent.console.fleet.listener import FleetListener
from edge_agent.console.schemas import Trouble
from edge_agent.errors import RetryableError
from edge_agent.observers.kafka.tools import tail
from tests.observers.kafka.listener import listening
from tests.observers.kafka.rig import rig, settings, until
from tests.support import events as make
from tests.support.kafka_brokers import Consumed, Tansu

EVENTS = KafkaSettings().topic


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a broker's address; aiokafka asks it to create no topic, as `auto.create.topics.enable=false` has it."""
    build = MetadataRequest.build

    def build_without_creation(request: MetadataRequest, version: type) -> object:
        request._allow_auto_topic_creation = False
        return build(request, version)

    monkeypatch.setattr(MetadataRequest, "build", build_without_creation)
    with Tansu(tmp_path / "tansu.log") as broker:
        yield broker.address


def create(address: str, topic: str) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "log_level": 0})
    producer.produce(topic, b"")
    assert producer.flush(10) == 0


async def test_listener_for_commands_names_its_topic(address: str) -> None:
    async with listening(address) as (_consumer, _executor, faults):
        await until(lambda: bool(faults), "it is told")
    assert faults[0].code == "kafka_commands_unheard"
    assert "no topic edge-agent-commands" in faults[0].message
    assert faults[0].remedy == "create the topic"


async def test_console_of_a_fleet_names_the_topic_of_events(address: str) -> None:
    troubles: list[Trouble | None] = []
    listener = FleetListener(settings(address), 0.0, lambda messages: None, troubles.append)
    task = asyncio.create_task(listener.run())
    try:
        await until(lambda: bool(troubles), "it is told")
        assert troubles[0] is not None
        assert f"no topic {EVENTS}" in troubles[0].error
        assert troubles[0].remedy == "create the topic"
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_tail_names_the_topic_of_events(address: str) -> None:
    with pytest.raises(RetryableError, match=f"no topic {EVENTS}"):
        async for _ in tail(settings(address), from_start=True):
            pass


async def test_missing_topic_of_the_compatibility_mode_keeps_no_event_back(address: str, tmp_path: Path) -> None:
    create(address, EVENTS)
    with Consumed(address, EVENTS) as consumed:
        async with rig(settings(address), tmp_path / "outbox.db", compat=True) as at:
            for _ in range(3):
                at.publish(*make.one_of_each())
            await until(lambda: "kafka_compat_unsent" in at.codes(), "it is told")
            await until(lambda: at.mirror.stats().uplink.dropped == 3, "what was for it is dropped")
            await until(lambda: at.waiting == 0, "nothing waits")
            fault = next(fault for fault in at.faults if fault.code == "kafka_compat_unsent")
            assert "no topic train-monitoring" in fault.message
            assert "kafka_topic_missing" not in at.codes()
        await asyncio.to_thread(consumed.wait, 1 + 3 * len(make.one_of_each()))
