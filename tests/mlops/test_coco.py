"""Reading data sets: mistakes are reported before training, with the file's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.errors import ConfigError
from edge_agent.mlops.coco import IGNORE, read_split
from edge_agent.signs import CLASS_IDS, LABELS

Change = Callable[[Callable[[dict[str, Any]], None]], Path]


def test_read_split_whole_set_has_boxes_as_corners(toy: Path) -> None:
    pictures = read_split(toy, "train")
    assert len(pictures) == 16
    first = pictures[0]
    assert first.decode().shape == (64, 64, 3)
    assert first.labels.tolist() == [CLASS_IDS["stop"]]
    assert (first.boxes[:, 2:] > first.boxes[:, :2]).all()


def _unknown_label(content: dict[str, Any]) -> None:
    content["categories"][3]["name"] = "halt"


def _outside(content: dict[str, Any]) -> None:
    content["annotations"][5]["bbox"] = [60, 2, 10, 10]


def _flat(content: dict[str, Any]) -> None:
    content["annotations"][5]["bbox"] = [10, 10, 0, 4]


def _annotation_twice(content: dict[str, Any]) -> None:
    content["annotations"][5]["id"] = 4


def _image_twice(content: dict[str, Any]) -> None:
    content["images"][5]["id"] = 4


def _empty(content: dict[str, Any]) -> None:
    content["images"], content["annotations"] = [], []


def _orphan(content: dict[str, Any]) -> None:
    content["annotations"][5]["image_id"] = 99


def _other_size(content: dict[str, Any]) -> None:
    content["images"][5]["width"] = 128


def _no_list(content: dict[str, Any]) -> None:
    del content["annotations"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_unknown_label, "'halt'"),
        (_outside, "outside its picture 5.jpg"),
        (_flat, "outside its picture 5.jpg"),
        (_annotation_twice, "annotation id 4 twice"),
        (_image_twice, "image id 4 twice"),
        (_empty, "no pictures"),
        (_orphan, "image_id 99"),
        (_no_list, "`annotations`"),
        (_other_size, "5.jpg is 128x64, but it is about 64x64"),
    ],
)
def test_read_split_bad_annotations_names_file_and_fault(
    change: Change, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    folder = change(edit)
    with pytest.raises(ConfigError) as caught:
        read_split(folder, "train")
    assert str(folder / "annotations" / "train.json") in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b"no picture", None])
def test_read_split_broken_picture_names_it(toy: Path, damage: bytes | None) -> None:
    path = toy / "images" / "train" / "7.jpg"
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    with pytest.raises(ConfigError, match=r"7\.jpg"):
        read_split(toy, "train")


def test_read_split_missing_picture_names_it(toy: Path) -> None:
    (toy / "images" / "train" / "7.jpg").unlink()
    with pytest.raises(ConfigError, match=r"7\.jpg"):
        read_split(toy, "train")


def test_read_split_missing_split_names_the_expected_file(toy: Path) -> None:
    with pytest.raises(ConfigError, match=r"test\.json"):
        read_split(toy, "test")


def test_read_split_broken_json_names_file(toy: Path) -> None:
    (toy / "annotations" / "train.json").write_text("{")
    with pytest.raises(ConfigError, match=r"train\.json"):
        read_split(toy, "train")


def test_read_split_label_map_renames_categories(change: Change) -> None:
    folder = change(_unknown_label)
    pictures = read_split(folder, "train", label_map={"halt": "stop"})
    assert pictures[0].labels.tolist() == [CLASS_IDS["stop"]]


def test_read_split_crowd_is_ignored_and_absent_categories_are_unknown(change: Change) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["annotations"][0]["iscrowd"] = 1
        content["categories"] = [one for one in content["categories"] if one["name"] in {"stop", "danger"}]

    picture = read_split(change(edit), "train")[0]
    assert picture.labels.tolist() == [IGNORE]
    assert [LABELS[i] for i in np.flatnonzero(picture.known)] == ["stop", "danger"]
