"""The hub's side of LEGO Wireless Protocol 3: a table of handlers that act on a write and return the answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.hub import lwp3
from edge_agent.hub.emulator import sensors
from edge_agent.hub.emulator.device import EmulatedHub, MotorSetting, OutputRefusal
from edge_agent.hub.lwp3.model import MOTORS

Answers = list[lwp3.Message]

_CARRIED_OUT = lwp3.Feedback.COMPLETED | lwp3.Feedback.IDLE
"""Feedback of a City hub on a power: completed at once."""

_DISCARDED = lwp3.Feedback.DISCARDED | lwp3.Feedback.IDLE

_MODES: Mapping[int, tuple[int, ...]] = {
    lwp3.DeviceType.VOLTAGE_SENSOR: sensors.SENSOR_MODES,
    lwp3.DeviceType.CURRENT_SENSOR: sensors.SENSOR_MODES,
    # Mode 0 takes a colour by number, mode 1 three bytes: red, green and blue.
    lwp3.DeviceType.RGB_LIGHT: (0, 1),
}
"""Modes of a port by its device; one mode for all others."""

_RGB: Mapping[int, tuple[int, int, int]] = {
    lwp3.Colour.OFF: (0, 0, 0),
    lwp3.Colour.BLUE: (0, 0, 255),
    lwp3.Colour.LIGHT_BLUE: (128, 192, 255),
    lwp3.Colour.CYAN: (0, 255, 255),
    lwp3.Colour.GREEN: (0, 255, 0),
    lwp3.Colour.YELLOW: (255, 255, 0),
    lwp3.Colour.ORANGE: (255, 128, 0),
    lwp3.Colour.RED: (255, 0, 0),
    lwp3.Colour.PINK: (255, 0, 128),
    lwp3.Colour.PURPLE: (128, 0, 255),
    lwp3.Colour.WHITE: (255, 255, 255),
}

_ANNOUNCEMENTS: Mapping[lwp3.HubActionType, lwp3.HubActionType] = {
    lwp3.HubActionType.SWITCH_OFF: lwp3.HubActionType.WILL_SWITCH_OFF,
    lwp3.HubActionType.SHUT_DOWN_NOW: lwp3.HubActionType.WILL_SWITCH_OFF,
    lwp3.HubActionType.DISCONNECT: lwp3.HubActionType.WILL_DISCONNECT,
}


def handle_write(hub: EmulatedHub, raw: bytes, now_s: float) -> Answers:
    """Handle one write and return what the hub notifies; an unknown message gets a generic error."""
    if hub.locked_up:
        return []
    message = lwp3.decode(raw)
    if isinstance(message, lwp3.Malformed):
        return [lwp3.GenericError(raw[2] if len(raw) > 2 else 0, lwp3.ErrorCode.COMMAND_NOT_RECOGNISED)]
    handler = _HANDLERS.get(type(message))
    if handler is None:
        return [lwp3.GenericError(message.TYPE, lwp3.ErrorCode.COMMAND_NOT_RECOGNISED)]
    return handler(hub, message, now_s)


def _refuse(message: lwp3.Message) -> Answers:
    return [lwp3.GenericError(message.TYPE, lwp3.ErrorCode.INVALID_USE)]


def _property_request(hub: EmulatedHub, message: lwp3.HubPropertyRequest, _now_s: float) -> Answers:
    value = hub.properties().get(message.subject)
    if value is None:
        return _refuse(message)
    if message.operation is lwp3.PropertyOperation.DISABLE_UPDATES:
        hub.enabled_properties.discard(message.subject)
        return []
    if message.operation is lwp3.PropertyOperation.ENABLE_UPDATES:
        hub.enabled_properties.add(message.subject)
    if message.operation is lwp3.PropertyOperation.RESET:
        return _property_set(hub, lwp3.HubPropertySet(message.subject, hub.profile.name), _now_s)
    return [lwp3.HubPropertyUpdate(message.subject, value)]


def _property_set(hub: EmulatedHub, message: lwp3.HubPropertySet, _now_s: float) -> Answers:
    if message.subject is not lwp3.HubProperty.NAME:
        return _refuse(message)
    hub.name = str(message.value)
    return []


def _action(hub: EmulatedHub, message: lwp3.HubAction, _now_s: float) -> Answers:
    announcement = _ANNOUNCEMENTS.get(message.action)
    if announcement is None:
        return []
    hub.leaving = announcement
    return [lwp3.HubAction(announcement)]


def _alert(hub: EmulatedHub, message: lwp3.HubAlertRequest, _now_s: float) -> Answers:
    if message.operation is lwp3.AlertOperation.REQUEST_UPDATE:
        return [lwp3.HubAlertUpdate(message.alert, message.alert in hub.alerts)]
    enable = message.operation is lwp3.AlertOperation.ENABLE_UPDATES
    (hub.enabled_alerts.add if enable else hub.enabled_alerts.discard)(message.alert)
    return []


def _format_setup(hub: EmulatedHub, message: lwp3.InputFormatSetup, _now_s: float) -> Answers:
    known = _MODES.get(hub.ports.get(message.port, 0), (0,))
    if message.port not in hub.ports or message.mode not in known:
        return _refuse(message)
    hub.formats[message.port] = message
    return [lwp3.InputFormat(message.port, message.mode, message.delta, message.notify), *hub.sensor_updates()]


def _port_information(hub: EmulatedHub, message: lwp3.PortInformationRequest, _now_s: float) -> Answers:
    device_type = hub.ports.get(message.port)
    if device_type is None:
        return _refuse(message)
    if message.information is lwp3.InformationType.VALUE:
        raw = sensors.raw_value(device_type, hub.battery, hub.profile)
        return [lwp3.PortValue(message.port, raw.to_bytes(2, "little"))]
    if message.information is lwp3.InformationType.MODE_INFORMATION:
        return [sensors.modes(message.port, device_type)]
    return [lwp3.PortModeCombinations(message.port)]


def _mode_information(hub: EmulatedHub, message: lwp3.PortModeInformationRequest, _now_s: float) -> Answers:
    device_type = hub.ports.get(message.port, 0)
    answer = sensors.mode_information(message.port, device_type, message.mode, message.information)
    return _refuse(message) if answer is None else [answer]


def _output(hub: EmulatedHub, message: lwp3.OutputCommand, now_s: float) -> Answers:
    if hub.refusal is OutputRefusal.ERROR:
        return _refuse(message)
    if hub.refusal is OutputRefusal.DISCARDED:
        return [_feedback(message.port, _DISCARDED)] if message.feedback else []
    device_type = hub.ports.get(message.port, 0)
    actuator = _ACTUATORS.get(device_type)
    value = _rgb_colour(message) if device_type == lwp3.DeviceType.RGB_LIGHT and message.mode else message.power
    if actuator is None or value is None or not actuator.accepts(value):
        return _refuse(message)
    actuator.act(hub, value, now_s)
    return [_feedback(message.port, _CARRIED_OUT)] if message.feedback else []


def _feedback(port: int, flags: lwp3.Feedback) -> lwp3.Message:
    return lwp3.OutputFeedback((lwp3.PortFeedback(port, flags),))


def drive_elsewhere(hub: EmulatedHub, power_percent: int, now_s: float) -> Answers:
    """Drive the motor by somebody else, a handset or another program; return what the hub notifies to everybody."""
    hub.set_motor(MotorSetting.of(power_percent), now_s)
    return [_feedback(sensors.MOTOR_PORT, _CARRIED_OUT)]


def _rgb_colour(message: lwp3.OutputCommand) -> int | None:
    """Return the colour by number that is nearest to three bytes red, green, blue in mode 1; None for anything else."""
    if message.mode != 1 or len(message.data) != len("RGB"):
        return None
    red, green, blue = message.data
    return min(_RGB, key=lambda one: sum((a - b) ** 2 for a, b in zip(_RGB[one], (red, green, blue), strict=True)))


def _light(hub: EmulatedHub, value: int, _now_s: float) -> None:
    hub.light_percent = min(value, 100)  # a light takes the brake byte as full brightness


def _colour(hub: EmulatedHub, value: int, _now_s: float) -> None:
    hub.colour = lwp3.Colour(value)


@dataclass(frozen=True, slots=True)
class _Actuator:
    """A device that takes output commands: which values it accepts, and what it does with one."""

    accepts: Callable[[int], bool]
    act: Callable[[EmulatedHub, int, float], None]


_MOTOR = _Actuator(
    lambda value: -100 <= value <= 100 or value == lwp3.BRAKE,
    lambda hub, value, now_s: hub.set_motor(MotorSetting.of(value), now_s),
)

_ACTUATORS: Mapping[int, _Actuator] = {
    **dict.fromkeys(map(int, MOTORS), _MOTOR),
    lwp3.DeviceType.LIGHT: _Actuator(lambda value: 0 <= value <= lwp3.BRAKE, _light),
    lwp3.DeviceType.RGB_LIGHT: _Actuator(lambda value: value in tuple(lwp3.Colour), _colour),
}

_HANDLERS: Mapping[type, Callable[[EmulatedHub, Any, float], Answers]] = {
    lwp3.HubPropertyRequest: _property_request,
    lwp3.HubPropertySet: _property_set,
    lwp3.HubAction: _action,
    lwp3.HubAlertRequest: _alert,
    lwp3.InputFormatSetup: _format_setup,
    lwp3.PortInformationRequest: _port_information,
    lwp3.PortModeInformationRequest: _mode_information,
    lwp3.OutputCommand: _output,
}
