"""Events as CloudEvents 1.0, and as the original demo's payloads: pure functions between values and bytes.

Knows the formats. Knows nothing of topics, brokers or when something is sent. `images` and `compat` are imported by
name where they are needed.
"""

from edge_agent.observers.cloudevents.command import OrderData, read_command, write_command
from edge_agent.observers.cloudevents.envelope import (
    EncodedImage,
    Envelope,
    EventContext,
    from_cloudevent,
    prediction_id,
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
    "prediction_id",
    "read_command",
    "to_cloudevent",
    "write_command",
]
