"""The device that Home Assistant makes of a train: its templates on our messages, its commands through our rules."""

import json
import re
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from pydantic import SecretStr

from edge_agent.config import HomeAssistantSettings, MqttSettings
from edge_agent.control.commands import (
    Channel,
    CommandHistory,
    CommandMessage,
    CommandRules,
    Verb,
    check_rules,
    parse_command,
)
from edge_agent.events import GuardState
from edge_agent.observers.cloudevents import EventContext
from edge_agent.observers.mqtt.home_assistant import TOKEN_HELPER, HomeAssistantDevice, birth_topic, discovery
from edge_agent.observers.mqtt.messages import MqttMessageBuilder
from edge_agent.observers.mqtt.payloads import TelemetryMeter
from tests.support import events as make

TOKEN = "open sesame"  # noqa: S105 - of a test
NOW_S = 1_795_285_200.5
STAMP = EventContext("train-1", 1, make.UNIX_S - 0.25)
SETTINGS = HomeAssistantSettings(enabled=True)

REQUIRED = {
    "camera": {"topic"},
    "sensor": {"state_topic"},
    "button": {"command_topic"},
    "switch": {"command_topic"},
}
"""Keys that each platform requires; from Home Assistant's documentation."""


def announce(version: str = "5", *, speed: bool = False) -> dict[str, Any]:
    messages = MqttMessageBuilder(MqttSettings(version=version), "train-1")  # type: ignore[arg-type]
    device = HomeAssistantDevice("train-1", "Train 1", "0.1.0", speed)
    message = discovery(SETTINGS, device, messages, structured=version != "5")
    assert (message.topic, message.qos, message.retain) == ("homeassistant/device/edge_agent_train_1/config", 1, True)
    document = json.loads(message.payload)
    assert isinstance(document, dict)
    return document


def environment() -> jinja2.Environment:
    """Return the functions that Home Assistant offers to templates, as far as ours use them."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)  # noqa: S701 - no HTML
    environment.filters["to_json"] = json.dumps
    helpers = {TOKEN_HELPER: TOKEN}
    environment.globals["states"] = lambda name: helpers.get(name, "unknown")
    environment.globals["now"] = lambda: SimpleNamespace(timestamp=lambda: NOW_S)
    return environment


def test_device_has_what_home_assistant_requires() -> None:
    document = announce()
    assert {"device", "origin", "components"} <= set(document)
    assert document["device"]["identifiers"]
    assert document["origin"]["name"]
    identifiers = [component["unique_id"] for component in document["components"].values()]
    assert len(set(identifiers)) == len(identifiers)
    for component in document["components"].values():
        assert REQUIRED[component["platform"]] <= set(component)


def test_device_has_the_expected_components() -> None:
    names = set(announce()["components"])
    assert {"camera", "power", "battery", "last_sign", "guard", "stop", "arm"} <= names
    assert "speed" not in names, "a real train does not know its speed"
    assert "speed" in announce(speed=True)["components"]


def test_device_is_available_with_the_train() -> None:
    (availability,) = announce()["availability"]
    assert availability == {
        "topic": "edge-agent/train-1/availability",
        "payload_available": "online",
        "payload_not_available": "offline",
    }


def messages_of(version: str) -> dict[str, bytes]:
    messages = MqttMessageBuilder(MqttSettings(version=version), "train-1")  # type: ignore[arg-type]
    meter = TelemetryMeter()
    meter.state(make.state(), 412.3)
    written = [
        messages.event(make.state(), STAMP),
        messages.event(make.decision(make.frame()), STAMP),
        messages.telemetry(meter.read(10, 1.0, waiting=0, dropped=0), STAMP, make.UNIX_S),
    ]
    return {message.topic: message.payload for message in written}


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_templates_find_the_values_in_our_messages(version: str) -> None:
    payloads, shown = messages_of(version), {}
    for name, component in announce(version, speed=True)["components"].items():
        if "value_template" in component:
            value = json.loads(payloads[component["state_topic"]])
            shown[name] = environment().from_string(component["value_template"]).render(value_json=value)
    assert shown == {
        "power": "75",
        "speed": "412.3",
        "battery": "81",
        "voltage": "7512",
        "last_sign": "stop",
        "guard": "running",
        "guard_reason": "clear track",
        "arm": "ON",
    }


@pytest.mark.parametrize(
    ("sign", "before", "shown"),
    [
        ("stop", "danger", "stop"),
        (None, "stop", "stop"),
        (None, "unknown", "unknown"),
        (None, "unavailable", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_last_sign_stays_while_a_decision_has_none_and_starts_unknown(
    sign: str | None, before: str | None, shown: str
) -> None:
    template = environment().from_string(announce()["components"]["last_sign"]["value_template"])
    entity = {} if before is None else {"this": SimpleNamespace(state=before)}
    assert template.render(value_json={"data": {"sign": sign}, "sign": sign}, **entity) == shown


@pytest.mark.parametrize("guard", list(GuardState))
def test_switch_is_on_while_the_train_is_armed(guard: GuardState) -> None:
    template = announce()["components"]["arm"]["value_template"]
    shown = environment().from_string(template).render(value_json={"guard": guard.value})
    armed = {GuardState.ARMED_STOPPED, GuardState.RUNNING, GuardState.STOPPING}
    assert shown == ("ON" if guard in armed else "OFF")


def commanded(component: dict[str, Any], value: str) -> Verb:
    """Return the verb of the command that a button or a switch sends."""
    payload = environment().from_string(component["command_template"]).render(value=value)
    name = re.fullmatch(r"edge-agent/train-1/(.+)/set", component["command_topic"])
    assert name is not None
    command = parse_command(CommandMessage(Channel.MQTT, name[1], payload.encode()))
    assert check_rules(command, NOW_S + 0.2, CommandRules(SecretStr(TOKEN)), CommandHistory()) is None
    assert command.verb is not None
    return command.verb


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("stop", Verb.STOP),
        ("emergency_stop", Verb.EMERGENCY_STOP),
        ("drive", Verb.DRIVE),
        ("rearm", Verb.REARM),
        ("show", Verb.IMAGE),
    ],
)
def test_button_sends_a_command_that_is_obeyed(name: str, verb: Verb) -> None:
    component = announce()["components"][name]
    assert commanded(component, component["payload_press"]) is verb


@pytest.mark.parametrize(("position", "verb"), [("payload_on", Verb.ARM), ("payload_off", Verb.DISARM)])
def test_switch_sends_a_command_that_is_obeyed(position: str, verb: Verb) -> None:
    component = announce()["components"]["arm"]
    assert commanded(component, component[position]) is verb


def test_announcement_holds_no_secret_and_asks_for_no_retained_commands() -> None:
    document = announce()
    assert TOKEN not in json.dumps(document)
    assert not any(component.get("retain") for component in document["components"].values())


def test_birth_topic_begins_with_the_prefix() -> None:
    assert birth_topic(HomeAssistantSettings(discovery_prefix="ha")) == "ha/status"
