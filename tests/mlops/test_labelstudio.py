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


def rectangle(**value: Any) -> dict[str, Any]:
    """Return a rectangle of Label Studio in a picture of 1000x500."""
    shape = {"x": 20, "y": 20, "width": 30, "height": 20, "rotation": 0, "rectanglelabels": ["stop"]} | value
    return {"type": "rectanglelabels", "original_width": 1000, "original_height": 500, "value": shape}


def written(path: Path, *annotations: dict[str, Any], **data: str) -> Path:
    path.write_text(json.dumps([{"id": 7, "data": data or {"image": "a.jpg"}, "annotations": list(annotations)}]))
    return path


@pytest.mark.parametrize(
    ("degrees", "expected_px"),
    [(90, (100, 100, 200, 400)), (180, (0, 0, 200, 100)), (-90, (200, 0, 300, 100)), (0, (200, 100, 500, 200))],
)
def test_read_export_turned_rectangle_is_the_box_around_its_corners(
    tmp_path: Path, degrees: int, expected_px: tuple[int, ...]
) -> None:
    export = written(tmp_path / "export.json", {"result": [rectangle(rotation=degrees)]})
    ((_, (found,)),) = labelstudio.read_export(export)
    box = found.box
    assert (box.x1 * 1000, box.y1 * 500, box.x2 * 1000, box.y2 * 500) == pytest.approx(expected_px)


def test_read_export_newest_annotation_counts_wherever_it_stands(tmp_path: Path) -> None:
    times = ("2026-11-30T12:00:00+02:00", "2026-11-30T10:30:00Z", "2026-11-30T10:00:00")
    parts = [
        {"id": 9 - index, "updated_at": time, "result": [rectangle(x=10 * index)]} for index, time in enumerate(times)
    ]
    ((_, (found,)),) = labelstudio.read_export(written(tmp_path / "export.json", *parts))
    assert found.box.x1 == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=frames/IMG%20%231.jpg", "IMG #1.jpg"),
        ("/data/local-files/?d=a%2Fb%26c%3F.jpg&x=1", "b&c?.jpg"),
        ("https://example.org/a%20b/50%25.jpg?token=1#x", "50%.jpg"),
        ("s3://bucket/one/two.jpg", "two.jpg"),
        ("C:\\pictures\\one.jpg", "one.jpg"),
    ],
)
def test_read_export_addresses_are_percent_decoded(tmp_path: Path, address: str, name: str) -> None:
    export = written(tmp_path / "export.json", {"result": [rectangle()]}, image=address)
    assert labelstudio.read_export(export)[0][0] == name


@pytest.mark.parametrize("name", ["IMG #1.jpg", "50%25.jpg", "a&b?.jpg", "ä+.jpg"])
def test_task_address_survives_the_way_there_and_back(tmp_path: Path, name: str) -> None:
    data = labelstudio.task(Path(name), 10, 10, (), model="m", prefix="my frames/")["data"]
    export = written(tmp_path / "export.json", {"result": [rectangle()]}, image=data["image"])
    assert labelstudio.read_export(export)[0][0] == name
    assert "#" not in data["image"]


@pytest.mark.parametrize("value", [{"width": float("nan")}, {"width": 0}, {"x": 10**400}, {"rotation": 10**400}])
def test_read_export_impossible_numbers_are_refused_in_one_line(tmp_path: Path, value: dict[str, Any]) -> None:
    export = written(tmp_path / "export.json", {"result": [rectangle(**value)]})
    with pytest.raises(ConfigError, match=r"export\.json has .*\(task 7\)") as caught:
        labelstudio.read_export(export)
    assert "\n" not in str(caught.value)


def test_labelling_interface_does_not_turn_rectangles() -> None:
    assert 'canRotate="false"' in labelstudio.labelling_config()


def test_to_coco_uploaded_picture_is_found_without_its_prefix(pictures: Path, tmp_path: Path) -> None:
    tasks = tasks_for(pictures)
    for one in tasks:
        one["data"] = {"image": f"/data/upload/3/0123abcd-{one['data']['file']}"}
    labelstudio.to_coco(export_of(tasks, tmp_path / "export.json"), pictures, tmp_path / "own")
    assert len(list((tmp_path / "own" / "images").rglob("*.jpg"))) == 6
