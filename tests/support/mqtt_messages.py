"""MQTT messages as a consumer of CloudEvents reads them."""

from collections.abc import Iterable

from edge_agent.observers.cloudevents import Envelope, structured


def read(payload: bytes, content_type: str | None = None, user_properties: Iterable[tuple[str, str]] = ()) -> Envelope:
    """Read a message of binary or structured mode; raises MalformedMessageError."""
    attributes = dict(user_properties)
    if not attributes or (content_type or "").lower().startswith("application/cloudevents"):
        return structured.read(payload)
    if content_type:
        attributes["datacontenttype"] = content_type
    return structured.envelope_from(attributes, payload)
