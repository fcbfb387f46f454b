"""The manifest beside a model, and the class names inside one; refuses a model other than the one described.

A manifest is a JSON object in a file of the same name ending in `.json`: `schema` 1, `sha256`, `labels`, and optionally
`input` {`width`, `height`}, `threshold` and `layout`. Further entries are for people.
"""

import ast
import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.errors import ConfigError
from edge_agent.perception.vision import OutputLayout
from edge_agent.runtime.files import read_file

# Not UTF-8, a number of thousands of digits, thousands of brackets in each other.
_NOT_READABLE = (ValueError, RecursionError)

# A hundred times the longest manifest; what is longer is cut, and then no JSON.
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """Contents of a manifest; None where an optional entry is absent."""

    sha256: str
    labels: tuple[str, ...]
    input_width: int | None = None
    input_height: int | None = None
    threshold: float | None = None
    layout: OutputLayout | None = None


def manifest_path(model: Path) -> Path:
    """Return the path of the manifest of `model`, whether or not it exists."""
    return model.with_suffix(".json")


def read_manifest(model: Path, digest: str) -> Manifest | None:
    """Read the manifest beside `model`, if there is one, and check it against `digest`, the model's sha256.

    Raises ConfigError when it cannot be read, is incomplete, or describes another file.
    """
    path = manifest_path(model)
    if not path.exists():
        return None
    try:
        raw = json.loads(read_file(path, _MAX_BYTES).decode("utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}:{error.lineno}:{error.colno}: not JSON ({error.msg})", remedy="correct the manifest"
        ) from error
    except (OSError, *_NOT_READABLE) as error:
        raise ConfigError(
            f"{path}: the manifest cannot be read", remedy="check the file and its permissions"
        ) from error
    manifest = _parse(raw, path, digest)
    if manifest.sha256 != digest:
        raise ConfigError(
            f"{model}: the model has changed: its sha256 is not the one in {path.name}",
            remedy="restore both files, or export model and manifest again",
            expected=manifest.sha256,
            found=digest,
        )
    return manifest


def _parse(raw: Any, path: Path, digest: str) -> Manifest:
    """Validate the manifest entry by entry; `digest` is only for the message to somebody who writes one by hand."""
    if not isinstance(raw, dict) or raw.get("schema") != 1:
        raise ConfigError(f"{path}: not a manifest of schema 1", remedy='it must be an object with "schema": 1')
    sha256 = raw.get("sha256")
    if not isinstance(sha256, str):
        raise ConfigError(f"{path}: sha256 is missing", remedy=f'if you trust this model, add "sha256": "{digest}"')
    labels = raw.get("labels")
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) and label for label in labels):
        raise ConfigError(f"{path}: labels must be a list of names", remedy="list one name for each class, in order")
    size = raw.get("input") or {}
    if not isinstance(size, Mapping):
        raise ConfigError(f"{path}: input must be an object", remedy='write "input": {"width": 608, "height": 416}')
    return Manifest(
        sha256=sha256.lower(),
        labels=tuple(labels),
        input_width=_pixels(size, "width", path),
        input_height=_pixels(size, "height", path),
        threshold=_number(raw, "threshold", 0.0, 1.0, path),
        layout=_layout(raw.get("layout"), path),
    )


def _number(raw: Mapping[str, Any], key: str, low: float, high: float, path: Path) -> float | None:
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(
            f"{path}: {key} is {reprlib.repr(value)}", remedy=f"it must be a number from {low:g} to {high:g}"
        )
    return float(value)


def _pixels(raw: Mapping[str, Any], key: str, path: Path) -> int | None:
    value = _number(raw, key, 32, 8192, path)
    return None if value is None else int(value)


def _layout(value: Any, path: Path) -> OutputLayout | None:
    if value is None:
        return None
    if value not in [layout.value for layout in OutputLayout]:  # not a set: the value may be a list
        known = ", ".join(layout.value for layout in OutputLayout)
        raise ConfigError(f"{path}: layout is {reprlib.repr(value)}", remedy=f"it must be one of {known}")
    return OutputLayout(value)


def parse_names(text: str) -> tuple[str, ...] | None:
    """Parse class names as exporters store them: a list or an id-to-name mapping, as JSON or as a Python literal.

    Returns None when the text is something else or ids are missing. Nothing in it is executed.
    """
    # Longest `names` entry that is parsed, in characters; 1,000 class names need a tenth of it.
    if len(text) > 100_000:
        return None
    try:
        value = _literal(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, dict):
        value = _in_order(value)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) and name for name in value):
        return None
    return tuple(value)


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text.strip())


def _in_order(names: dict[Any, Any]) -> list[Any] | None:
    """Return the names in order of their ids, or None unless the ids are exactly 0, 1, 2, ..."""
    try:
        by_id = {int(key): name for key, name in names.items()}
    except (TypeError, ValueError, OverflowError):
        return None
    if sorted(by_id) != list(range(len(names))):
        return None
    return [by_id[class_id] for class_id in range(len(names))]


SHIPPED_MODEL = "signs.onnx"
"""The shipped detector, in engines/: float32, the source of the other precisions."""

CPU_PRECISION = "uint8"
"""The precision that ONNX Runtime runs by default: two thirds of float32's time, as accurate (docs/detector.md)."""


def shipped_model(folder: Path, precision: str) -> Path:
    """Return the shipped model in `precision` (`fp16`, `int8` or `uint8`), or the float32 one where there is none.

    That a file is the one its manifest describes is checked when it is opened.
    """
    base = folder / SHIPPED_MODEL
    made = base.with_name(f"{base.stem}-{precision}.onnx")
    # One made from an older float32 model does not count: promoting a model leaves the other precisions behind.
    if made.is_file() and _manifest_text(made, "made_from", "sha256") == _manifest_text(base, "sha256") is not None:
        return made
    return base


def _manifest_text(model: Path, *keys: str) -> str | None:
    """Return a text from the manifest beside a model; None where it is absent."""
    try:
        value = json.loads(read_file(manifest_path(model), _MAX_BYTES))
        for key in keys:
            value = value[key]
    except (OSError, *_NOT_READABLE, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
