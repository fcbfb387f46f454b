"""The hub as the agent knows it: a frozen value, updated with each notification and each command.

A new link starts with a new HubModel.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from edge_agent.events import HubStatus
from edge_agent.hub.lwp3 import hub_messages
from edge_agent.hub.lwp3.codec import Message
from edge_agent.hub.lwp3.codes import Alert, DeviceType, HubActionType, HubProperty, ModeInformationType
from edge_agent.hub.lwp3.frame import Malformed
from edge_agent.hub.lwp3.output_state import PortOutput
from edge_agent.hub.lwp3.port_messages import OutputCommand, OutputFeedback, PortModeRange, PortValue
from edge_agent.hub.lwp3.scaling import announced_scale, scale_for

MOTORS = (
    DeviceType.TRAIN_MOTOR,
    DeviceType.MEDIUM_MOTOR,
    DeviceType.MEDIUM_MOTOR_TACHO,
    DeviceType.LARGE_MOTOR,
    DeviceType.EXTRA_LARGE_MOTOR,
)
"""Devices that can drive a train, most likely first; all of them take a power in mode 0."""

_FIELDS: Mapping[HubProperty, str] = {
    HubProperty.NAME: "name",
    HubProperty.BUTTON: "button_pressed",
    HubProperty.FIRMWARE_VERSION: "firmware",
    HubProperty.HARDWARE_VERSION: "hardware",
    HubProperty.RSSI: "rssi_dbm",
    HubProperty.BATTERY_PERCENT: "battery_percent",
    HubProperty.SYSTEM_TYPE: "system_type",
    HubProperty.MAC_ADDRESS: "address",
}

_READINGS: Mapping[int, str] = {DeviceType.VOLTAGE_SENSOR: "voltage_mv", DeviceType.CURRENT_SENSOR: "current_ma"}

_DISCONNECT_ACTIONS = (HubActionType.WILL_SWITCH_OFF, HubActionType.WILL_DISCONNECT, HubActionType.WILL_ENTER_BOOT_MODE)


@dataclass(frozen=True, slots=True)
class HubModel:
    """State of a hub; None where it is not known yet.

    `ports` is device type by port number, `outputs` the state of the commands written to a port, `ranges` the announced
    maximum of a port's value by unit, `leaving` the announced disconnect, `refusals` the number of refused messages and
    `last_refusal` the last of them.
    """

    name: str | None = None
    address: str | None = None
    system_type: int | None = None
    firmware: str | None = None
    hardware: str | None = None
    battery_percent: int | None = None
    voltage_mv: int | None = None
    current_ma: int | None = None
    rssi_dbm: int | None = None
    button_pressed: bool = False
    alerts: frozenset[Alert] = frozenset()
    ports: Mapping[int, int] = field(default_factory=dict)
    outputs: Mapping[int, PortOutput] = field(default_factory=dict)
    ranges: Mapping[tuple[int, ModeInformationType], float] = field(default_factory=dict)
    leaving: HubActionType | None = None
    refusals: int = 0
    last_refusal: hub_messages.GenericError | None = None

    @property
    def motor_port(self) -> int | None:
        """Port of the motor; the lowest if there are several of a type, None if there is none."""
        return next((port for kind in MOTORS if (port := self.port_of(kind)) is not None), None)

    @property
    def light_port(self) -> int | None:
        """Port of the head light."""
        return self.port_of(DeviceType.LIGHT)

    @property
    def rgb_port(self) -> int | None:
        """Port of the hub's own light."""
        return self.port_of(DeviceType.RGB_LIGHT)

    @property
    def brake_confirmed(self) -> bool:
        """Whether the hub has confirmed a brake on the motor's port, and nothing else was written there since."""
        port = self.motor_port
        return port is not None and self.output(port).brake_confirmed

    def port_of(self, device_type: int) -> int | None:
        """Lowest port that a device of that type is on."""
        return min((port for port, kind in self.ports.items() if kind == device_type), default=None)

    def output(self, port: int) -> PortOutput:
        """Return the state of the commands written to a port."""
        return self.outputs.get(port, PortOutput())

    def with_notification(self, message: Message | Malformed) -> "HubModel":
        """Return the model after a notification; the same for one that changes nothing, or is malformed."""
        handler = _HANDLERS.get(type(message))
        return self if handler is None else handler(self, message)

    def with_command(self, message: Message, now_s: float) -> "HubModel":
        """Return the model after a write at `now_s` of any monotonic clock; only output commands change it."""
        if not isinstance(message, OutputCommand):
            return self
        output = self.output(message.port).with_command(message, now_s)
        return replace(self, outputs=_with(self.outputs, message.port, output))

    def status(self, *, connected: bool) -> HubStatus:
        """Return the status for observers."""
        return HubStatus(
            connected=connected,
            battery_percent=self.battery_percent,
            voltage_mv=self.voltage_mv,
            current_ma=self.current_ma,
            rssi_dbm=self.rssi_dbm,
            alerts=frozenset(alert.name.lower() for alert in self.alerts),
            button_pressed=self.button_pressed,
            brake_confirmed=self.brake_confirmed,
            name=self.name,
        )


