"""Events come in, CloudEvents 1.0 for Kafka and MQTT go out, and back: pure functions between values and bytes.

They may be called in any thread. `images` is imported by name where pictures are encoded, as OpenCV is slow to load.
"""

from edge_agent.observers.cloudevents.command import OrderData, read_command, write_command
from edge_agent.observers.cloudevents.envelope import (
    EncodedImage,
    Envelope,
    EventContext,
    from_cloudevent,
    to_cloudevent,
)
from edge_agent.observers.cloudevents.names import MalformedMessageError
from edge_agent.observers.cloudevents.payloads import (
    AnswerData,
    CommandData,
    DecisionData,
    FaultData,
    Payload,
    PredictionData,
    StateData,
)

__all__ = [
    "AnswerData",
    "CommandData",
    "DecisionData",
    "EncodedImage",
    "Envelope",
    "EventContext",
    "FaultData",
    "MalformedMessageError",
    "OrderData",
    "Payload",
    "PredictionData",
    "StateData",
    "from_cloudevent",
    "read_command",
    "to_cloudevent",
    "write_command",
]
