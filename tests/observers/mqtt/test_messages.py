"""Payloads that fit their schemas, and topics with the configured prefix."""

import json

import pytest
from jsonschema import Draft202012Validator

from edge_agent.config import MqttSettings
from edge_agent.control.commands import Code
from edge_agent.observers.mqtt.messages import MqttMessageBuilder
from edge_agent.observers.mqtt.payloads import ReplyData, TelemetryMeter, dump
from tests.support import events as make
from tools.schemas import mqtt_schemas


def examples() -> dict[str, bytes]:
    meter = TelemetryMeter()
    meter.state(make.state(), 12.0)
    refused = ReplyData("drive", None, False, Code.STALE, "given 37 s ago", None, "2026-11-21T18:20:00.000Z")
    return {"telemetry": dump(meter.read(10, 1.0, waiting=0, dropped=0)), "reply": dump(refused)}


@pytest.mark.parametrize("kind", ["telemetry", "reply"])
def test_payload_fits_its_schema(kind: str) -> None:
    Draft202012Validator(mqtt_schemas()[kind]).validate(json.loads(examples()[kind]))


def test_telemetry_before_the_first_event_has_no_made_up_values() -> None:
    data = json.loads(dump(TelemetryMeter().read(0, 1.0, waiting=0, dropped=0)))
    assert (data["guard"], data["inference_ms"], data["frames_per_s"]) == (None, None, 0.0)


def test_topics_begin_with_the_prefix_and_the_train() -> None:
    messages = MqttMessageBuilder(MqttSettings(topic_prefix="booth/hall-7"), "train-9")
    assert messages.topic("state") == "booth/hall-7/train-9/state"
