"""LEGO Wireless Protocol 3 without I/O: bytes to messages and back, and the hub as a frozen value.

Knows the protocol. Knows nothing of Bluetooth, tasks or clocks.
"""

from edge_agent.hub.lwp3.actions import HubAction
from edge_agent.hub.lwp3.advertising import Advertisement, decode_advertisement
from edge_agent.hub.lwp3.alerts import HubAlertRequest, HubAlertUpdate
from edge_agent.hub.lwp3.attached import PortAttached, PortDetached, VirtualPortAttached
from edge_agent.hub.lwp3.codec import Decoder, Message, decode, encode
from edge_agent.hub.lwp3.codes import (
    CHARACTERISTIC_UUID,
    COMPANY_ID,
    SERVICE_UUID,
    Alert,
    AlertOperation,
    Capability,
    Colour,
    DeviceType,
    ErrorCode,
    Feedback,
    HubActionType,
    HubProperty,
    InformationType,
    MessageType,
    ModeInformationType,
    PropertyOperation,
    SystemType,
)
from edge_agent.hub.lwp3.errors import GenericError
from edge_agent.hub.lwp3.frame import Malformed, MalformedReason
from edge_agent.hub.lwp3.handshake import initial_requests, port_setup
from edge_agent.hub.lwp3.model import HubModel
from edge_agent.hub.lwp3.output_state import PortOutput
from edge_agent.hub.lwp3.port_information import (
    PortInformationRequest,
    PortModeCombinations,
    PortModeDetail,
    PortModeInformationRequest,
    PortModeRange,
    PortModes,
)
from edge_agent.hub.lwp3.port_input import InputFormat, InputFormatSetup, PortValue
from edge_agent.hub.lwp3.port_output import (
    BRAKE,
    COAST,
    OutputCommand,
    OutputFeedback,
    PortFeedback,
    brake,
    coast,
    light,
    show_colour,
    start_power,
)
from edge_agent.hub.lwp3.properties import HubPropertyRequest, HubPropertySet, HubPropertyUpdate
from edge_agent.hub.lwp3.version import Version

__all__ = [
    "BRAKE",
    "CHARACTERISTIC_UUID",
    "COAST",
    "COMPANY_ID",
    "SERVICE_UUID",
    "Advertisement",
    "Alert",
    "AlertOperation",
    "Capability",
    "Colour",
    "Decoder",
    "DeviceType",
    "ErrorCode",
    "Feedback",
    "GenericError",
    "HubAction",
    "HubActionType",
    "HubAlertRequest",
    "HubAlertUpdate",
    "HubModel",
    "HubProperty",
    "HubPropertyRequest",
    "HubPropertySet",
    "HubPropertyUpdate",
    "InformationType",
    "InputFormat",
    "InputFormatSetup",
    "Malformed",
    "MalformedReason",
    "Message",
    "MessageType",
    "ModeInformationType",
    "OutputCommand",
    "OutputFeedback",
    "PortAttached",
    "PortDetached",
    "PortFeedback",
    "PortInformationRequest",
    "PortModeCombinations",
    "PortModeDetail",
    "PortModeInformationRequest",
    "PortModeRange",
    "PortModes",
    "PortOutput",
    "PortValue",
    "PropertyOperation",
    "SystemType",
    "Version",
    "VirtualPortAttached",
    "brake",
    "coast",
    "decode",
    "decode_advertisement",
    "encode",
    "initial_requests",
    "light",
    "port_setup",
    "show_colour",
    "start_power",
]
