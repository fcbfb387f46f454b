"""Approaches made of labelled pictures: how the sign grows, what the truth says, and that a seed gives the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mlops.approaches import make
from edge_agent.mlops.films import Film, read_films
from edge_agent.perception.camera.images import list_images, read_image
from tests.mlops.approach_pictures import NEAR_PX, OPTIONS, ColourDetector, write_picture


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def film_of(folder: Path, label: str) -> Film:
    return next(film for film in read_films(folder) if any(s.counted and s.label == label for s in film.signs))


def test_make_sign_grows_as_the_train_comes_nearer(tmp_path: Path) -> None:
    made = make(*write_picture(tmp_path), tmp_path / "out", OPTIONS)
    assert made == {"danger": 1, "stop": 1}
    sign = next(sign for sign in film_of(tmp_path / "out", "stop").signs if sign.counted)
    heights = [box.height for _, box in sign.boxes]
    # 400 mm/s at 10 pictures a second, h = 9333 / d: from 10 px, 933 mm away, 40 mm nearer in each picture.
    assert heights[:3] == pytest.approx([10, 9333 / 893.3, 9333 / 853.3], abs=0.15)
    assert 0.8 * 1.6 * 40 < heights[-1] <= 1.6 * 40
    assert sign.boxes[sign.first][1].height == pytest.approx(17, abs=1)
    assert sign.last == len(list_images(film_of(tmp_path / "out", "stop").path)) - 1


def test_make_boxes_are_where_the_signs_are_in_the_pictures(tmp_path: Path) -> None:
    make(*write_picture(tmp_path), tmp_path / "out", OPTIONS)
    film = film_of(tmp_path / "out", "stop")
    overlaps = []
    for number, path in enumerate(list_images(film.path)):
        loaded = read_image(path)
        assert loaded is not None
        for found in ColourDetector().infer(loaded[0]):
            truth = next(sign.box_at(number) for sign in film.signs if sign.label == found.label)
            overlaps += [found.box.iou(truth)] if truth is not None and truth.height > 16 else []
    assert len(overlaps) >= 10
    assert min(overlaps) > 0.5


def test_make_same_seed_same_bytes_another_seed_other_bytes(tmp_path: Path) -> None:
    source = write_picture(tmp_path)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make(*source, tmp_path / name, replace(OPTIONS, seed=seed))
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert a != c


def test_make_slower_train_takes_more_pictures(tmp_path: Path) -> None:
    source = write_picture(tmp_path)
    make(*source, tmp_path / "fast", OPTIONS)
    make(*source, tmp_path / "slow", replace(OPTIONS, speed_mm_s=200))
    fast, slow = (len(list_images(film_of(tmp_path / name, "stop").path)) for name in ("fast", "slow"))
    assert slow == pytest.approx(2 * fast, abs=2)


def test_make_sign_that_never_comes_near_enough_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="large enough"):
        make(*write_picture(tmp_path), tmp_path / "out", replace(OPTIONS, near_px=dict.fromkeys(NEAR_PX, 60.0)))


def test_make_finer_labels_name_the_boxes_and_unsure_ones_are_only_shown(tmp_path: Path) -> None:
    source = write_picture(tmp_path, categories=("SpeedLimit", "DangerAhead"))
    finer = tmp_path / "finer.json"
    rows = [
        {"file": "one.png", "label": "stop", "box_xyxy": [299, 241, 339, 281]},
        {"file": "one.png", "label": "danger", "sure": False, "box_xyxy": [100, 240, 140, 280]},
    ]
    finer.write_text(json.dumps({"signs": rows}))
    assert make(*source, tmp_path / "out", OPTIONS, finer=finer) == {"stop": 1}
    (film,) = read_films(tmp_path / "out")
    found = sorted((sign.label, sign.counted) for sign in film.signs)
    assert found == [("DangerAhead", False), ("danger", False), ("stop", True)]


def test_make_label_map_translates_the_annotations_names(tmp_path: Path) -> None:
    source = write_picture(tmp_path, categories=("halt", "DangerAhead"))
    assert make(*source, tmp_path / "out", OPTIONS, label_map={"stop": "halt"}) == {"stop": 1}
    with pytest.raises(UsageError, match="two labels"):
        make(*source, tmp_path / "no", OPTIONS, label_map={"stop": "halt", "danger": "halt"})


def test_make_only_takes_pictures_with_such_names(tmp_path: Path) -> None:
    source = write_picture(tmp_path)
    with pytest.raises(ConfigError, match="large enough"):
        make(*source, tmp_path / "none", replace(OPTIONS, only=("two*",)))
    assert make(*source, tmp_path / "out", replace(OPTIONS, only=("two*", "o*.png"))) == {"danger": 1, "stop": 1}


def test_make_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an empty folder"):
        make(*write_picture(tmp_path), tmp_path, OPTIONS)


@pytest.mark.parametrize("content", ["{}", "[]", '{"signs": [{"file": "one.png"}]}', '{"signs": [3]}'])
def test_make_file_that_holds_no_finer_labels_is_named(tmp_path: Path, content: str) -> None:
    finer = tmp_path / "finer.json"
    finer.write_text(content)
    with pytest.raises(ConfigError, match=r"finer\.json"):
        make(*write_picture(tmp_path), tmp_path / "out", OPTIONS, finer=finer)
