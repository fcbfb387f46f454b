"""Read annotations in COCO form, row by row: one strict reader for training and evaluation.

Boxes are left, top, right, bottom in pixels of the picture.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError
from edge_agent.perception.camera.images import is_whole
from edge_agent.signs import CLASS_IDS, LABELS

IGNORE = -2
"""Label of a box that is neither a sign to learn nor background (`iscrowd` or `ignore` in the file)."""
SLACK_PX = 1.0
"""How far a box may extend beyond its picture, because annotation tools round."""
# A larger number is no coordinate; comparing also excludes NaN, infinity and integers that no float holds.
_LARGEST_PX = 1e6

LabelMap = dict[str, str]
"""From the file's category name to one of ours."""


@dataclass(frozen=True, slots=True, eq=False)
class CocoImage:
    """A picture of the file, read and checked: compressed bytes, boxes (K, 4) float64, their category ids.

    `ignored` (K,) is True for boxes that are neither a sign nor background.
    """

    path: Path
    width: int
    height: int
    boxes: NDArray[np.float64]
    categories: list[Any]
    ignored: NDArray[np.bool_]
    data: bytes = field(repr=False)


class CocoFile:
    """A COCO file whose rows have been checked; `listed` are the names of all categories by id.

    `categories` lacks those that no annotation uses, unless their name is in `names`: those are annotated, but absent.
    Raises ConfigError with one line that names the file, the row and what is wrong with it.
    """

    def __init__(self, path: Path, names: frozenset[str] = frozenset()) -> None:
        self.path = path
        raw = load_json(path)
        for key in ("images", "annotations", "categories"):
            if not isinstance(raw, dict) or not isinstance(raw.get(key), list):
                raise ConfigError(f"{path} has no list `{key}`", remedy="it must be in COCO form")
        self.listed = {
            one: str(row["name"]) for one, row in self._rows(raw["categories"], "categories", _category_problem)
        }
        self._images = dict(self._rows(raw["images"], "images", _image_problem))
        if not self._images:
            raise ConfigError(f"{path} lists no pictures", remedy="a data set must not be empty")
        self._boxes: dict[Any, list[tuple[str, dict[str, Any]]]] = {one: [] for one in self._images}
        used = set()
        for one, row in self._rows(raw["annotations"], "annotations", _annotation_problem):
            where = f"{path}: annotation {one!r}"
            if row["image_id"] not in self._images:
                raise ConfigError(f"{where} belongs to no picture (image_id {row['image_id']!r})")
            if row["category_id"] not in self.listed:
                raise ConfigError(f"{where} has the unknown category {row['category_id']!r}")
            used.add(row["category_id"])
            self._boxes[row["image_id"]].append((where, row))
        self.categories = {one: name for one, name in self.listed.items() if one in used or name in names}

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._images)

    def read(self, folder: Path) -> Iterator[CocoImage]:
        """Read the pictures, which lie below `folder`, in the order of the file.

        Raises ConfigError for a missing or broken picture, one of another size than the file says, and a box outside.
        """
        for number, entry in self._images.items():
            path = picture_path(folder, entry["file_name"])
            data, columns, rows = _read_reduced(path)
            width, height = entry.get("width"), entry.get("height")
            if width is None or height is None:
                width, height = picture_size(data)
            # The eighth of a side is rounded, up or down by format.
            if abs(columns * 8 - width) >= 8 or abs(rows * 8 - height) >= 8:
                real = "{}x{}".format(*picture_size(data))
                raise ConfigError(
                    f"{self.path} says that {path.name} is {width}x{height}, but it is {real}",
                    remedy="correct the sizes and boxes, or rotate the picture",
                )
            found = self._boxes[number]
            boxes = np.array([row["bbox"] for _, row in found], np.float64).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            for (where, row), (left, top, right, bottom) in zip(found, boxes.tolist(), strict=True):
                beyond = max(-left, -top, right - width, bottom - height) > SLACK_PX
                if beyond or right <= 0 or bottom <= 0 or left >= width or top >= height:
                    raise ConfigError(
                        f"{where} has the box {row['bbox']} outside its picture {path.name} ({width}x{height})"
                    )
            ignored = np.array([bool(row.get("iscrowd") or row.get("ignore")) for _, row in found], np.bool_)
            categories = [row["category_id"] for _, row in found]
            yield CocoImage(path, width, height, boxes.clip(0, [width, height] * 2), categories, ignored, data)

    def _rows(
        self, rows: list[Any], kind: str, problem: Callable[[dict[str, Any]], str]
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Yield ids and rows; raises ConfigError on the first row that is none, or has no id, another's, or a fault."""
        seen = set()
        for index, row in enumerate(rows):
            where = f"{self.path}: {kind}[{index}]"
            if not isinstance(row, dict):
                raise ConfigError(f"{where} is {_shown(row)}, not an object")
            one = row.get("id")
            if not _is_id(one):
                raise ConfigError(f"{where} has the id {_shown(one)}" if "id" in row else f"{where} has no id")
            if one in seen:
                raise ConfigError(f"{where} has the id {one!r} a second time", remedy="ids must be unique")
            seen.add(one)
            if fault := problem(row):
                raise ConfigError(f"{where} (id {one!r}) {fault}")
            yield one, row


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """Return a value of the file for a message, on one line and not too long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _category_problem(row: dict[str, Any]) -> str:
    name = row.get("name")
    return "" if isinstance(name, str) and name else f"has the name {_shown(name)}" if "name" in row else "has no name"


def _image_problem(row: dict[str, Any]) -> str:
    name = row.get("file_name")
    # Control characters and halves of surrogates: no such file, and no one line about it.
    if not isinstance(name, str) or not name or re.search(r"[\0-\x1f\ud800-\udfff]", name):
        return f"has the file_name {_shown(name)}" if "file_name" in row else "has no file_name"
    for key in ("width", "height"):
        side = row.get(key)
        if side is not None and not (isinstance(side, int) and not isinstance(side, bool) and 0 < side < _LARGEST_PX):
            return f"has the {key} {_shown(side)}"
    return ""


def _annotation_problem(row: dict[str, Any]) -> str:
    for key in ("image_id", "category_id"):
        if not _is_id(row.get(key)):
            return f"has the {key} {_shown(row.get(key))}" if key in row else f"has no {key}"
    box = row.get("bbox")
    if not isinstance(box, list):
        return f"has the bbox {_shown(box)}" if "bbox" in row else "has no bbox"
    numbers = [one for one in box if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(box) != 4 or len(numbers) != 4 or not all(-_LARGEST_PX < one < _LARGEST_PX for one in numbers):
        return f"has the bbox {_shown(box)}, not four finite numbers"
    return "" if min(numbers[2:]) > 0 else f"has the bbox {_shown(box)}, which is empty"


def load_json(file: Path) -> Any:
    """Read a JSON file in UTF-8 or UTF-16, with or without a byte order mark; raises ConfigError naming it."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", remedy="name a readable file") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}", remedy="export the labels again") from error


