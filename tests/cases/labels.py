"""Annotations of COCO files and of Label Studio."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_agent.errors import ConfigError
from edge_agent.mlops.coco import IGNORE, read_split
from edge_agent.mlops.evaluate import read_truth
from edge_agent.mlops.labelstudio import read_export, to_coco
from edge_agent.signs import CLASS_IDS
from tests.cases.case import FOLDER, Case

PICTURES = FOLDER / "jpeg"
SIGN_PX = [280, 200, 360, 280]


def train_reads(file: Path) -> tuple[list[int], list[list[float]]]:
    """Return the labels and boxes that `train` learns from."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "result.json").write_bytes(file.read_bytes())
        (folder / "images").symlink_to(PICTURES)
        (picture,) = read_split(folder, "train")
    return picture.labels.tolist(), picture.boxes.tolist()


def read(file: Path, crowds: int = 0) -> None:
    """Check that train and evaluate read the one sign, and crowds behind it."""
    labels, boxes = train_reads(file)
    assert labels == [CLASS_IDS["stop"], *[IGNORE] * crowds], labels
    assert boxes[0] == SIGN_PX, boxes
    truth = read_truth(PICTURES, file)
    (picture,) = truth.pictures
    assert truth.names == ("stop",), truth.names
    assert picture.boxes[picture.signs()].tolist() == [SIGN_PX], picture.boxes
    assert int(np.count_nonzero(picture.ignored)) == crowds


def refused(fault: str) -> Callable[[Path], None]:
    """Return a check that train and evaluate name file, row and fault in the same line."""

    def check(file: Path) -> None:
        lines = []
        for reader in (train_reads, lambda path: read_truth(PICTURES, path)):
            try:
                reader(file)
            except ConfigError as error:
                lines.append(re.sub(r"^\S*\.json", "", str(error)))
        assert lines == [f": {fault}"] * 2, lines

    return check


def exported(*expected_px: float, name: str = "plain.jpg") -> Callable[[Path], None]:
    """Return a check of the box in a Label Studio export, in pixels of 1000 x 500, and of its picture's name."""

    def check(file: Path) -> None:
        ((found, (sign,)),) = read_export(file)
        box = sign.box
        assert np.allclose([box.x1 * 1000, box.y1 * 500, box.x2 * 1000, box.y2 * 500], expected_px), box
        assert found == name, found
        with tempfile.TemporaryDirectory() as folder:
            assert to_coco(file, FOLDER / "labelstudio" / "frames", Path(folder) / "own") == {"train": 1, "val": 0}
            (entry,) = json.loads((Path(folder) / "own" / "annotations" / "train.json").read_text())["annotations"]
        left, top, width, height = entry["bbox"]
        assert np.allclose([left, top, left + width, top + height], expected_px), entry

    return check


SECOND = "annotations[1] (id 2) has"
CASES = (
    Case("coco/plain.json", "the control: one stop sign", read),
    Case("coco/crowd.json", "a crowd is neither sign nor background", lambda file: read(file, crowds=1)),
    Case("coco/unused-root-category.json", "the unused category is left out", read),
    Case("coco/backslash-path.json", "read", read),
    Case("coco/byte-order-mark.json", "read", read),
    Case("coco/width-null.json", "size taken from the picture", read),
    Case("coco/nan-box.json", "refused", refused(f"{SECOND} the bbox [nan, 40, 60, 60], not four finite numbers")),
    Case("coco/empty-box.json", "refused", refused(f"{SECOND} the bbox [], not four finite numbers")),
    Case("coco/no-box.json", "refused", refused(f"{SECOND} no bbox")),
    Case("coco/no-annotation-id.json", "refused", refused("annotations[0] has no id")),
    Case("coco/no-file-name.json", "refused", refused("images[0] (id 1) has no file_name")),
    Case("coco/category-without-name.json", "refused", refused("categories[0] (id 1) has no name")),
    Case("coco/row-is-text.json", "refused", refused("annotations[1] is 'x', not an object")),
    Case("labelstudio/turned-rectangle.json", "the box around the corners", exported(100, 100, 200, 400)),
    Case("labelstudio/newest-is-not-last.json", "the newest annotation", exported(500, 250, 700, 350)),
    Case("labelstudio/escaped-name.json", "IMG #1.jpg", exported(200, 100, 500, 200, name="IMG #1.jpg")),
)
