"""Read annotations in COCO form: one reader for training, which needs whole pictures, and for evaluation.

Boxes are left, top, right, bottom in pixels of the picture.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError
from edge_agent.signs import CLASS_IDS, LABELS

IGNORE = -2
"""Label of a box that is neither a sign to learn nor background (`iscrowd` or `ignore` in the file)."""
SLACK_PX = 1.0
"""How far a box may extend beyond its picture, because annotation tools round."""

LabelMap = dict[str, str]
"""From the file's category name to one of ours."""


@dataclass(frozen=True, slots=True, eq=False)
class CocoFile:
    """A COCO file: its images as they stand in the file, category names by id, annotations by image id."""

    path: Path
    images: list[dict[str, Any]]
    categories: dict[int, str]
    annotations: dict[int, list[dict[str, Any]]]


def read_coco(path: Path, *, strict: bool = False) -> CocoFile:
    """Read a COCO file; `strict` also refuses ids that occur twice and annotations of unlisted pictures.

    Raises ConfigError naming the file for broken JSON, missing lists and unknown categories.
    """
    raw = _load_json(path)
    if strict:
        for kind, key in (("category", "categories"), ("image", "images"), ("annotation", "annotations")):
            _check_unique((entry["id"] for entry in raw[key]), kind, path)
    categories = {entry["id"]: str(entry["name"]) for entry in raw["categories"]}
    listed = {entry["id"] for entry in raw["images"]}
    annotations: dict[int, list[dict[str, Any]]] = {}
    for row in raw["annotations"]:
        if strict and row["image_id"] not in listed:
            raise ConfigError(f"{path}: annotation {row['id']} belongs to no picture (image_id {row['image_id']})")
        if row["category_id"] not in categories:
            raise ConfigError(f"{path}: annotation {row.get('id')} has the unknown category {row['category_id']}")
        annotations.setdefault(row["image_id"], []).append(row)
    return CocoFile(path, raw["images"], categories, annotations)


def picture_path(folder: Path, file_name: str) -> Path:
    """Return where a picture lies: at `file_name` below the folder, or, where there is none, right in the folder."""
    path = folder / file_name
    return path if path.is_file() else folder / Path(file_name).name


