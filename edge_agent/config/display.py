"""Settings as people and programs may see them: plain values with secrets masked, and JSON Schemas for editors."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from edge_agent.config.fields import leaves
from edge_agent.config.load import Loaded
from edge_agent.config.rules import SignRulesFile
from edge_agent.config.settings import Settings

MASK = "********"
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/\s]*@")


def json_schema(*, rules: bool = False) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of agent.yaml, or of signs.yaml."""
    model: type[BaseModel] = SignRulesFile if rules else Settings
    title = "edge-agent sign rules (signs.yaml)" if rules else "edge-agent settings (agent.yaml)"
    schema = model.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def without_password(text: str) -> str:
    """Return `text` with the password of any address in it masked: `rtsp://user:********@host/`."""
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", text)


def shown_settings(loaded: Loaded) -> dict[str, dict[str, object]]:
    """Return `{"value": ..., "from": ...}` by dotted key, as plain JSON values with secrets masked."""
    return {
        leaf.key: {"value": _plain(_at(loaded.settings, leaf.path)), "from": loaded.provenance[leaf.key]}
        for leaf in leaves(Settings)
    }


def _at(model: object, path: tuple[str, ...]) -> object:
    for name in path:
        model = getattr(model, name)
    return model


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, str):
        return without_password(str(value))
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
