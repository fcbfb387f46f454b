"""Reading a data set in COCO form: every picture and box checked before training starts.

Knows files, labels and what can be wrong with them. Knows nothing of augmentation or networks.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError
from edge_agent.signs import CLASS_IDS, LABELS

IGNORE = -2
"""Label of a box that is neither a sign to learn nor background (`iscrowd` or `ignore` in the file)."""
SLACK_PX = 1.0
"""How far a box may reach outside its picture: annotation tools round."""

LabelMap = dict[str, str]
"""From the file's category name to one of ours."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """One picture: its compressed bytes, boxes (K, 4) float32 left, top, right, bottom in pixels, labels (K,) int64.

    `known` (classes,) tells which classes its data set annotates at all.
    """

    path: Path
    width: int
    height: int
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    known: NDArray[np.bool_]
    data: bytes = field(repr=False)

    def decode(self) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 BGR; raises ConfigError when the bytes are no picture."""
        image = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ConfigError(f"{self.path} is not a readable picture", remedy="remove it or save it again")
        return np.asarray(image, dtype=np.uint8)


def split_files(folder: Path, split: str) -> tuple[Path, Path]:
    """Find a split's COCO file and picture folder; raises ConfigError when there is none.

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
    """Read a split whole, compressed pictures included, and check it.

    Raises ConfigError naming the file for broken JSON, unknown labels, duplicate ids, boxes outside their picture,
    broken or missing pictures and an empty split. `tick` is called once a picture.
    """
    file, images = split_files(folder, split)
    raw = _load_json(file)
    names = _categories(raw, file, label_map or {})
    known = np.zeros(len(LABELS), dtype=np.bool_)
    known[[CLASS_IDS[name] for name in names.values()]] = True
    rows = _rows_by_image(raw, file)
    pictures = []
    for entry in raw["images"]:
        pictures.append(_picture(entry, rows.get(entry["id"], []), images=images, file=file, names=names, known=known))
        tick()
    if not pictures:
        raise ConfigError(f"{file} holds no pictures", remedy="a split must not be empty")
    return pictures


def count_pictures(folder: Path, split: str) -> int:
    """Count the pictures that a split's file lists."""
    file, _ = split_files(folder, split)
    return len(_load_json(file)["images"])


def _load_json(file: Path) -> dict[str, Any]:
    """Read a COCO file's outline."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(raw, dict) or not isinstance(raw.get(key), list):
            raise ConfigError(f"{file} has no list `{key}`", remedy="it must be in COCO form")
    checked: dict[str, Any] = raw
    return checked


def _categories(raw: dict[str, Any], file: Path, label_map: LabelMap) -> dict[int, str]:
    """Map the file's category ids to our labels."""
    _unique((entry["id"] for entry in raw["categories"]), "category", file)
    names = {entry["id"]: label_map.get(entry["name"], entry["name"]) for entry in raw["categories"]}
    for name in names.values():
        if name not in CLASS_IDS:
            raise ConfigError(f"{file} has the unknown label {name!r}", remedy=f"known labels: {', '.join(LABELS)}")
    return names


def _unique(ids: Iterable[int], kind: str, file: Path) -> None:
    """Raise ConfigError on the first id that comes twice."""
    seen: set[int] = set()
    for one in ids:
        if one in seen:
            raise ConfigError(f"{file} has the {kind} id {one} twice", remedy="ids must be unique")
        seen.add(one)


def _rows_by_image(raw: dict[str, Any], file: Path) -> dict[int, list[dict[str, Any]]]:
    """Group annotations by picture."""
    _unique((entry["id"] for entry in raw["images"]), "image", file)
    _unique((entry["id"] for entry in raw["annotations"]), "annotation", file)
    known = {entry["id"] for entry in raw["images"]}
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in raw["annotations"]:
        if row["image_id"] not in known:
            raise ConfigError(f"{file}: annotation {row['id']} belongs to no picture (image_id {row['image_id']})")
        rows.setdefault(row["image_id"], []).append(row)
    return rows


def _picture(
    entry: dict[str, Any],
    rows: list[dict[str, Any]],
    *,
    images: Path,
    file: Path,
    names: dict[int, str],
    known: NDArray[np.bool_],
) -> LabelledPicture:
    """Read and check one picture with its boxes."""
    path = images / Path(entry["file_name"]).name
    if not path.is_file():
        path = images / entry["file_name"]
    data = read_picture_bytes(path)
    width, height = int(entry["width"]), int(entry["height"])
    _check_size(data, width, height, path, file)
    boxes = np.zeros((len(rows), 4), dtype=np.float32)
    labels = np.zeros(len(rows), dtype=np.int64)
    for index, row in enumerate(rows):
        boxes[index] = _box(row, entry, path, file)
        if row["category_id"] not in names:
            raise ConfigError(f"{file}: annotation {row['id']} has the unknown category {row['category_id']}")
        crowd = row.get("iscrowd") or row.get("ignore")
        labels[index] = IGNORE if crowd else CLASS_IDS[names[row["category_id"]]]
    return LabelledPicture(path, width, height, boxes, labels, known, data)


def read_picture_bytes(path: Path) -> bytes:
    """Read a picture's file and see that it is whole; raises ConfigError naming it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    # OpenCV fills the missing end of a cut JPEG with grey and says nothing: look for the end-of-image marker.
    whole = not data.startswith(b"\xff\xd8") or b"\xff\xd9" in data[-64:]
    array = np.frombuffer(data, np.uint8)
    if not whole or not len(array) or cv2.imdecode(array, cv2.IMREAD_REDUCED_GRAYSCALE_8) is None:
        raise ConfigError(f"{path} is not a readable picture", remedy="remove it or save it again")
    return data


def _check_size(data: bytes, width: int, height: int, path: Path, file: Path) -> None:
    """Raise ConfigError where the file tells another size than the picture has (turned by its EXIF mark, say)."""
    # An eighth of the size is an eighth of the time, and says enough.
    small = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    rows, columns = (0, 0) if small is None else small.shape[:2]
    if abs(columns * 8 - width) >= 16 or abs(rows * 8 - height) >= 16:
        raise ConfigError(
            f"{file} says that {path.name} is {width}x{height}, but it is about {columns * 8}x{rows * 8}",
            remedy="correct the sizes and boxes, or turn the picture",
        )


def _box(row: dict[str, Any], entry: dict[str, Any], path: Path, file: Path) -> tuple[float, float, float, float]:
    """Turn a COCO box into corners and check it against its picture."""
    x, y, width, height = (float(value) for value in row["bbox"])
    outside = min(x, y) < -SLACK_PX or x + width > entry["width"] + SLACK_PX or y + height > entry["height"] + SLACK_PX
    if outside or not (width > 0 and height > 0):
        where = f"{path.name} ({entry['width']}x{entry['height']})"
        raise ConfigError(f"{file}: annotation {row['id']} has the box {row['bbox']} outside its picture {where}")
    return max(x, 0.0), max(y, 0.0), min(x + width, entry["width"]), min(y + height, entry["height"])
