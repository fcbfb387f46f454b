"""The file of an engine: a length, a description in JSON, and the engine itself, as Ultralytics writes them too.

Knows that layout (4 bytes little-endian, JSON, engine) and our additions under `edge_agent`: the key and the engine's
length and sha256, so that a file that was cut short or changed is never given to TensorRT. Knows nothing of TensorRT.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_agent.errors import ConfigError, FatalError
from edge_agent.perception.detector.manifest import parse_names
from edge_agent.perception.detector.postprocess import parse_size
from edge_agent.perception.detector.tensorrt.bindings import GpuPlatform
from edge_agent.perception.vision import OutputLayout

RECIPE = 1
"""Grows when we build engines in another way, so that old ones are built anew."""

_LENGTH = struct.Struct("<i")
_LONGEST_DESCRIPTION = 1 << 20


class DamagedEngineError(FatalError):
    """The file is not whole, or not an engine's."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine was built from and for; one that differs in anything is another engine.

    `onnx_sha256` is the hash of the file it was built from, `profile` the shape of its input, `flags` the builder's.
    """

    onnx_sha256: str
    machine: GpuPlatform
    precision: str
    profile: tuple[int, int, int, int]
    flags: tuple[str, ...] = ("STRONGLY_TYPED",)
    recipe: int = RECIPE

    def digest(self) -> str:
        """Return 16 hex digits that stand for all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def file_name(self, model: str) -> str:
        """Return the name under which the engine of `model` (a file name) is kept."""
        return f"{model.removesuffix('.onnx')}.{self.digest()}.engine"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a file says of its engine. `key` is None where somebody else built it."""

    labels: tuple[str, ...]
    width: int
    height: int
    threshold: float | None = None
    layout: OutputLayout | None = None
    model: str = ""
    key: EngineKey | None = None
    built_unix_s: float = 0.0
    built_in_s: float = 0.0


def pack(engine: bytes, about: EngineInfo) -> bytes:
    """Return the content of the file for an engine of our own."""
    own = {
        "schema": 1,
        "model": about.model,
        "key": asdict(about.key) if about.key else None,
        "threshold": about.threshold,
        "layout": about.layout,
        "built_unix_s": about.built_unix_s,
        "built_in_s": about.built_in_s,
        "bytes": len(engine),
        "sha256": hashlib.sha256(engine).hexdigest(),
    }
    told = {"names": dict(enumerate(about.labels)), "imgsz": [about.height, about.width], "edge_agent": own}
    text = json.dumps(told).encode()
    return _LENGTH.pack(len(text)) + text + engine


def read_engine(path: Path) -> tuple[EngineInfo, bytes]:
    """Read and check a file; raises DamagedEngineError when it is not whole, ConfigError when it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: the engine cannot be read ({error.strerror})", remedy="name an engine that exists"
        ) from error
    told, engine = _split(content, path)
    own = told.get("edge_agent")
    if isinstance(own, Mapping):
        if own.get("bytes") != len(engine):
            raise _damaged(path, f"it holds {len(engine)} bytes of engine instead of {own.get('bytes')}")
        if own.get("sha256") != hashlib.sha256(engine).hexdigest():
            raise _damaged(path, "its content was changed")
    return _about(told, path), engine


def read_about(path: Path) -> EngineInfo:
    """Read only the description; for lists. Raises as `read_engine` does where there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(_LENGTH.size + _LONGEST_DESCRIPTION)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", remedy="name an engine that exists") from error
    return _about(_split(head, path)[0], path)


def _split(content: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
    if len(content) < _LENGTH.size + 2:
        raise _damaged(path, "it is empty" if not content else "it is cut short")
    (length,) = _LENGTH.unpack_from(content)
    if not 2 <= length <= _LONGEST_DESCRIPTION or content[_LENGTH.size : _LENGTH.size + 1] != b"{":
        raise _damaged(path, "it does not begin with a description, as engines of ours and of Ultralytics do")
    text = content[_LENGTH.size : _LENGTH.size + length]
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its description is cut short or broken") from error
    return told, content[_LENGTH.size + length :]


def _about(told: Mapping[str, Any], path: Path) -> EngineInfo:
    labels = parse_names(json.dumps(told.get("names")))
    if labels is None:
        raise _damaged(path, "its description has no class names")
    height, width = parse_size(json.dumps(told.get("imgsz")))
    if isinstance(told.get("imgsz"), int):
        height = width = told["imgsz"]
    own = told.get("edge_agent")
    if not isinstance(own, Mapping):
        return EngineInfo(labels, width, height)
    try:
        return EngineInfo(
            labels,
            width,
            height,
            threshold=own["threshold"],
            layout=OutputLayout(own["layout"]) if own["layout"] else None,
            model=str(own["model"]),
            key=_key(own["key"]),
            built_unix_s=float(own["built_unix_s"]),
            built_in_s=float(own["built_in_s"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its description lacks a part") from error


def _key(raw: Mapping[str, Any]) -> EngineKey:
    return EngineKey(
        onnx_sha256=raw["onnx_sha256"],
        machine=GpuPlatform(**raw["machine"]),
        precision=raw["precision"],
        profile=tuple(raw["profile"]),
        flags=tuple(raw["flags"]),
        recipe=raw["recipe"],
    )


def _damaged(path: Path, why: str) -> DamagedEngineError:
    return DamagedEngineError(
        f"{path.name} is no whole engine: {why}", remedy="build or export it again", path=str(path)
    )
