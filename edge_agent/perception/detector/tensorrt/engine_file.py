"""The engine file: a length (4 bytes, little-endian), a description in JSON, and the engine; Ultralytics' format too.

Our additions are under `edge_agent`: the key, and the engine's length and sha256, so that a truncated or changed file
is never passed to TensorRT.
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
from edge_agent.perception.detector.postprocess import check_task, parse_size
from edge_agent.perception.detector.tensorrt.bindings import GpuPlatform
from edge_agent.perception.vision import OutputLayout
from edge_agent.runtime.files import check_no_pipe

RECIPE = 1
"""Increased when engines are built in another way, so that old ones are rebuilt."""

_LENGTH = struct.Struct("<i")
_MAX_DESCRIPTION_BYTES = 1 << 20


class DamagedEngineError(FatalError):
    """The file is truncated, changed, or not an engine."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that an engine depends on; a difference in any part requires another engine.

    `onnx_sha256` is the hash of the source file, `profile` the shape of the input, `flags` are the builder's.
    """

    onnx_sha256: str
    machine: GpuPlatform
    precision: str
    profile: tuple[int, int, int, int]
    flags: tuple[str, ...] = ("STRONGLY_TYPED",)
    recipe: int = RECIPE

    def digest(self) -> str:
        """Return a hash of the key, 16 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def file_name(self, model: str) -> str:
        """Return the name of the file that caches the engine of `model`, which is a file name."""
        return f"{model.removesuffix('.onnx')}.{self.digest()}.engine"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The description in an engine file. `key` is None in files of other programs."""

    labels: tuple[str, ...]
    width: int
    height: int
    threshold: float | None = None
    layout: OutputLayout | None = None
    model: str = ""
    key: EngineKey | None = None
    built_unix_s: float = 0.0
    built_in_s: float = 0.0


def pack(engine: bytes, engine_info: EngineInfo) -> bytes:
    """Return the content of an engine file."""
    own = {
        "schema": 1,
        "model": engine_info.model,
        "key": asdict(engine_info.key) if engine_info.key else None,
        "threshold": engine_info.threshold,
        "layout": engine_info.layout,
        "built_unix_s": engine_info.built_unix_s,
        "built_in_s": engine_info.built_in_s,
        "bytes": len(engine),
        "sha256": hashlib.sha256(engine).hexdigest(),
    }
    description = {
        "names": dict(enumerate(engine_info.labels)),
        "imgsz": [engine_info.height, engine_info.width],
        "edge_agent": own,
    }
    text = json.dumps(description).encode()
    return _LENGTH.pack(len(text)) + text + engine


def read_engine(path: Path) -> tuple[EngineInfo, bytes]:
    """Read and check a file; raises DamagedEngineError for a damaged one, ConfigError when it cannot be read."""
    try:
        check_no_pipe(path)
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: the engine cannot be read ({error.strerror})", remedy="name an engine that exists"
        ) from error
    description, engine = _split(content, path)
    own = description.get("edge_agent")
    if isinstance(own, Mapping):
        if own.get("bytes") != len(engine):
            raise _damaged(path, f"it contains {len(engine)} bytes of engine instead of {own.get('bytes')}")
        if own.get("sha256") != hashlib.sha256(engine).hexdigest():
            raise _damaged(path, "its content has changed")
    return _parse_info(description, path), engine


def read_engine_info(path: Path) -> EngineInfo:
    """Read only the description; raises as `read_engine` does."""
    try:
        check_no_pipe(path)
        with path.open("rb") as file:
            head = file.read(_LENGTH.size + _MAX_DESCRIPTION_BYTES)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", remedy="name an engine that exists") from error
    return _parse_info(_split(head, path)[0], path)


def _split(content: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
    if len(content) < _LENGTH.size + 2:
        raise _damaged(path, "it is empty" if not content else "it is cut short")
    (length,) = _LENGTH.unpack_from(content)
    if not 2 <= length <= _MAX_DESCRIPTION_BYTES or content[_LENGTH.size : _LENGTH.size + 1] != b"{":
        raise _damaged(path, "it does not begin with a description, as engines of edge-agent and Ultralytics do")
    text = content[_LENGTH.size : _LENGTH.size + length]
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its description is cut short or not JSON") from error
    return description, content[_LENGTH.size + length :]


def _parse_info(description: Mapping[str, Any], path: Path) -> EngineInfo:
    check_task(str(description.get("task") or ""), str(path))
    labels = parse_names(json.dumps(description.get("names")))
    if labels is None:
        raise _damaged(path, "its description has no class names")
    height, width = parse_size(json.dumps(description.get("imgsz")))
    if isinstance(description.get("imgsz"), int):
        height = width = description["imgsz"]
    own = description.get("edge_agent")
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
        f"{path.name} is not a complete engine: {why}", remedy="build or export it again", path=str(path)
    )
