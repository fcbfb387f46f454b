"""docs/configuration.md, generated from the settings models: `python -m tools.configuration FILE` writes it.

Descriptions and ranges are those of the models. A test fails when the committed page is out of date.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from edge_agent.config.fields import leaves, section_of
from edge_agent.config.rules import Confirm, SignRule
from edge_agent.config.settings import Settings
from edge_agent.config.sources import variable
from edge_agent.runtime.files import write_atomic

_HEAD = """\
# Configuration

This page is generated from the settings' own descriptions by `python -m tools.configuration docs/configuration.md`.

Settings are read from a YAML file: the one given with `--config`, else the one that `EDGE_AGENT_CONFIG` names, else
`/etc/edge-agent/agent.yaml` where it exists, else the one shipped. Each layer overrides those before it:

1. the defaults in the tables below,
2. the file,
3. a profile, `--profile NAME` (or `EDGE_AGENT_PROFILE`), or several, `booth,jetson`, of which each overrides those
   before it: `profiles/NAME.yaml` beside the file, or one of those
   shipped (`booth`, `jetson`, `workshop`),
4. the environment: `EDGE_AGENT_SECTION__KEY`, with another two underscores for each level
   (`EDGE_AGENT_MQTT__TLS__ENABLED`); a value is parsed as YAML, so lists and whole sections can be given as JSON;
   a list may also be written without brackets, `a:9092,b:9092`,
5. the command line.

`edge-agent config show` prints each value and where it came from. `edge-agent config check` prints all problems at
once, each with file, line and column, and exits with 78. `edge-agent config schema` prints a JSON Schema for editors.

- Unknown keys, values of the wrong type and values out of range are errors, in the environment too.
- Relative paths in a file are resolved against that file's folder, all others against the working directory.
- A secret (`password`, `token`, `command_token`) is taken from the environment only, or from the file that `..._file`
  names. It is never shown. Under systemd, a credential with the setting's name (`mqtt.password`) is used as that file
  unless something else is set; one whose name is nearly a setting's is an error.
- A bare number for a text keeps its spelling: `name: 007` is the name 007.
- YAML anchors, aliases and tags are not allowed.
"""

_RULES_HEAD = """\
## Sign rules

`signs.yaml` (`policy.rules`) has one section, `signs`, with a rule for each sign, by the label that the detector gives
it. A sign without a rule has no effect, but is counted. A rule for a sign that the model does not know is an error at
the start.

"""


def page() -> str:
    """Return the page that describes every setting and every part of a rule, as Markdown."""
    parts = [_HEAD]
    top = [row for leaf in leaves(Settings) if len(leaf.path) == 1 for row in _rows(Settings, only=leaf.path[0])]
    for name, info in Settings.model_fields.items():
        section = section_of(info)
        if section is not None:
            example = variable((name, next(leaves(section)).path[0]))
            parts.append(f"## {name}\n\n{info.description} Variables: `{example}`, ...\n\n{_table(_rows(section))}\n")
    parts.insert(1, f"## At the top\n\nThese are outside any section.\n\n{_table(top)}\n")
    parts.append(_RULES_HEAD + _table([*_rows(SignRule, skip="confirm"), *_rows(Confirm, prefix="confirm.")]) + "\n")
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = ["| key | default | may be | meaning |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows])


def _rows(
    model: type[BaseModel], *, prefix: str = "", only: str | None = None, skip: str | None = None
) -> list[tuple[str, str, str, str]]:
    """Return key, default, range and meaning of each value of a model."""
    schema = model.model_json_schema()
    rows = []
    for leaf in leaves(model):
        if (only and leaf.path[0] != only) or leaf.path[0] == skip:
            continue
        form = _property(schema, leaf.path)
        allowed = " or ".join(dict.fromkeys(_forms(form, schema)))
        rows.append((f"`{prefix}{leaf.key}`", _default(leaf.info.default), allowed, leaf.info.description or ""))
    return rows


def _property(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    node = schema
    for name in path:
        node = _resolved(node, schema)["properties"][name]
    return node


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    target: dict[str, Any] = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
    return target


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    return f"`{json.dumps(value, default=str)}`"


def _forms(node: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield what a value may be in words: `10 to 60`, `text`, `one of ...`."""
    node = _resolved(node, schema)
    if "anyOf" in node:
        for option in node["anyOf"]:
            yield from _forms(option, schema)
        return
    if "enum" in node or "const" in node:
        yield ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
        return
    words = {
        "integer": "whole number",
        "number": "number",
        "boolean": "`true`, `false`",
        "string": "text",
        "null": "`null`",
    }
    kind = node.get("type", "")
    if kind == "array":
        yield "list of " + " or ".join(_forms(node["items"], schema))
    elif kind in {"integer", "number"}:
        yield words[kind] + _range(node)
    elif node.get("format") in {"path", "password"}:
        yield "path" if node["format"] == "path" else "secret"
    else:
        yield words.get(kind, kind)


def _range(node: dict[str, Any]) -> str:
    bounds = [
        f"{word} {node[key]:.12g}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if key in node
    ]
    return f", {' '.join(bounds)}" if bounds else ""


if __name__ == "__main__":
    write_atomic(Path(sys.argv[1]), page().encode())
