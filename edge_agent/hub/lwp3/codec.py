"""Encoder and decoder for every message that the agent or a hub can send."""

from collections import Counter
from collections.abc import Callable, Mapping

from edge_agent.hub.lwp3 import hub_messages, port_messages
from edge_agent.hub.lwp3.codes import MessageType
from edge_agent.hub.lwp3.frame import DecodeError, Malformed, MalformedReason, unwrap, wrap

Message = (
    hub_messages.PropertyMessage
    | hub_messages.HubAction
    | hub_messages.AlertMessage
    | hub_messages.AttachedMessage
    | hub_messages.GenericError
    | port_messages.PortInformationRequest
    | port_messages.PortModeInformationRequest
    | port_messages.PortInformationMessage
    | port_messages.PortModeInformationMessage
    | port_messages.InputFormatSetup
    | port_messages.InputFormat
    | port_messages.PortValue
    | port_messages.OutputCommand
    | port_messages.OutputFeedback
)

_PARSERS: Mapping[int, Callable[[bytes], Message]] = {
    MessageType.HUB_PROPERTIES: hub_messages.parse_property,
    MessageType.HUB_ACTIONS: hub_messages.HubAction.parse,
    MessageType.HUB_ALERTS: hub_messages.parse_alert,
    MessageType.HUB_ATTACHED_IO: hub_messages.parse_attached,
    MessageType.GENERIC_ERROR: hub_messages.GenericError.parse,
    MessageType.PORT_INFORMATION_REQUEST: port_messages.PortInformationRequest.parse,
    MessageType.PORT_MODE_INFORMATION_REQUEST: port_messages.PortModeInformationRequest.parse,
    MessageType.PORT_INPUT_FORMAT_SETUP: port_messages.InputFormatSetup.parse,
    MessageType.PORT_INFORMATION: port_messages.parse_information,
    MessageType.PORT_MODE_INFORMATION: port_messages.parse_mode_information,
    MessageType.PORT_VALUE: port_messages.parse_value,
    MessageType.PORT_INPUT_FORMAT: port_messages.InputFormat.parse,
    MessageType.PORT_OUTPUT_COMMAND: port_messages.parse_command,
    MessageType.PORT_OUTPUT_FEEDBACK: port_messages.parse_feedback,
}


def encode(message: Message) -> bytes:
    """Encode a message with its header.

    Raises ValueError, TypeError or struct.error if a field does not fit the protocol: an error of the caller.
    """
    return wrap(message.TYPE, message.payload())


def decode(raw: bytes | bytearray) -> Message | Malformed:
    """Decode one notification or write; never raises."""
    data = bytes(raw)
    try:
        message_type, payload = unwrap(data)
        parser = _PARSERS.get(message_type)
        if parser is None:
            return Malformed(MalformedReason.UNKNOWN_TYPE, f"message type 0x{message_type:02x} is unknown", data)
        return parser(payload)
    # Whatever comes off the air must not stop the train: malformed bytes are a value, not an exception.
    except DecodeError as error:
        return Malformed(error.reason, error.detail, data)


class Decoder:
    """Decodes notifications and counts malformed ones, by reason."""

    def __init__(self) -> None:
        self.malformed: Counter[MalformedReason] = Counter()

    def feed(self, raw: bytes | bytearray) -> Message | Malformed:
        """Decode one notification; never raises."""
        message = decode(raw)
        if isinstance(message, Malformed):
            self.malformed[message.reason] += 1
        return message