def picture_path(folder: Path, file_name: str) -> Path:
    """Return where a picture lies below the folder: at `file_name`, or at as much of its end as there is.

    Separators may be those of Windows. A path that leaves the folder is not followed.
    """
    parts = [part for part in file_name.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    names = [file_name] if "/" not in file_name else []
    names += ["/".join(parts[start:]) for start in range(len(parts))]
    # os.path, because pathlib raises for a name that is too long.
    found = (folder / name for name in names if os.path.isfile(folder / name))  # noqa: PTH113
    return next(found, folder / (names[-1] if names else file_name.replace("/", "")))


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
            raise _unreadable(self.path)
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
    folder: Path, split: str, *, label_map: LabelMap | None = None, tick: Callable[[], None] = lambda: None
) -> list[LabelledPicture]:
    """Read a split with its compressed pictures and check all of it; `tick` is called once for each picture.

    Raises ConfigError as CocoFile does, and for a category that is none of our labels.
    """
    file, images = split_files(folder, split)
    coco = CocoFile(file, frozenset(LABELS) | frozenset(label_map or ()))
    names = {one: (label_map or {}).get(name, name) for one, name in coco.categories.items()}
    for name in names.values():
        if name not in CLASS_IDS:
            raise ConfigError(f"{file} has the unknown label {name!r}", remedy=f"known labels: {', '.join(LABELS)}")
    known = np.zeros(len(LABELS), dtype=np.bool_)
    known[[CLASS_IDS[name] for name in names.values()]] = True
    pictures = []
    for one in coco.read(images):
        classes = np.array([CLASS_IDS[names[category]] for category in one.categories], np.int64)
        labels = np.where(one.ignored, IGNORE, classes)
        pictures.append(
            LabelledPicture(one.path, one.width, one.height, one.boxes.astype(np.float32), labels, known, one.data)
        )
        tick()
    return pictures


def count_pictures(folder: Path, split: str) -> int:
    """Count the pictures that a split's file lists."""
    return len(CocoFile(split_files(folder, split)[0]))


def read_picture_bytes(path: Path) -> bytes:
    """Read a picture's file and check that it is complete; raises ConfigError naming it."""
    return _read_reduced(path)[0]


def picture_size(data: bytes) -> tuple[int, int]:
    """Return the width and height of a readable picture in pixels, rotated as its EXIF orientation says."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    height, width = (0, 0) if image is None else image.shape[:2]
    return width, height


def _read_reduced(path: Path) -> tuple[bytes, int, int]:
    """Return a picture's bytes, and width and height of an eighth of it, which takes an eighth of the time."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not data or not is_whole(data):
        raise _unreadable(path)
    small = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if small is None:
        raise _unreadable(path)
    return data, small.shape[1], small.shape[0]


def _unreadable(path: Path) -> ConfigError:
    return ConfigError(f"{path} is not a readable picture", remedy="remove it or save it again")
