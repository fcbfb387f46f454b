"""LEGO Wireless Protocol 3 without I/O: bytes come in, frozen messages go out, and the other way round.

`HubModel` is the hub as a frozen value, updated with each message. Pure functions: callable from any thread.
"""

from edge_agent.hub.lwp3.codec import Decoder as Decoder, Message as Message, decode as decode, encode as encode
from edge_agent.hub.lwp3.codes import (
    CHARACTERISTIC_UUID as CHARACTERISTIC_UUID,
    COMPANY_ID as COMPANY_ID,
    SERVICE_UUID as SERVICE_UUID,
    Alert as Alert,
    AlertOperation as AlertOperation,
    Capability as Capability,
    Colour as Colour,
    DeviceType as DeviceType,
    ErrorCode as ErrorCode,
    Feedback as Feedback,
    HubActionType as HubActionType,
    HubProperty as HubProperty,
    InformationType as InformationType,
    MessageType as MessageType,
    ModeInformationType as ModeInformationType,
    PropertyOperation as PropertyOperation,
    SystemType as SystemType,
)
from edge_agent.hub.lwp3.frame import Malformed as Malformed, MalformedReason as MalformedReason, Version as Version
from edge_agent.hub.lwp3.handshake import initial_requests as initial_requests, port_setup as port_setup
from edge_agent.hub.lwp3.hub_messages import (
    Advertisement as Advertisement,
    GenericError as GenericError,
    HubAction as HubAction,
    HubAlertRequest as HubAlertRequest,
    HubAlertUpdate as HubAlertUpdate,
    HubPropertyRequest as HubPropertyRequest,
    HubPropertySet as HubPropertySet,
    HubPropertyUpdate as HubPropertyUpdate,
    PortAttached as PortAttached,
    PortDetached as PortDetached,
    VirtualPortAttached as VirtualPortAttached,
    decode_advertisement as decode_advertisement,
)
from edge_agent.hub.lwp3.model import HubModel as HubModel
from edge_agent.hub.lwp3.output_state import PortOutput as PortOutput
from edge_agent.hub.lwp3.port_messages import (
    BRAKE as BRAKE,
    COAST as COAST,
    InputFormat as InputFormat,
    InputFormatSetup as InputFormatSetup,
    OutputCommand as OutputCommand,
    OutputFeedback as OutputFeedback,
    PortFeedback as PortFeedback,
    PortInformationRequest as PortInformationRequest,
    PortModeCombinations as PortModeCombinations,
    PortModeDetail as PortModeDetail,
    PortModeInformationRequest as PortModeInformationRequest,
    PortModeRange as PortModeRange,
    PortModes as PortModes,
    PortValue as PortValue,
    brake as brake,
    coast as coast,
    light as light,
    show_colour as show_colour,
    start_power as start_power,
)
