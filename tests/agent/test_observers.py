"""A whole agent beside a real Mosquitto and a real Kafka broker: two channels, one authorizer, and all results."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
import structlog
from pydantic import SecretStr

from edge_agent.agent import RunOptions, run
from edge_agent.agent.observers import mirrors
from edge_agent.config import Settings, load_rules
from edge_agent.control.commands import CommandRules
from edge_agent.observers.cloudevents import OrderData, write_command
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from tests.agent.served import Camera, answered
from tests.support.commands import RecordingExecutor, command_handler
from tests.support.kafka_brokers import Consumed, Tansu
from tests.support.kafka_messages import KafkaMessage, message_of
from tests.support.mosquitto import Mosquitto, subscriber, until
from tests.support.proxy import free_port

ROOT = "edge-agent/train-1"
COMMANDS = "edge-agent-commands"


def settings(mosquitto: Mosquitto, tansu: Tansu, port: int, state: Path) -> Settings:
    """Return settings that are patient with a busy machine."""
    token = SecretStr("open sesame")
    return Settings.model_validate(
        {
            "console": {"port": port, "enabled": False},
            "guard": {"loop_stall_ms": 2000, "lease_ms": 2000, "latch_ms": 60_000},
            "commands": {"max_age_s": 300.0, "hold_s": 0.0},
            "mqtt": {"enabled": True, "port": mosquitto.port, "command_token": token, "connect_timeout_s": 15.0},
            "kafka": {"enabled": True, "bootstrap_servers": (tansu.address,), "command_token": token},
            "state": {"directory": state},
        }
    )


def order(verb: str, command_id: str, **more: Any) -> KafkaMessage:
    data = OrderData(command_id, to_rfc3339(time.time()), by="ada", **more)
    return message_of(write_command("train-1", verb, data, source="/consoles/fleet"))


def answers(consumed: Consumed) -> dict[str, dict[str, Any]]:
    """Return the answers that Kafka has, by the id of the event."""
    found = {}
    for message in consumed.messages:
        headers = dict(message.headers() or ())
        if headers.get("ce_type") == b"dev.edge-agent.answer.v1":
            found[headers["ce_id"].decode()] = json.loads(message.value())
    return found


async def test_commands_of_both_channels_pass_one_authorizer_and_every_observer_gets_each_result(
    put: Callable[[Camera], None],
    tmp_path: Path,
) -> None:
    camera, port = Camera(), free_port()
    put(camera)
    with Mosquitto(tmp_path) as mosquitto, Tansu(tmp_path / "tansu.log") as tansu:
        producer = confluent_kafka.Producer({"bootstrap.servers": tansu.address, "log_level": 0})

        def send(message: KafkaMessage) -> None:
            producer.produce(COMMANDS, message.value, message.key, headers=list(message.headers))
            assert producer.flush(10) == 0

        with Consumed(tansu.address, "edge-agent-events") as consumed:
            async with subscriber(mosquitto.port) as operator:
                train = asyncio.create_task(run(RunOptions(settings(mosquitto, tansu, port, tmp_path), load_rules())))
                try:
                    await operator.wait_for(f"{ROOT}/state")
                    while "kafka" not in {answer["channel"] for answer in answers(consumed).values()}:
                        send(order("stop", "s"))  # until the train listens
                        await asyncio.sleep(0.2)
                    send(order("power", "c-1", token="open sesame", power_percent=40))  # noqa: S106
                    await until(lambda: outcomes(consumed, "c-1") == [True], "obeyed by Kafka")
                    again = {"token": "open sesame", "id": "c-1", "issued_at": time.time(), "power_percent": 40}
                    await operator.client.publish(f"{ROOT}/power/set", json.dumps(again).encode(), 1)
                    await until(
                        lambda: outcomes(consumed, "c-1") == [True, False], "refused by MQTT: it was obeyed before"
                    )
                    await until(lambda: len(operator.on(f"{ROOT}/answer")) == len(answers(consumed)), "MQTT too")
                    figures = await answered(port, "/metrics")
                finally:
                    camera.over = True
                    await train
    assert {id_of(message) for message in operator.on(f"{ROOT}/answer")} == set(answers(consumed))
    assert 'edge_agent_answers_total{channel="mqtt",result="replayed"} 1.0' in figures
    assert 'edge_agent_mirror_connected{mirror="kafka"} 1.0' in figures
    assert "edge_agent_outbox_durable 1.0" in figures


def outcomes(consumed: Consumed, command_id: str) -> list[bool]:
    return [answer["accepted"] for answer in answers(consumed).values() if answer["command_id"] == command_id]


def id_of(message: Any) -> str:
    return str(dict(message.properties.UserProperty)["id"])


@pytest.mark.parametrize(("train", "warned"), [("train-1", True), ("train-7", False)])
async def test_default_id_is_warned_of_at_a_start_with_a_broker(train: str, warned: bool) -> None:
    given = Settings.model_validate({"train": {"id": train}, "mqtt": {"enabled": True}})
    commands = command_handler(RecordingExecutor(), lambda channel: CommandRules(None))
    with structlog.testing.capture_logs() as logs:
        mirrors(given, commands, report_fault=lambda report: None, speed_mm_s=lambda: None)
    assert ("default_train_id" in [entry["event"] for entry in logs]) is warned
