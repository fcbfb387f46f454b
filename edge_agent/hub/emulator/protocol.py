"""The hub's side of LEGO Wireless Protocol 3: a table of handlers that act on a write and return the answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.hub.emulator import sensors
from edge_agent.hub.emulator.device import EmulatedHub, MotorSetting
from edge_agent.hub.lwp3 import (
    BRAKE,
    AlertOperation,
    Colour,
    DeviceType,
    ErrorCode,
    Feedback,
    GenericError,
    HubAction,
    HubActionType,
    HubAlertRequest,
    HubAlertUpdate,
    HubProperty,
    HubPropertyRequest,
    HubPropertySet,
    HubPropertyUpdate,
    InformationType,
    InputFormat,
    InputFormatSetup,
    Malformed,
    Message,
    OutputCommand,
    OutputFeedback,
    PortFeedback,
    PortInformationRequest,
    PortModeCombinations,
    PortModeInformationRequest,
    PortValue,
    PropertyOperation,
    decode,
)
from edge_agent.hub.lwp3.model import MOTORS

Answers = list[Message]

_CARRIED_OUT = Feedback.COMPLETED | Feedback.IDLE
"""Feedback of a City hub on a power: completed at once."""

_SENSORS = (DeviceType.VOLTAGE_SENSOR, DeviceType.CURRENT_SENSOR)

_ANNOUNCEMENTS: Mapping[HubActionType, HubActionType] = {
    HubActionType.SWITCH_OFF: HubActionType.WILL_SWITCH_OFF,
    HubActionType.SHUT_DOWN_NOW: HubActionType.WILL_SWITCH_OFF,
    HubActionType.DISCONNECT: HubActionType.WILL_DISCONNECT,
}


def handle_write(hub: EmulatedHub, raw: bytes, now_s: float) -> Answers:
    """Handle one write and return what the hub notifies; an unknown message gets a generic error."""
    message = decode(raw)
    if isinstance(message, Malformed):
        return [GenericError(raw[2] if len(raw) > 2 else 0, ErrorCode.COMMAND_NOT_RECOGNISED)]
    handler = _HANDLERS.get(type(message))
    if handler is None:
        return [GenericError(message.TYPE, ErrorCode.COMMAND_NOT_RECOGNISED)]
    return handler(hub, message, now_s)


def _refuse(message: Message) -> Answers:
    return [GenericError(message.TYPE, ErrorCode.INVALID_USE)]


def _property_request(hub: EmulatedHub, message: HubPropertyRequest, _now_s: float) -> Answers:
    value = hub.properties().get(message.subject)
    if value is None:
        return _refuse(message)
    if message.operation is PropertyOperation.DISABLE_UPDATES:
        hub.enabled_properties.discard(message.subject)
        return []
    if message.operation is PropertyOperation.ENABLE_UPDATES:
        hub.enabled_properties.add(message.subject)
    if message.operation is PropertyOperation.RESET:
        return _property_set(hub, HubPropertySet(message.subject, hub.profile.name), _now_s)
    return [HubPropertyUpdate(message.subject, value)]


def _property_set(hub: EmulatedHub, message: HubPropertySet, _now_s: float) -> Answers:
    if message.subject is not HubProperty.NAME:
        return _refuse(message)
    hub.name = str(message.value)
    return []


def _action(hub: EmulatedHub, message: HubAction, _now_s: float) -> Answers:
    announcement = _ANNOUNCEMENTS.get(message.action)
    if announcement is None:
        return []
    hub.leaving = announcement
    return [HubAction(announcement)]


def _alert(hub: EmulatedHub, message: HubAlertRequest, _now_s: float) -> Answers:
    if message.operation is AlertOperation.REQUEST_UPDATE:
        return [HubAlertUpdate(message.alert, message.alert in hub.alerts)]
    enable = message.operation is AlertOperation.ENABLE_UPDATES
    (hub.enabled_alerts.add if enable else hub.enabled_alerts.discard)(message.alert)
    return []


def _format_setup(hub: EmulatedHub, message: InputFormatSetup, _now_s: float) -> Answers:
    known = (0,) if hub.ports.get(message.port) not in _SENSORS else sensors.SENSOR_MODES
    if message.port not in hub.ports or message.mode not in known:
        return _refuse(message)
    hub.formats[message.port] = message
    return [InputFormat(message.port, message.mode, message.delta, message.notify), *hub.sensor_updates()]


def _port_information(hub: EmulatedHub, message: PortInformationRequest, _now_s: float) -> Answers:
    device_type = hub.ports.get(message.port)
    if device_type is None:
        return _refuse(message)
    if message.information is InformationType.VALUE:
        raw = sensors.raw_value(device_type, hub.battery, hub.profile)
        return [PortValue(message.port, raw.to_bytes(2, "little"))]
    if message.information is InformationType.MODE_INFORMATION:
        return [sensors.modes(message.port, device_type)]
    return [PortModeCombinations(message.port)]


def _mode_information(hub: EmulatedHub, message: PortModeInformationRequest, _now_s: float) -> Answers:
    device_type = hub.ports.get(message.port, 0)
    answer = sensors.mode_information(message.port, device_type, message.mode, message.information)
    return _refuse(message) if answer is None else [answer]


def _output(hub: EmulatedHub, message: OutputCommand, now_s: float) -> Answers:
    actuator = _ACTUATORS.get(hub.ports.get(message.port, 0))
    value = message.power
    if actuator is None or value is None or not actuator.accepts(value):
        return _refuse(message)
    actuator.act(hub, value, now_s)
    return [OutputFeedback((PortFeedback(message.port, _CARRIED_OUT),))] if message.feedback else []


def _turn(hub: EmulatedHub, value: int, now_s: float) -> None:
    hub.set_motor(MotorSetting.of(value), now_s)


def _light(hub: EmulatedHub, value: int, _now_s: float) -> None:
    hub.light_percent = min(value, 100)  # a light takes the brake byte as full brightness


def _colour(hub: EmulatedHub, value: int, _now_s: float) -> None:
    hub.colour = Colour(value)


@dataclass(frozen=True, slots=True)
class _Actuator:
    """A device that takes output commands: which values it accepts, and what it does with one."""

    accepts: Callable[[int], bool]
    act: Callable[[EmulatedHub, int, float], None]


_ACTUATORS: Mapping[int, _Actuator] = {
    **{int(kind): _Actuator(lambda value: -100 <= value <= 100 or value == BRAKE, _turn) for kind in MOTORS},
    DeviceType.LIGHT: _Actuator(lambda value: 0 <= value <= BRAKE, _light),
    DeviceType.RGB_LIGHT: _Actuator(lambda value: value in tuple(Colour), _colour),
}

_HANDLERS: Mapping[type, Callable[[EmulatedHub, Any, float], Answers]] = {
    HubPropertyRequest: _property_request,
    HubPropertySet: _property_set,
    HubAction: _action,
    HubAlertRequest: _alert,
    InputFormatSetup: _format_setup,
    PortInformationRequest: _port_information,
    PortModeInformationRequest: _mode_information,
    OutputCommand: _output,
}
