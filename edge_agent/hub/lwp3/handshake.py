"""Initial requests to a hub after connecting: identity, alerts, button, battery, signal and sensors."""

from collections.abc import Mapping

from edge_agent.hub.lwp3 import codes
from edge_agent.hub.lwp3.codec import Message
from edge_agent.hub.lwp3.hub_messages import HubAlertRequest, HubPropertyRequest, PortAttached
from edge_agent.hub.lwp3.port_messages import InputFormatSetup, PortModeInformationRequest

_ENABLED = (codes.HubProperty.BUTTON, codes.HubProperty.BATTERY_PERCENT, codes.HubProperty.RSSI)
_REQUESTED = (
    codes.HubProperty.NAME,
    codes.HubProperty.SYSTEM_TYPE,
    codes.HubProperty.FIRMWARE_VERSION,
    codes.HubProperty.HARDWARE_VERSION,
    codes.HubProperty.MAC_ADDRESS,
    *_ENABLED,
)
_DELTAS: Mapping[int, int] = {codes.DeviceType.VOLTAGE_SENSOR: 20, codes.DeviceType.CURRENT_SENSOR: 40}
"""Change in raw steps after which a sensor notifies again: about 50 mV and 24 mA on a City hub."""


def initial_requests() -> tuple[Message, ...]:
    """Return the messages to write after the first brake."""
    enable_alerts = [HubAlertRequest(alert, codes.AlertOperation.ENABLE_UPDATES) for alert in codes.Alert]
    request_alerts = [HubAlertRequest(alert, codes.AlertOperation.REQUEST_UPDATE) for alert in codes.Alert]
    enable_properties = [HubPropertyRequest(subject, codes.PropertyOperation.ENABLE_UPDATES) for subject in _ENABLED]
    request_properties = [HubPropertyRequest(subject, codes.PropertyOperation.REQUEST_UPDATE) for subject in _REQUESTED]
    # Alerts and button first: safety depends on them.
    return (*enable_alerts, *enable_properties, *request_alerts, *request_properties)


def port_setup(message: PortAttached) -> tuple[Message, ...]:
    """Return the messages to write when a device has been announced; none for motors and lights."""
    port = message.port
    if message.device_type == codes.DeviceType.RGB_LIGHT:
        return (InputFormatSetup(port, mode=0, delta=1, notify=False),)  # mode 0 takes colours by number
    delta = _DELTAS.get(message.device_type)
    if delta is None:
        return ()
    ranges = (codes.ModeInformationType.RAW, codes.ModeInformationType.SI)
    requests = [PortModeInformationRequest(port, 0, kind) for kind in ranges]
    return (*requests, InputFormatSetup(port, mode=0, delta=delta, notify=True))