def _with(mapping: Mapping[Any, Any], key: object, value: object) -> Mapping[Any, Any]:
    return MappingProxyType({**mapping, key: value})


def _without(mapping: Mapping[int, Any], port: int) -> Mapping[int, Any]:
    return MappingProxyType({key: value for key, value in mapping.items() if key != port})


def _property(model: HubModel, message: hub_messages.HubPropertyUpdate) -> HubModel:
    name = _FIELDS.get(message.subject)
    if name is None:
        return model
    as_text = name in ("firmware", "hardware")
    changes: dict[str, Any] = {name: str(message.value) if as_text else message.value}
    return replace(model, **changes)


def _alert(model: HubModel, message: hub_messages.HubAlertUpdate) -> HubModel:
    alone = frozenset((message.alert,))
    return replace(model, alerts=model.alerts | alone if message.raised else model.alerts - alone)


def _attached(model: HubModel, message: hub_messages.PortAttached | hub_messages.VirtualPortAttached) -> HubModel:
    # What was known about the previous device on this port is void.
    fresh = _detached(model, hub_messages.PortDetached(message.port))
    return replace(fresh, ports=_with(fresh.ports, message.port, message.device_type))


def _detached(model: HubModel, message: hub_messages.PortDetached) -> HubModel:
    ranges = MappingProxyType({key: value for key, value in model.ranges.items() if key[0] != message.port})
    ports, outputs = _without(model.ports, message.port), _without(model.outputs, message.port)
    return replace(model, ports=ports, outputs=outputs, ranges=ranges)


def _range(model: HubModel, message: PortModeRange) -> HubModel:
    # Values are requested in mode 0 only.
    if message.mode != 0:
        return model
    return replace(model, ranges=_with(model.ranges, (message.port, message.information), message.maximum))


def _value(model: HubModel, message: PortValue) -> HubModel:
    device_type = model.ports.get(message.port, -1)
    raw, si = (model.ranges.get((message.port, kind)) for kind in (ModeInformationType.RAW, ModeInformationType.SI))
    scale = announced_scale(raw, si) or scale_for(model.system_type, device_type)
    if device_type not in _READINGS or scale is None:
        return model
    changes: dict[str, Any] = {_READINGS[device_type]: scale.apply(message.integer())}
    return replace(model, **changes)


def _feedback(model: HubModel, message: OutputFeedback) -> HubModel:
    outputs = model.outputs
    for entry in message.ports:
        if entry.port in outputs:
            outputs = _with(outputs, entry.port, outputs[entry.port].with_feedback(entry.flags))
    return replace(model, outputs=outputs)


def _action(model: HubModel, message: hub_messages.HubAction) -> HubModel:
    return replace(model, leaving=message.action) if message.action in _DISCONNECT_ACTIONS else model


def _refusal(model: HubModel, message: hub_messages.GenericError) -> HubModel:
    return replace(model, refusals=model.refusals + 1, last_refusal=message)


_HANDLERS: Mapping[type, Callable[[HubModel, Any], HubModel]] = {
    hub_messages.HubPropertyUpdate: _property,
    hub_messages.HubAlertUpdate: _alert,
    hub_messages.PortAttached: _attached,
    hub_messages.VirtualPortAttached: _attached,
    hub_messages.PortDetached: _detached,
    PortModeRange: _range,
    PortValue: _value,
    OutputFeedback: _feedback,
    hub_messages.HubAction: _action,
    hub_messages.GenericError: _refusal,
}
