"""Pictures to Label Studio and back: labels are matched by name, not by order."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Box, Detection
from edge_agent.mlops import labelstudio
from edge_agent.mlops.coco import read_split
from edge_agent.signs import CLASS_IDS, LABELS


def export_of(tasks: list[dict[str, Any]], path: Path) -> Path:
    """Write what Label Studio exports when every pre-annotation is accepted."""
    done = [
        {"data": one["data"], "annotations": [{"was_cancelled": False, "result": one["predictions"][0]["result"]}]}
        for one in tasks
    ]
    path.write_text(json.dumps(done))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(6):
        cv2.imwrite(str(folder / f"{index}.jpg"), np.full((100, 200, 3), 40 * index, np.uint8))
    return folder


def tasks_for(pictures: Path) -> list[dict[str, Any]]:
    seen = (Detection("stop", 0.7, Box(20, 10, 60, 50)), Detection("danger", 0.9, Box(100, 10, 120, 40)))
    return [labelstudio.task(path, 200, 100, seen, model="signs.onnx") for path in sorted(pictures.iterdir())]


def test_labelling_config_lists_our_labels_in_order() -> None:
    text = labelstudio.labelling_config()
    places = [text.index(f'value="{label}"') for label in LABELS]
    assert places == sorted(places)


def test_write_tasks_makes_both_files(pictures: Path, tmp_path: Path) -> None:
    tasks, config = labelstudio.write_tasks(tmp_path / "out", tasks_for(pictures))
    assert json.loads(tasks.read_text())[0]["predictions"][0]["score"] == 0.7
    assert config.name == "labelling.xml"


def test_round_trip_keeps_boxes_and_class_ids(pictures: Path, tmp_path: Path) -> None:
    export = export_of(tasks_for(pictures), tmp_path / "export.json")
    counts = labelstudio.to_coco(export, pictures, tmp_path / "own")
    assert counts == {"train": 4, "val": 2}
    first = read_split(tmp_path / "own", "train")[0]
    assert first.labels.tolist() == [CLASS_IDS["stop"], CLASS_IDS["danger"]]
    assert first.boxes[0].tolist() == pytest.approx([20, 10, 60, 50])


def test_to_coco_labelled_classes_only_are_known(pictures: Path, tmp_path: Path) -> None:
    export = export_of(tasks_for(pictures), tmp_path / "export.json")
    labelstudio.to_coco(export, pictures, tmp_path / "own", labelled=["danger"])
    first = read_split(tmp_path / "own", "train")[0]
    assert first.labels.tolist() == [CLASS_IDS["danger"]]
    assert np.flatnonzero(first.known).tolist() == [CLASS_IDS["danger"]]


def test_read_export_leaves_unfinished_and_skipped_tasks_out(pictures: Path, tmp_path: Path) -> None:
    export = export_of(tasks_for(pictures), tmp_path / "export.json")
    raw = json.loads(export.read_text())
    raw[0]["annotations"] = []
    raw[1]["annotations"][0]["was_cancelled"] = True
    export.write_text(json.dumps(raw))
    assert [name for name, _ in labelstudio.read_export(export)] == ["2.jpg", "3.jpg", "4.jpg", "5.jpg"]


def test_read_export_unknown_label_names_file(pictures: Path, tmp_path: Path) -> None:
    export = export_of(tasks_for(pictures), tmp_path / "export.json")
    export.write_text(export.read_text().replace('"stop"', '"halt"'))
    with pytest.raises(ConfigError, match=r"export\.json has the unknown label 'halt'"):
        labelstudio.read_export(export)


@pytest.mark.parametrize("text", ["{", "{}", '[{"image": "a.jpg"}]'])
def test_read_export_other_format_names_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(ConfigError, match=r"export\.json"):
        labelstudio.read_export(tmp_path / "export.json")


def test_to_coco_missing_picture_names_it(pictures: Path, tmp_path: Path) -> None:
    export = export_of(tasks_for(pictures), tmp_path / "export.json")
    (pictures / "3.jpg").unlink()
    with pytest.raises(ConfigError, match=r"3\.jpg"):
        labelstudio.to_coco(export, pictures, tmp_path / "own")
    assert not [path for path in tmp_path.iterdir() if "own" in path.name]


def test_to_coco_disk_full_names_the_file_and_leaves_nothing(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = export_of(tasks_for(pictures), tmp_path / "export.json")

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(FatalError, match=r"\.jpg could not be written: No space left"):
        labelstudio.to_coco(export, pictures, tmp_path / "own")
    assert not [path for path in tmp_path.iterdir() if "own" in path.name]


def test_to_coco_existing_folder_is_left_alone(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(ConfigError, match="own exists already"):
        labelstudio.to_coco(export_of(tasks_for(pictures), tmp_path / "export.json"), pictures, tmp_path / "own")


@pytest.mark.parametrize("value", [{"rectanglelabels": ["stop"]}, {"rectanglelabels": ["stop"], "x": "left"}])
def test_read_export_box_without_its_numbers_names_file(pictures: Path, tmp_path: Path, value: dict[str, Any]) -> None:
    tasks = tasks_for(pictures)
    tasks[0]["predictions"][0]["result"][0]["value"] = value
    with pytest.raises(ConfigError, match=r"export\.json is not a Label Studio export"):
        labelstudio.read_export(export_of(tasks, tmp_path / "export.json"))


def test_read_export_box_outside_its_picture_names_file(pictures: Path, tmp_path: Path) -> None:
    tasks = tasks_for(pictures)
    tasks[0]["predictions"][0]["result"][0]["value"]["x"] = 120
    with pytest.raises(ConfigError, match=r"export\.json has a box of stop outside"):
        labelstudio.read_export(export_of(tasks, tmp_path / "export.json"))


def test_to_coco_file_name_never_leaves_the_folder(pictures: Path, tmp_path: Path) -> None:
    tasks = tasks_for(pictures)
    for one in tasks:
        one["data"]["file"] = "../../" + one["data"]["file"]
    labelstudio.to_coco(export_of(tasks, tmp_path / "export.json"), pictures, tmp_path / "own")
    assert len(list((tmp_path / "own" / "images").rglob("*.jpg"))) == 6


def test_to_coco_two_tasks_for_a_picture_are_refused(pictures: Path, tmp_path: Path) -> None:
    tasks = tasks_for(pictures)
    with pytest.raises(ConfigError, match=r"two finished tasks for 0\.jpg"):
        labelstudio.to_coco(export_of([*tasks, tasks[0]], tmp_path / "export.json"), pictures, tmp_path / "own")
