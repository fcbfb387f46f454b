"""Messages as plain JSON values, for fixtures that a person can read."""

from dataclasses import fields
from enum import Enum
from typing import Any

from edge_agent.hub.lwp3 import Malformed, Message, PortFeedback, Version


def plain(message: Message | Malformed) -> dict[str, Any]:
    """Name a message's class and its fields: codes by name, bytes in hexadecimal."""
    values = {item.name: _value(getattr(message, item.name)) for item in fields(message) if item.name != "raw"}
    return {"message": type(message).__name__, **values}


def _value(value: object) -> Any:
    if isinstance(value, Enum):
        return str(value.name).lower()
    if isinstance(value, Version):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, PortFeedback):
        return {"port": value.port, "flags": int(value.flags)}
    return value
