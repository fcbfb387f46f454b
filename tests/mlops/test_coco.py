"""Reading data sets: mistakes are reported before training, with the file's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.errors import ConfigError
from edge_agent.mlops.coco import IGNORE, load_json, picture_path, read_split
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
        (_flat, "annotations[5] (id 5) has the bbox [10, 10, 0, 4], which is empty"),
        (_annotation_twice, "annotations[5] has the id 4 a second time"),
        (_image_twice, "images[5] has the id 4 a second time"),
        (_empty, "no pictures"),
        (_orphan, "image_id 99"),
        (_no_list, "`annotations`"),
        (_other_size, "5.jpg is 128x64, but it is 64x64"),
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


def _set(kind: str, index: int, **values: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[kind][index].update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set("annotations", 2, bbox=[1, 2, float("inf"), 3]), "annotations[2] (id 2) has the bbox [1, 2, inf, 3]"),
        (_set("annotations", 2, bbox=[1, 2, "3", 3]), "annotations[2] (id 2) has the bbox"),
        (_set("annotations", 2, bbox=[1, 2, 10**400, 3]), "annotations[2] (id 2) has the bbox"),
        (_set("annotations", 2, bbox={"x": 1}), "annotations[2] (id 2) has the bbox"),
        (_set("annotations", 2, bbox=[64, 2, 1, 10]), "outside its picture 2.jpg"),
        (_set("annotations", 2, category_id=[1]), "annotations[2] (id 2) has the category_id [1]"),
        (_set("annotations", 2, image_id=None), "annotations[2] (id 2) has the image_id None"),
        (_set("annotations", 2, id={}), "annotations[2] has the id {}"),
        (_set("images", 2, width=-64), "images[2] (id 2) has the width -64"),
        (_set("images", 2, height="64"), "images[2] (id 2) has the height '64'"),
        (_set("images", 2, file_name=["2.jpg"]), "images[2] (id 2) has the file_name ['2.jpg']"),
        (_set("images", 2, file_name="2\n.jpg"), r"images[2] (id 2) has the file_name '2\n.jpg'"),
        (_set("images", 2, file_name="\ud800.jpg"), r"images[2] (id 2) has the file_name '\ud800.jpg'"),
        (_set("images", 2, file_name="a" * 5000), "cannot be read"),
        (_set("categories", 2, name=30), "categories[2] (id 2) has the name 30"),
    ],
)
def test_read_split_malformed_row_is_named(
    change: Change, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_split(change(edit), "train")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_read_split_encodings_of_windows_are_read(toy: Path, encoding: str) -> None:
    file = toy / "annotations" / "train.json"
    file.write_text(file.read_text(), encoding=encoding)
    assert len(read_split(toy, "train")) == 16


def test_read_split_json_that_is_nested_too_deep_names_file(toy: Path) -> None:
    (toy / "annotations" / "train.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match=r"train\.json"):
        read_split(toy, "train")


@pytest.mark.parametrize(
    "name", ["a/b/1.jpg", "b\\1.jpg", "C:\\set\\a\\b\\1.jpg", "/set/b/1.jpg", "../b/1.jpg", "./a//b/1.jpg", "x/1.jpg"]
)
def test_picture_path_finds_as_much_of_the_name_as_there_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir()
    wanted = tmp_path / ("1.jpg" if name.startswith("x") else "b/1.jpg")
    wanted.touch()
    assert picture_path(tmp_path, name) == wanted


def test_picture_path_never_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.jpg").touch()
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "..\\secret.jpg"):
        assert picture_path(tmp_path / "in", name).parent == tmp_path / "in"


def test_file_that_is_missing_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.json cannot be read: No such file or directory; name a readable file"):
        load_json(tmp_path / "x.json")
