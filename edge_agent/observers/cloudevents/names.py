"""Names on the wire: event types, the source of a train, content types, as CloudEvents 1.0 requires them."""

from collections.abc import Mapping

from edge_agent.errors import EdgeAgentError

SPEC_VERSION = "1.0"
# A reverse-DNS name, as the specification recommends. The version is raised for changes of a payload that would mislead
# existing readers; new optional keys do not count.
TYPE_PREFIX = "dev.edge-agent"
TYPE_VERSION = "v1"

JSON = "application/json"
JPEG = "image/jpeg"
WEBP = "image/webp"
STRUCTURED = "application/cloudevents+json"

REQUIRED = ("id", "source", "type", "specversion")
"""Attributes that every CloudEvent carries."""

KNOWN = frozenset({*REQUIRED, "subject", "time", "datacontenttype", "sequence", "partitionkey", "causationid"})
"""Attributes that our events carry; others are ignored when reading."""


def type_of(kind: str) -> str:
    """Return the CloudEvents type of the kind of event `kind` (`prediction`, ...)."""
    return f"{TYPE_PREFIX}.{kind}.{TYPE_VERSION}"


def kind_of(event_type: str) -> str | None:
    """Return the kind of one of our CloudEvents types, None for any other type."""
    prefix, suffix = f"{TYPE_PREFIX}.", f".{TYPE_VERSION}"
    if event_type.startswith(prefix) and event_type.endswith(suffix):
        return event_type[len(prefix) : -len(suffix)]
    return None


def source_of(train_id: str) -> str:
    """Return the CloudEvents source of a train."""
    return f"/trains/{train_id}"


def train_of(source: str) -> str | None:
    """Return the train that a source names, None for any other source."""
    head, _, train_id = source.rpartition("/")
    return train_id if head == "/trains" and train_id else None


def missing(attributes: Mapping[str, str]) -> list[str]:
    """Return the required attributes that `attributes` lacks."""
    return [name for name in REQUIRED if not attributes.get(name)]


class MalformedMessageError(EdgeAgentError):
    """A message is not one of our events: drop it and count it, as nothing on the train can fix it."""
