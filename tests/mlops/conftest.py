"""A toy data set of coloured shapes, and a network small enough to train in a second."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.signs import LABELS


def draw_split(folder: Path, split: str, count: int, seed: int) -> dict[str, Any]:
    """Draw `count` pictures of 64x64 with one red disc (stop) or yellow square (danger) each."""
    rng = np.random.default_rng(seed)
    images = folder / "images" / split
    images.mkdir(parents=True)
    content: dict[str, Any] = {"images": [], "annotations": []}
    content["categories"] = [{"id": index, "name": label} for index, label in enumerate(LABELS)]
    for index in range(count):
        image = np.full((64, 64, 3), 90, np.uint8)
        side = int(rng.integers(14, 30))
        x, y = (int(value) for value in rng.integers(0, 64 - side, 2))
        stop = index % 2 == 0
        if stop:
            cv2.circle(image, (x + side // 2, y + side // 2), side // 2, (0, 0, 230), -1)
        else:
            image[y : y + side, x : x + side] = (0, 220, 250)
        cv2.imwrite(str(images / f"{index}.jpg"), image)
        content["images"].append({"id": index, "file_name": f"{index}.jpg", "width": 64, "height": 64})
        category = LABELS.index("stop" if stop else "danger")
        row = {"id": index, "image_id": index, "category_id": category, "bbox": [x, y, side, side]}
        content["annotations"].append(row | {"area": side * side, "iscrowd": 0})
    return content


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Make a data set with 16 training and 4 validation pictures."""
    folder = tmp_path / "toy"
    for split, count in (("train", 16), ("val", 4)):
        content = draw_split(folder, split, count, seed=count)
        write_annotations(folder, split, content)
    return folder


def write_annotations(folder: Path, split: str, content: dict[str, Any]) -> Path:
    """Write a split's COCO file."""
    file = folder / "annotations" / f"{split}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def change(toy: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """Change the toy's training annotations in place and return its folder."""

    def apply(edit: Callable[[dict[str, Any]], None]) -> Path:
        file = toy / "annotations" / "train.json"
        content = json.loads(file.read_text())
        edit(content)
        file.write_text(json.dumps(content))
        return toy

    return apply
