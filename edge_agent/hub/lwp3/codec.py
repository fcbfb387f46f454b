"""Bytes to messages and back, for every message the agent or a hub may send.

Knows which family reads which message type, and that nothing that comes off the air may raise: what is no message
becomes a Malformed value and is counted. Knows nothing of connections.
"""

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
    MessageType.HUB_ACTIONS: hub_messages.parse_action,
    MessageType.HUB_ALERTS: hub_messages.parse_alert,
    MessageType.HUB_ATTACHED_IO: hub_messages.parse_attached,
    MessageType.GENERIC_ERROR: hub_messages.parse_error,
    MessageType.PORT_INFORMATION_REQUEST: port_messages.parse_request,
    MessageType.PORT_MODE_INFORMATION_REQUEST: port_messages.parse_mode_request,
    MessageType.PORT_INPUT_FORMAT_SETUP: port_messages.parse_setup,
    MessageType.PORT_INFORMATION: port_messages.parse_information,
    MessageType.PORT_MODE_INFORMATION: port_messages.parse_mode_information,
    MessageType.PORT_VALUE: port_messages.parse_value,
    MessageType.PORT_INPUT_FORMAT: port_messages.parse_format,
    MessageType.PORT_OUTPUT_COMMAND: port_messages.parse_command,
    MessageType.PORT_OUTPUT_FEEDBACK: port_messages.parse_feedback,
}


def encode(message: Message) -> bytes:
    """Write a message, header and all.

    Raises ValueError, TypeError or struct.error when a field holds what the protocol has no room for: an error of the
    caller's, never of the other side's.
    """
    return wrap(message.TYPE, message.payload())


def decode(raw: bytes | bytearray) -> Message | Malformed:
    """Read one whole notification or write; never raises."""
    data = bytes(raw)
    try:
        message_type, payload = unwrap(data)
        parser = _PARSERS.get(message_type)
        if parser is None:
            return Malformed(MalformedReason.UNKNOWN_TYPE, f"message type 0x{message_type:02x} is unknown", data)
        return parser(payload)
    except DecodeError as error:
        return Malformed(error.reason, error.detail, data)


class Decoder:
    """Reads notifications one by one and counts those that are no message, by reason."""

    def __init__(self) -> None:
        self.malformed: Counter[MalformedReason] = Counter()

    def feed(self, raw: bytes | bytearray) -> Message | Malformed:
        """Read one notification; never raises."""
        message = decode(raw)
        if isinstance(message, Malformed):
            self.malformed[message.reason] += 1
        return message
