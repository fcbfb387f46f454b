"""JSON Schemas of the events, made of the payload classes.

Knows the structured form of each kind. Knows nothing of where the schemas are written.
"""

import json
from typing import Any

from pydantic import TypeAdapter

from edge_agent.observers.cloudevents import names
from edge_agent.observers.cloudevents.envelope import SEQUENCE_DIGITS
from edge_agent.observers.cloudevents.payloads import PAYLOADS, EventKind, Moment

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLES: dict[EventKind, str] = {
    "frame": "A picture from the train's camera",
    "prediction": "What the detector saw in one frame",
    "decision": "What the signs ask of the train from now on",
    "command": "One command as it was written to the hub",
    "fault": "Something went wrong, or is over",
    "state": "A snapshot of the train",
    "answer": "What became of a command from outside",
}


def schemas() -> dict[EventKind, dict[str, Any]]:
    """Return the schema of each kind's structured form; `properties.data` is that of binary mode's value."""
    return {kind: _schema(kind) for kind in _TITLES}


def schema_text(schema: dict[str, Any]) -> str:
    """Return a schema as it is written to a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(kind: EventKind) -> dict[str, Any]:
    data = _data(kind)
    definitions = data.pop("$defs", {})
    value_key = "data_base64" if kind == "frame" else "data"
    content = {"enum": [names.JPEG, names.WEBP]} if kind == "frame" else {"const": names.JSON}
    schema: dict[str, Any] = {
        "$schema": _DIALECT,
        "$id": f"urn:edge-agent:event:{kind}:{names.TYPE_VERSION}",
        "title": _TITLES[kind],
        "type": "object",
        "properties": {**_attributes(kind), "datacontenttype": content, value_key: data},
        "required": [*names.REQUIRED, "time", "sequence", "partitionkey", "datacontenttype", value_key],
    }
    return {**schema, "$defs": definitions} if definitions else schema


def _attributes(kind: EventKind) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return {
        "specversion": {"const": names.SPEC_VERSION},
        "id": {**text, "description": "Unique within the source; a message sent twice has the same id."},
        "source": {"type": "string", "pattern": "^/trains/[a-z0-9-]+$", "description": "The train."},
        "type": {"const": names.type_of(kind)},
        "subject": text,
        "time": TypeAdapter(Moment).json_schema(),
        "sequence": {
            "type": "string",
            "pattern": f"^[0-9]{{{SEQUENCE_DIGITS}}}$",
            "description": "Orders the events of one source, also across restarts.",
        },
        "partitionkey": {**text, "description": "The train's id."},
        "causationid": {**text, "description": "Id of the event that led to this one."},
    }


def _data(kind: EventKind) -> dict[str, Any]:
    if kind == "frame":
        return {"type": "string", "contentEncoding": "base64", "description": "The picture, as its content type says."}
    return TypeAdapter(PAYLOADS[kind]).json_schema(mode="serialization")
