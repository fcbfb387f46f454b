"""What to ask a hub for after connecting, as messages: who it is, its alerts, its button, its sensors.

Knows which questions the agent needs answered. Knows nothing of when and how they are written.
"""

from collections.abc import Mapping

from edge_agent.hub.lwp3.codec import Message
from edge_agent.hub.lwp3.codes import (
    Alert,
    AlertOperation,
    DeviceType,
    HubProperty,
    ModeInformationType,
    PropertyOperation,
)
from edge_agent.hub.lwp3.hub_messages import HubAlertRequest, HubPropertyRequest, PortAttached
from edge_agent.hub.lwp3.port_messages import InputFormatSetup, PortModeInformationRequest

_FOLLOWED = (HubProperty.BUTTON, HubProperty.BATTERY_PERCENT, HubProperty.RSSI)
_ASKED_ONCE = (
    HubProperty.NAME,
    HubProperty.SYSTEM_TYPE,
    HubProperty.FIRMWARE_VERSION,
    HubProperty.HARDWARE_VERSION,
    HubProperty.MAC_ADDRESS,
    *_FOLLOWED,
)
_DELTAS: Mapping[int, int] = {DeviceType.VOLTAGE_SENSOR: 20, DeviceType.CURRENT_SENSOR: 40}
"""How far a sensor must move, in raw steps, before it tells again: some 50 mV and 24 mA on a City hub."""


def initial_requests() -> tuple[Message, ...]:
    """Messages to write once the first brake is out: alerts and button first, they are what safety needs."""
    watch = [HubAlertRequest(alert, AlertOperation.ENABLE_UPDATES) for alert in Alert]
    ask = [HubAlertRequest(alert, AlertOperation.REQUEST_UPDATE) for alert in Alert]
    follow = [HubPropertyRequest(subject, PropertyOperation.ENABLE_UPDATES) for subject in _FOLLOWED]
    once = [HubPropertyRequest(subject, PropertyOperation.REQUEST_UPDATE) for subject in _ASKED_ONCE]
    return (*watch, *follow, *ask, *once)


def port_setup(message: PortAttached) -> tuple[Message, ...]:
    """Messages to write when a device has been announced; none for motors and lights."""
    port = message.port
    if message.device_type == DeviceType.RGB_LIGHT:
        return (InputFormatSetup(port, mode=0, delta=1, notify=False),)  # mode 0 takes colours by number
    delta = _DELTAS.get(message.device_type)
    if delta is None:
        return ()
    ranges = (ModeInformationType.RAW, ModeInformationType.SI)
    questions = [PortModeInformationRequest(port, 0, kind) for kind in ranges]
    return (*questions, InputFormatSetup(port, mode=0, delta=delta, notify=True))
