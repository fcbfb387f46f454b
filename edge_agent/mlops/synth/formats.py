"""The files of a data set beside its pictures: COCO JSON, YOLO text, data.yaml, and a contact sheet for people."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent.mlops.synth.labels import LabelledBox
from edge_agent.mlops.synth.textures import Image
from edge_agent.perception.vision.draw import colour_of
from edge_agent.signs import CLASS_IDS, LABELS


@dataclass(frozen=True)
class Entry:
    """The labels of one picture; `index` counts from 0 over all splits."""

    index: int
    width: int
    height: int
    boxes: tuple[LabelledBox, ...]

    @property
    def stem(self) -> str:
        """Name of the picture's files without suffix."""
        return f"{self.index:07d}"


def coco(entries: Iterable[Entry], description: str) -> dict[str, Any]:
    """Return a COCO document: category id = class id + 1; boxes to ignore have `iscrowd` 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for entry in entries:
        image_id = entry.index + 1
        images.append({"id": image_id, "file_name": f"{entry.stem}.jpg", "width": entry.width, "height": entry.height})
        for item in entry.boxes:
            # Rounded first, so that COCO and YOLO agree.
            left, top, right, bottom = (round(value, 2) for value in item.box)
            wide, tall = round(right - left, 2), round(bottom - top, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CLASS_IDS[item.label] + 1,
                    "bbox": [left, top, wide, tall],
                    "area": round(wide * tall, 2),
                    "iscrowd": int(item.ignore),
                }
            )
    categories = [{"id": number + 1, "name": label, "supercategory": "sign"} for number, label in enumerate(LABELS)]
    return {
        "info": {"description": description},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def yolo(entry: Entry) -> str:
    """Return lines `class x y w h`, centre and size in fractions of the picture, without the boxes to ignore."""
    lines = []
    for item in entry.boxes:
        if item.ignore:
            continue
        left, top, right, bottom = (round(value, 2) for value in item.box)
        x, wide = (left + right) / 2 / entry.width, (right - left) / entry.width
        y, tall = (top + bottom) / 2 / entry.height, (bottom - top) / entry.height
        lines.append(f"{CLASS_IDS[item.label]} {x:.6f} {y:.6f} {wide:.6f} {tall:.6f}\n")
    return "".join(lines)


def data_yaml(splits: tuple[str, ...]) -> str:
    """Return the YAML file that YOLO trainers read; paths are relative to it."""
    lines = ["# Labels by class id, and the folders of pictures.", "path: ."]
    lines += [f"{split}: images/{split}" for split in splits]
    lines += ["names:", *[f"  {number}: {label}" for number, label in enumerate(LABELS)]]
    return "\n".join(lines) + "\n"


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a document as JSON, with the same bytes for the same content."""
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


MOST_TILES = 36


def annotate(image: Image, boxes: tuple[LabelledBox, ...]) -> Image:
    """Return a copy of the BGR picture with boxes and labels drawn in; boxes to ignore are grey."""
    drawn = image.copy()
    for item in boxes:
        colour = (150, 150, 150) if item.ignore else colour_of(item.label)
        left, top, right, bottom = (round(value) for value in item.box)
        cv2.rectangle(drawn, (left - 1, top - 1), (right, bottom), colour, 1)
        at = (left, top - 3 if top > 10 else bottom + 9)
        cv2.putText(drawn, item.label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.3, colour, 1, cv2.LINE_AA)
    return drawn


def sheet(tiles: list[Image]) -> Image:
    """Return a contact sheet of BGR pictures of one size."""
    columns = min(6, len(tiles))
    empty = [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    padded = tiles + empty
    rows = [np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)]
    return np.vstack(rows)
