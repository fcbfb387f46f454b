"""What annotated pictures hold, with the detector's labels folded into the annotation's classes.

Knows COCO files and label maps. Knows nothing of detectors or figures.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedPicture:
    """One picture: boxes (K, 4) float64 left, top, right, bottom in pixels; classes (K,) indices into Truth.names."""

    path: Path
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """All pictures; `names` are the annotation's classes; `folds` maps a detector's label to an index into them."""

    scenes: tuple[AnnotatedPicture, ...]
    names: tuple[str, ...]
    folds: dict[str, int]


def parse_label_map(text: str) -> dict[str, str]:
    """Read `danger=DangerAhead,speed_limit_30=SpeedLimit`: the detector's label, then the annotation's class.

    Raises UsageError where a part has no `=` or a label comes twice.
    """
    pairs: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        label, equals, name = (piece.strip() for piece in part.partition("="))
        if not (equals and label and name) or label in pairs:
            raise UsageError(
                f"--label-map has the part {part!r}", remedy="write label=Class,label=Class, each label once"
            )
        pairs[label] = name
    return pairs


def read_truth(images: Path, annotations: Path, label_map: dict[str, str] | None = None) -> GroundTruth:
    """Read a COCO file; labels that the map leaves out stand for a class of their own name, if there is one.

    Raises ConfigError naming the file when it is no COCO file, is empty or a picture is missing, and UsageError when
    the map names an unknown class.
    """
    raw = _load(annotations)
    ids = [entry["id"] for entry in raw["categories"]]
    names = tuple(str(entry["name"]) for entry in raw["categories"])
    folds = {name: index for index, name in enumerate(names)}
    for label, name in (label_map or {}).items():
        if name not in names:
            raise UsageError(f"--label-map names the class {name!r}", remedy=f"{annotations} has {', '.join(names)}")
        folds[label] = names.index(name)
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in raw["annotations"]:
        if row["category_id"] not in ids:
            raise ConfigError(f"{annotations}: annotation {row.get('id')} has an unknown category")
        rows.setdefault(row["image_id"], []).append(row)
    scenes = tuple(_scene(entry, rows.get(entry["id"], []), images, ids) for entry in raw["images"])
    if not scenes:
        raise ConfigError(f"{annotations} lists no pictures", remedy="there is nothing to evaluate")
    return GroundTruth(scenes, names, folds)


def _load(file: Path) -> dict[str, Any]:
    """Read the outline."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(raw, dict) or not isinstance(raw.get(key), list):
            raise ConfigError(f"{file} has no list `{key}`", remedy="it must be in COCO form")
    checked: dict[str, Any] = raw
    return checked


def _scene(entry: dict[str, Any], rows: list[dict[str, Any]], images: Path, ids: list[int]) -> AnnotatedPicture:
    """Build one picture's truth."""
    path = images / entry["file_name"]
    if not path.is_file():
        path = images / Path(entry["file_name"]).name
    if not path.is_file():
        raise ConfigError(f"{path} is missing", remedy="check --images")
    boxes = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return AnnotatedPicture(path, boxes, np.array([ids.index(row["category_id"]) for row in rows], dtype=np.int64))
