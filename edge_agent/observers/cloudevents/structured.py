"""Envelope <-> structured JSON, for transports without headers.

The format is the CloudEvents JSON event format 1.0.2 (https://github.com/cloudevents/spec).
"""

import base64
import binascii
import json

from edge_agent.observers.cloudevents import names
from edge_agent.observers.cloudevents.envelope import Envelope
from edge_agent.observers.cloudevents.names import MalformedMessageError


def write(envelope: Envelope) -> bytes:
    """Return the whole event as one JSON object; a value that is not JSON goes into `data_base64`."""
    attributes = {**envelope.attributes(), "datacontenttype": envelope.datacontenttype}
    if is_json(envelope.datacontenttype):
        head = json.dumps(attributes, separators=(",", ":"), ensure_ascii=False)
        return head[:-1].encode() + b',"data":' + envelope.data + b"}"
    attributes["data_base64"] = base64.b64encode(envelope.data).decode()
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False).encode()


def read(raw: bytes) -> Envelope:
    """Read one JSON object; raises MalformedMessageError."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise MalformedMessageError("the message is not JSON") from None
    if not isinstance(document, dict):
        raise MalformedMessageError("the message is not a JSON object")
    data = _data(document)
    return envelope_from({name: value for name, value in document.items() if _is_text(value)}, data)


def envelope_from(attributes: dict[str, str], data: bytes) -> Envelope:
    """Return the envelope of plain attributes (`specversion` and `datacontenttype` among them) and a value.

    Unknown attributes are ignored. Raises MalformedMessageError.
    """
    if lacking := names.missing(attributes):
        raise MalformedMessageError(f"the message is not a CloudEvent: it lacks {', '.join(lacking)}")
    if attributes["specversion"] != names.SPEC_VERSION:
        raise MalformedMessageError(f"CloudEvents {attributes['specversion'][:8]} is not supported, only 1.0")
    known = {name: value for name, value in attributes.items() if name in names.KNOWN and name != "specversion"}
    return Envelope(**known, data=data)


def is_json(content_type: str) -> bool:
    """Tell whether a content type is JSON: application/json, text/json or anything +json."""
    media = content_type.partition(";")[0].strip().lower()
    return media.endswith(("/json", "+json"))


def _is_text(value: object) -> bool:
    """Return whether a value is a text that UTF-8 can encode: JSON may name half a surrogate pair, which it cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _data(document: dict[str, object]) -> bytes:
    encoded = document.get("data_base64")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise MalformedMessageError("data_base64 is not base64") from None
    # In ASCII, for the same reason.
    return json.dumps(document.get("data"), separators=(",", ":")).encode()
