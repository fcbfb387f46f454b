"""Events as CloudEvents 1.0, and as the original demo's payloads: pure functions between values and bytes.

Knows the formats. Knows nothing of topics, brokers or when something is sent. `images` and `compat` are imported by
name where they are needed.
"""

from edge_agent.observers.cloudevents.command import Order, OrderData, read_order, write_order
from edge_agent.observers.cloudevents.envelope import Envelope, Picture, Stamp, prediction_id, seal, unseal
from edge_agent.observers.cloudevents.kafka import KafkaMessage
from edge_agent.observers.cloudevents.mqtt import MqttMessage
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
    "Envelope",
    "FaultData",
    "KafkaMessage",
    "MalformedMessageError",
    "MqttMessage",
    "Order",
    "OrderData",
    "Payload",
    "Picture",
    "PredictionData",
    "Stamp",
    "StateData",
    "prediction_id",
    "read_order",
    "seal",
    "unseal",
    "write_order",
]