def corners(annotations: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Return the boxes of annotations, (K, 4) float64, as left, top, right, bottom."""
    boxes = np.array([row["bbox"] for row in annotations], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def parse_label_map(text: str) -> dict[str, str]:
    """Parse `danger=DangerAhead,speed_limit_30=SpeedLimit`: the detector's label, then the annotation's class.

    Raises UsageError where a part has no `=` or a label occurs twice.
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


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """A training picture: its compressed bytes, boxes (K, 4) float32 in pixels, labels (K,) int64.

    `known` (classes,) is False for each class that its data set does not annotate.
    """

    path: Path
    width: int
    height: int
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    known: NDArray[np.bool_]
    data: bytes = field(repr=False)

    def decode(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8 BGR; raises ConfigError when it cannot be decoded."""
        image = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ConfigError(f"{self.path} is not a readable picture", remedy="remove it or save it again")
        return np.asarray(image, dtype=np.uint8)


def split_files(folder: Path, split: str) -> tuple[Path, Path]:
    """Return a split's COCO file and picture folder; raises ConfigError when there is none.

    Two layouts: `annotations/SPLIT.json` with `images/SPLIT/` (what `dataset synth` writes), and one
    `annotations.coco.json` or `result.json` with `images/` (what annotation tools write), which is all training.
    """
    file = folder / "annotations" / f"{split}.json"
    if file.is_file():
        return file, folder / "images" / split
    if split == "train":
        for name in ("annotations.coco.json", "result.json"):
            if (folder / name).is_file():
                return folder / name, folder / "images"
    raise ConfigError(f"{folder} has no {split} split", remedy=f"expected {file}")


def read_split(
    folder: Path,
    split: str,
    *,
    label_map: LabelMap | None = None,
    tick: Callable[[], None] = lambda: None,
) -> list[LabelledPicture]:
    """Read a split with its compressed pictures and check all of it; `tick` is called once for each picture.

    Raises ConfigError naming the file for broken JSON, unknown labels, duplicate ids, boxes outside their picture,
    broken or missing pictures and an empty split.
    """
    file, images = split_files(folder, split)
    coco = read_coco(file, strict=True)
    names = _our_labels(coco, label_map or {})
    known = np.zeros(len(LABELS), dtype=np.bool_)
    known[[CLASS_IDS[name] for name in names.values()]] = True
    pictures = []
    for entry in coco.images:
        pictures.append(_read_picture(entry, coco, images, names, known))
        tick()
    if not pictures:
        raise ConfigError(f"{file} lists no pictures", remedy="a split must not be empty")
    return pictures


def count_pictures(folder: Path, split: str) -> int:
    """Count the pictures that a split's file lists."""
    file, _ = split_files(folder, split)
    return len(_load_json(file)["images"])


def _load_json(file: Path) -> dict[str, Any]:
    """Load a COCO file and check that its lists are there."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(raw, dict) or not isinstance(raw.get(key), list):
            raise ConfigError(f"{file} has no list `{key}`", remedy="it must be in COCO form")
    checked: dict[str, Any] = raw
    return checked


def _check_unique(ids: Iterable[int], kind: str, file: Path) -> None:
    """Raise ConfigError on the first id that occurs twice."""
    seen: set[int] = set()
    for one in ids:
        if one in seen:
            raise ConfigError(f"{file} has the {kind} id {one} twice", remedy="ids must be unique")
        seen.add(one)


def _our_labels(coco: CocoFile, label_map: LabelMap) -> dict[int, str]:
    """Map the file's category ids to our labels."""
    names = {number: label_map.get(name, name) for number, name in coco.categories.items()}
    for name in names.values():
        if name not in CLASS_IDS:
            raise ConfigError(
                f"{coco.path} has the unknown label {name!r}", remedy=f"known labels: {', '.join(LABELS)}"
            )
    return names


def _read_picture(
    entry: dict[str, Any], coco: CocoFile, images: Path, names: dict[int, str], known: NDArray[np.bool_]
) -> LabelledPicture:
    """Read and check one picture with its boxes."""
    path = picture_path(images, entry["file_name"])
    data = read_picture_bytes(path)
    width, height = int(entry["width"]), int(entry["height"])
    _check_size(data, width, height, path, coco.path)
    rows = coco.annotations.get(entry["id"], [])
    boxes = corners(rows)
    for row, box in zip(rows, boxes.tolist(), strict=True):
        _check_box(row, box, (width, height), path, coco.path)
    boxes = boxes.clip(0, [width, height, width, height])
    ignored = (row.get("iscrowd") or row.get("ignore") for row in rows)
    labels = [
        IGNORE if ignore else CLASS_IDS[names[row["category_id"]]] for row, ignore in zip(rows, ignored, strict=True)
    ]
    return LabelledPicture(path, width, height, boxes.astype(np.float32), np.array(labels, np.int64), known, data)


def read_picture_bytes(path: Path) -> bytes:
    """Read a picture's file and check that it is complete; raises ConfigError naming it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    # OpenCV fills the missing end of a truncated JPEG with grey without a warning: look for the end-of-image marker.
    whole = not data.startswith(b"\xff\xd8") or b"\xff\xd9" in data[-64:]
    array = np.frombuffer(data, np.uint8)
    if not whole or not len(array) or cv2.imdecode(array, cv2.IMREAD_REDUCED_GRAYSCALE_8) is None:
        raise ConfigError(f"{path} is not a readable picture", remedy="remove it or save it again")
    return data


def _check_size(data: bytes, width: int, height: int, path: Path, file: Path) -> None:
    """Raise ConfigError where the file states another size than the picture has (when EXIF rotates it, say)."""
    # Decoding an eighth of the size takes an eighth of the time, and is exact enough.
    small = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    rows, columns = (0, 0) if small is None else small.shape[:2]
    if abs(columns * 8 - width) >= 16 or abs(rows * 8 - height) >= 16:
        raise ConfigError(
            f"{file} says that {path.name} is {width}x{height}, but it is about {columns * 8}x{rows * 8}",
            remedy="correct the sizes and boxes, or rotate the picture",
        )


def _check_box(row: dict[str, Any], box: list[float], size: tuple[int, int], path: Path, file: Path) -> None:
    """Raise ConfigError for a box (left, top, right, bottom) that is empty or extends beyond its picture."""
    left, top, right, bottom = box
    outside = min(left, top) < -SLACK_PX or right > size[0] + SLACK_PX or bottom > size[1] + SLACK_PX
    if outside or not (right > left and bottom > top):
        where = f"{path.name} ({size[0]}x{size[1]})"
        raise ConfigError(f"{file}: annotation {row['id']} has the box {row['bbox']} outside its picture {where}")
