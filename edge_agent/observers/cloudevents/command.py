"""Commands to a train through Kafka: one CloudEvent each, written by a console, read by the train.

The key is the train's id, `subject` is the verb, and the value is the body that commands have on every channel. On the
wire the kind of event is `order`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Annotated

import uuid_utils
from pydantic import Field

from edge_agent.control.commands.model import Channel, CommandMessage
from edge_agent.observers.cloudevents import kafka, names
from edge_agent.observers.cloudevents.envelope import Envelope
from edge_agent.observers.cloudevents.names import MalformedMessageError
from edge_agent.observers.cloudevents.payloads import Timestamp

KIND = "order"


@dataclass(frozen=True, slots=True)
class OrderData:
    """The value of a command to a train. `id` is also the event's id; a key that is null may be omitted."""

    id: Annotated[str, Field(min_length=1, max_length=128, description="The command's own id; executed once per id.")]
    issued_at: Annotated[Timestamp, Field(description="When it was issued, by the sender's clock.")]
    token: Annotated[str | None, Field(repr=False, description="The train's command token; a stop needs none.")] = (
        field(default=None, repr=False)
    )
    by: Annotated[str | None, Field(max_length=128, description="The sender's name.")] = None
    reason: Annotated[str | None, Field(max_length=200, description="Why; required to re-arm.")] = None
    power_percent: Annotated[int | None, Field(ge=1, le=100, description="Cruise power, with the verb power.")] = None


def write_command(train_id: str, verb: str, data: OrderData, *, source: str) -> Envelope:
    """Return the CloudEvent that sends a command to a train; `source` names the sender, as `/consoles/fleet`."""
    body = {each.name: value for each in fields(data) if (value := getattr(data, each.name)) is not None}
    return Envelope(
        id=data.id or str(uuid_utils.uuid7()),
        source=source,
        type=names.type_of(KIND),
        data=json.dumps(body, separators=(",", ":")).encode(),
        subject=verb,
        time=data.issued_at,
        partitionkey=train_id,
    )


def read_command(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> CommandMessage:
    """Read a command in binary or structured mode; raises MalformedMessageError for anything else.

    Id and time of the event are used where the body has none.
    """
    envelope = kafka.read(headers, value)
    if envelope.kind != KIND:
        raise MalformedMessageError(f"'{envelope.type}' is not a command to a train", type=envelope.type)
    if not envelope.subject:
        raise MalformedMessageError("the command has no subject, which names its verb")
    return CommandMessage(
        Channel.KAFKA,
        envelope.subject,
        envelope.data,
        source=envelope.source,
        message_id=envelope.id,
        issued_at=envelope.time,
    )
