"""The retained message that announces a train to Home Assistant by MQTT discovery, as a device (since 2024.12).

Keys: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. Buttons and the switch send JSON by
`command_template`. What moves the train needs the command token; anybody at the broker may read this message, so it
does not contain the token: the template reads it when it is used, from a text helper in Home Assistant,
`input_text.edge_agent_token`.
"""

import json
from dataclasses import dataclass
from typing import Any

from edge_agent.config import HomeAssistantSettings
from edge_agent.observers.mqtt.messages import OFFLINE, ONLINE, MqttMessageBuilder, OutgoingMessage

TOKEN_HELPER = "input_text.edge_agent_token"  # noqa: S105 - the name of a text field, no secret
BIRTH = b"online"

_ARMED = "['armed_stopped', 'running', 'stopping']"
_COMMAND = (
    '{{ {"value": value, "token": states("' + TOKEN_HELPER + '"), "id": "ha-" ~ now().timestamp(),'
    ' "issued_at": now().timestamp(), "reason": "Home Assistant", "duration_s": 60} | to_json }}'
)


@dataclass(frozen=True, slots=True)
class HomeAssistantDevice:
    """The train as Home Assistant shows it; `speed`: whether its speed is known."""

    train_id: str
    name: str
    version: str
    speed: bool = False


def birth_topic(settings: HomeAssistantSettings) -> str:
    """Return the topic on which Home Assistant announces its own start."""
    return f"{settings.discovery_prefix}/status"


def discovery(
    settings: HomeAssistantSettings, device: HomeAssistantDevice, messages: MqttMessageBuilder, *, structured: bool
) -> OutgoingMessage:
    """Return the message that announces the train; `structured`: events are structured CloudEvents."""
    key = f"edge_agent_{device.train_id}".replace("-", "_")
    document = {
        "device": {
            "identifiers": [key],
            "name": device.name,
            "manufacturer": "edge-agent",
            "model": "Train",
            "sw_version": device.version,
        },
        "origin": {"name": "edge-agent", "sw_version": device.version},
        "availability": [
            {
                "topic": messages.topic("availability"),
                "payload_available": ONLINE.decode(),
                "payload_not_available": OFFLINE.decode(),
            }
        ],
        "qos": 1,
        "components": {
            name: {"unique_id": f"{key}_{name}", **component}
            for name, component in _components(messages, "value_json.data" if structured else "value_json", device)
        },
    }
    payload = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return OutgoingMessage(f"{settings.discovery_prefix}/device/{key}/config", payload, qos=1, retain=True)


def _components(
    messages: MqttMessageBuilder, value: str, device: HomeAssistantDevice
) -> list[tuple[str, dict[str, Any]]]:
    state, telemetry = messages.topic("state"), messages.topic("telemetry")
    components: list[tuple[str, dict[str, Any]]] = [
        ("camera", {"platform": "camera", "name": "Camera", "topic": messages.topic("image")}),
        ("power", _sensor("Motor power", telemetry, f"{value}.power_percent", unit="%", icon="mdi:speedometer")),
        (
            "battery",
            _sensor("Battery", telemetry, f"{value}.battery_percent", unit="%", device_class="battery"),
        ),
        (
            "voltage",
            _sensor("Battery voltage", telemetry, f"{value}.voltage_mv", unit="mV", device_class="voltage"),
        ),
        (
            "last_sign",
            _sensor("Last sign", messages.topic("decision"), _kept(f"{value}.sign"), icon="mdi:sign-real-estate"),
        ),
        ("guard", _sensor("Guard", state, f"{value}.guard", icon="mdi:shield-check")),
        ("guard_reason", _sensor("Guard's reason", state, f"{value}.reason[:255]", icon="mdi:text")),
        ("stop", _button("Stop", messages, "stop", icon="mdi:stop")),
        ("emergency_stop", _button("Emergency stop", messages, "emergency_stop", icon="mdi:alert-octagon")),
        ("drive", _button("Drive", messages, "drive", icon="mdi:play")),
        ("rearm", _button("Re-arm", messages, "rearm", icon="mdi:restart-alert")),
        ("show", _button("Show the camera for a minute", messages, "image", icon="mdi:camera")),
        (
            "arm",
            {
                "platform": "switch",
                "name": "Armed",
                "icon": "mdi:shield-key",
                "state_topic": state,
                "value_template": "{{ 'ON' if " + f"{value}.guard in {_ARMED}" + " else 'OFF' }}",
                "state_on": "ON",
                "state_off": "OFF",
                "payload_on": "ON",
                "payload_off": "OFF",
                "command_topic": messages.topic("arm/set"),
                "command_template": _COMMAND,
                "retain": False,
            },
        ),
    ]
    if device.speed:
        speed = _sensor("Speed", telemetry, f"{value}.speed_mm_s", unit="mm/s", device_class="speed")
        components.append(("speed", speed))
    return components


def _kept(value: str) -> str:
    """Return an expression for a text that stays as it was while `value` is null.

    Home Assistant would show the word "None": it takes that for "unknown" of numbers only.
    """
    return f"{value} or (this.state if this is defined and this.state != 'unavailable' else 'unknown')"


def _sensor(name: str, topic: str, value: str, *, unit: str | None = None, **more: str) -> dict[str, Any]:
    units = {"unit_of_measurement": unit, "state_class": "measurement"} if unit else {}
    template = "{{ " + value + " }}"
    return {"platform": "sensor", "name": name, "state_topic": topic, "value_template": template, **units, **more}


def _button(name: str, messages: MqttMessageBuilder, command: str, *, icon: str) -> dict[str, Any]:
    return {
        "platform": "button",
        "name": name,
        "icon": icon,
        "command_topic": messages.topic(f"{command}/set"),
        "command_template": _COMMAND,
        "payload_press": "PRESS",
        "retain": False,
    }
