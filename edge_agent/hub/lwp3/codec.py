"""Bytes to messages and back, for every message the agent or a hub may send.

Knows which family reads which message type, and that nothing that comes off the air may raise: what is no message
becomes a Malformed value and is counted. Knows nothing of connections.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from edge_agent.hub.lwp3 import actions, alerts, attached, errors, port_information, port_input, port_output, properties
from edge_agent.hub.lwp3.codes import MessageType
from edge_agent.hub.lwp3.frame import DecodeError, Malformed, MalformedReason, unwrap, wrap

Message = (
    properties.PropertyMessage
    | actions.HubAction
    | alerts.AlertMessage
    | attached.AttachedMessage
    | errors.GenericError
    | port_information.PortInformationRequest
    | port_information.PortModeInformationRequest
    | port_information.PortInformationMessage
    | port_information.PortModeInformationMessage
    | port_input.InputFormatSetup
    | port_input.InputFormat
    | port_input.PortValue
    | port_output.OutputCommand
    | port_output.OutputFeedback
)

_PARSERS: Mapping[int, Callable[[bytes], Message]] = {
    MessageType.HUB_PROPERTIES: properties.parse,
    MessageType.HUB_ACTIONS: actions.parse,
    MessageType.HUB_ALERTS: alerts.parse,
    MessageType.HUB_ATTACHED_IO: attached.parse,
    MessageType.GENERIC_ERROR: errors.parse,
    MessageType.PORT_INFORMATION_REQUEST: port_information.parse_request,
    MessageType.PORT_MODE_INFORMATION_REQUEST: port_information.parse_mode_request,
    MessageType.PORT_INPUT_FORMAT_SETUP: port_input.parse_setup,
    MessageType.PORT_INFORMATION: port_information.parse_information,
    MessageType.PORT_MODE_INFORMATION: port_information.parse_mode_information,
    MessageType.PORT_VALUE: port_input.parse_value,
    MessageType.PORT_INPUT_FORMAT: port_input.parse_format,
    MessageType.PORT_OUTPUT_COMMAND: port_output.parse_command,
    MessageType.PORT_OUTPUT_FEEDBACK: port_output.parse_feedback,
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
