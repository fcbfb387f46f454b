"""JSON Schemas of events, Kafka commands and MQTT's own payloads, generated from the payload classes.

`python -m tools.schemas docs/schemas` writes them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edge_agent.observers.cloudevents import OrderData, names
from edge_agent.observers.cloudevents.command import KIND as ORDER
from edge_agent.observers.cloudevents.envelope import SEQUENCE_DIGITS
from edge_agent.observers.cloudevents.payloads import PAYLOADS, EventKind, Timestamp
from edge_agent.observers.mqtt import payloads as mqtt
from edge_agent.runtime.files import write_atomic

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLES: dict[EventKind, str] = {
    "frame": "A picture from the train's camera",
    "prediction": "What the detector saw in one frame",
    "decision": "What the signs ask of the train from now on",
    "command": "A command as it was written to the hub",
    "fault": "A fault that appeared or is over",
    "state": "A snapshot of the train",
    "answer": "The answer to a command from outside",
}


def event_schemas() -> dict[EventKind, dict[str, Any]]:
    """Return the schema of each kind's structured form; `properties.data` is that of binary mode's value."""
    return {kind: _schema(kind) for kind in _TITLES}


def command_schema() -> dict[str, Any]:
    """Return the schema of a command's value on Kafka."""
    return {
        "$schema": _DIALECT,
        "$id": f"urn:edge-agent:kafka:{ORDER}:{names.TYPE_VERSION}",
        **TypeAdapter(OrderData).json_schema(),
    }


def mqtt_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each payload that only MQTT carries, by its kind."""
    return {
        kind: {
            "$schema": _DIALECT,
            "$id": f"urn:edge-agent:mqtt:{kind}:v1",
            **TypeAdapter(payload).json_schema(mode="serialization"),
        }
        for kind, payload in mqtt.PAYLOADS.items()
    }


def schema_files() -> dict[str, str]:
    """Return the text of every schema file by its path below docs/schemas."""
    schemas: dict[str, dict[str, Any]] = {f"{kind}.json": schema for kind, schema in event_schemas().items()}
    schemas[f"kafka/{ORDER}.json"] = command_schema()
    schemas |= {f"mqtt/{kind}.json": schema for kind, schema in mqtt_schemas().items()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def write(folder: Path) -> None:
    """Write every schema below `folder`, each file atomically."""
    for name, text in schema_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())


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
        "id": {**text, "description": "Unique within the source; a message that is sent again keeps its id."},
        "source": {"type": "string", "pattern": "^/trains/[a-z0-9-]+$", "description": "The train."},
        "type": {"const": names.type_of(kind)},
        "subject": text,
        "time": TypeAdapter(Timestamp).json_schema(),
        "sequence": {
            "type": "string",
            "pattern": f"^[0-9]{{{SEQUENCE_DIGITS}}}$",
            "description": "Orders the events of one source, also across restarts.",
        },
        "partitionkey": {**text, "description": "The train's id."},
        "causationid": {**text, "description": "Id of the event that caused this one."},
    }


def _data(kind: EventKind) -> dict[str, Any]:
    if kind == "frame":
        return {"type": "string", "contentEncoding": "base64", "description": "The picture, as its content type says."}
    return TypeAdapter(PAYLOADS[kind]).json_schema(mode="serialization")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
