"""docs/events.md, generated from the payload classes: `python -m tools.events docs/events.md` writes it.

A test fails when the committed page is out of date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent.observers.cloudevents import names
from edge_agent.runtime.files import write_atomic
from tools.schemas import event_schemas

_HEAD = f"""\
# Events

This page and the schemas are generated from the code by `make docs`; change the descriptions there.

Everything that happens on the train is published as a [CloudEvent 1.0](https://cloudevents.io): frames from the camera,
what the detector saw in them, what the signs ask for, commands written to the hub, faults, the state of the train, and
the answer to each command from outside.

The types begin with `{names.TYPE_PREFIX}`, a name chosen for this project in the reverse-DNS form that the
specification recommends; the domain need not exist. The version at the end (`{names.TYPE_VERSION}`) is raised when
existing readers would misunderstand a value. New keys do not raise it: ignore keys that you do not know.

## Attributes

| attribute | meaning |
|---|---|
| `id` | the event's own id, a UUIDv7 where it has one; a message delivered twice has the same id: drop the second |
| `source` | `/trains/<train id>` |
| `type` | `{names.TYPE_PREFIX}.<kind>.{names.TYPE_VERSION}` |
| `subject` | what it is about: `camera`, `detector`, `policy`, `hub`, `guard`, `commands`, or a fault's code |
| `time` | when it happened, by the train's wall clock, in UTC |
| `sequence` | 20 digits that sort as text; increases from event to event of one source, across restarts too |
| `partitionkey` | the train's id |
| `causationid` | the `id` of the event that caused this one |
| `datacontenttype` | `{names.JSON}`, or `{names.JPEG}` or `{names.WEBP}` for a frame |

A value never contains the train's monotonic clock, which means nothing elsewhere: points in time are UTC strings, and
durations are in milliseconds.

## From sign to motion

`causationid` leads back from each command: command -> decision -> prediction -> frame. `latency_ms` of each is the time
since the exposure of that frame.

## On the wire

| transport | attributes | value |
|---|---|---|
| Kafka, `kafka.mode: binary` | headers `ce_id`, `ce_type`, ... and `content-type` | `data` unchanged, even a picture |
| Kafka, `kafka.mode: structured` | in the value, `content-type: {names.STRUCTURED}` | one JSON object |
| MQTT 5 | user properties `id`, `type`, ... and the content type | `data` unchanged, even a picture |
| MQTT 3.1.1 | in the payload | one JSON object |

The key of a Kafka message is the train's id, so a train's events stay in order in one partition. In a JSON object a
picture is in `data_base64`, any other value in `data`.
"""


def page() -> str:
    """Return the page as Markdown."""
    sections = (line for kind, schema in event_schemas().items() for line in _section(kind, schema))
    return "\n".join([_HEAD, *sections]) + "\n"


def _section(kind: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"## {kind}"
    yield ""
    yield f"{schema['title']}. Type `{schema['properties']['type']['const']}`, [schema](schemas/{kind}.json)."
    yield ""
    if kind == "frame":
        yield "The value is the picture itself, encoded as its content type says."
        yield ""
        return
    yield from _table(schema["properties"]["data"], schema.get("$defs", {}))


def _table(data: dict[str, Any], definitions: dict[str, Any], prefix: str = "") -> Iterator[str]:
    if not prefix:
        yield "| key | type | meaning |"
        yield "|---|---|---|"
    for name, value in data["properties"].items():
        yield f"| `{prefix}{name}` | {_type_of(value, definitions)} | {value.get('description', '')} |"
        inner = _inner(value, definitions)
        if inner is not None:
            suffix = "[]." if value.get("type") == "array" else "."
            yield from _table(inner, definitions, f"{prefix}{name}{suffix}")
    if not prefix:
        yield ""


def _inner(value: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """Return the object that a value is or holds, None where it is or holds none."""
    resolved = _resolve(value.get("items", value), definitions)
    return resolved if resolved.get("type") == "object" else None


def _type_of(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "anyOf" in value:
        return " or ".join(_type_of(choice, definitions) for choice in value["anyOf"])
    resolved = _resolve(value, definitions)
    if "enum" in resolved:
        return ", ".join(f"`{choice}`" for choice in resolved["enum"])
    if resolved.get("type") == "array":
        return f"list of {_type_of(resolved['items'], definitions)}"
    low, high = resolved.get("minimum"), resolved.get("maximum")
    limits = f" {low} to {high}" if high is not None else f" from {low}" if low is not None else ""
    return ("timestamp" if resolved.get("format") == "date-time" else str(resolved.get("type"))) + limits


def _resolve(value: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = value.get("$ref")
    return definitions[reference.rsplit("/", 1)[1]] if reference else value


if __name__ == "__main__":
    write_atomic(Path(sys.argv[1]), page().encode())
