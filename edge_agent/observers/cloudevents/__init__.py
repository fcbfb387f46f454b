"""Events come in, CloudEvents 1.0 for Kafka and MQTT go out, and back: pure functions between values and bytes.

They may be called in any thread. `images` is imported by name where pictures are encoded, as OpenCV is slow to load.
"""

from edge_agent.observers.cloudevents.command import (
    OrderData as OrderData,
    read_command as read_command,
    write_command as write_command,
)
from edge_agent.observers.cloudevents.envelope import (
    EncodedImage as EncodedImage,
    Envelope as Envelope,
    EventContext as EventContext,
    from_cloudevent as from_cloudevent,
    to_cloudevent as to_cloudevent,
)
from edge_agent.observers.cloudevents.names import MalformedMessageError as MalformedMessageError
from edge_agent.observers.cloudevents.payloads import (
    AnswerData as AnswerData,
    CommandData as CommandData,
    DecisionData as DecisionData,
    FaultData as FaultData,
    Payload as Payload,
    PredictionData as PredictionData,
    StateData as StateData,
)
