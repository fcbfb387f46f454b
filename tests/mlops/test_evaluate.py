"""Figures of a detector, against hand-computed ones and against the COCO tool."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from faster_coco_eval import COCOeval_faster

from edge_agent.errors import ConfigError, UsageError
from edge_agent.events import Box, Detection
from edge_agent.mlops.coco import parse_label_map
from edge_agent.mlops.evaluate import GroundTruth, PictureDetections, compare, match, measure, read_truth, run_detector
from edge_agent.mlops.evaluate.matching import OVERLAPS, average_precision, pair
from edge_agent.mlops.evaluate.metrics import SIZES_PX, confusion, point_at
from edge_agent.mlops.evaluate.plots import write_plots
from edge_agent.mlops.evaluate.truth import AnnotatedPicture
from edge_agent.ports import DetectorInfo
from tests.mlops.coco_tool import coco_figures

NAMES = ("Round", "Pointed")


def scene(*signs: tuple[int, float, float, float]) -> AnnotatedPicture:
    """Return a picture with signs of class, x, y, side."""
    boxes = np.array([[x, y, x + side, y + side] for _, x, y, side in signs], np.float64).reshape(-1, 4)
    kinds = np.array([kind for kind, *_ in signs], np.int64)
    return AnnotatedPicture(Path("none.jpg"), boxes, kinds, np.zeros(len(signs), bool))


def find(*seen: tuple[int, float, float, float, float]) -> PictureDetections:
    """Return detections of class, x, y, side, score."""
    boxes = np.array([[x, y, x + side, y + side] for _, x, y, side, _ in seen], np.float64).reshape(-1, 4)
    scores = np.array([one[4] for one in seen], np.float64)
    return PictureDetections(
        boxes, scores, np.array([one[0] for one in seen], np.int64), tuple(NAMES[one[0]] for one in seen)
    )


def truth(*scenes: AnnotatedPicture) -> GroundTruth:
    return GroundTruth(scenes, NAMES, {name: index for index, name in enumerate(NAMES)})


def noisy(seed: int, pictures: int = 12) -> tuple[GroundTruth, list[PictureDetections]]:
    """Return signs and detections: some offset, some missed, some false."""
    rng = np.random.default_rng(seed)
    scenes, detections = [], []
    for _ in range(pictures):
        signs = [(int(rng.integers(2)), 100.0 * k, 10.0, float(rng.uniform(12, 60))) for k in range(3)]
        seen = [
            (kind, x + rng.normal(0, 3), y, side, float(rng.random()))
            for kind, x, y, side in signs[: rng.integers(1, 4)]
        ]
        seen += [(int(rng.integers(2)), 400.0, 10.0, 19.0, float(rng.random()) / 2)]
        scenes.append(scene(*signs))
        detections.append(find(*seen))
    return truth(*scenes), detections


def test_average_precision_hand_made_order_is_the_mean_of_the_staircase() -> None:
    value = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    assert value == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101)


def with_crowds(made: GroundTruth, seed: int) -> GroundTruth:
    """Return the same pictures, where about a third of the signs are a crowd."""
    rng = np.random.default_rng(seed)
    crowds = [rng.random(len(one.classes)) < 0.3 for one in made.pictures]
    pictures = (
        AnnotatedPicture(one.path, one.boxes, one.classes, crowd)
        for one, crowd in zip(made.pictures, crowds, strict=True)
    )
    return GroundTruth(tuple(pictures), made.names, made.class_of_label)


@pytest.mark.parametrize("seed", range(4))
def test_measure_equals_the_coco_tool_with_crowds_and_in_each_size(seed: int) -> None:
    plain, detections = noisy(seed)
    for made in (plain, with_crowds(plain, seed)):
        report = measure(made, detections, 0.5, draws=1)
        assert {
            "ap50": report.ap50,
            "ap": report.ap,
            **{f"ap50_{size}": report.sizes[size]["ap50"] for size in SIZES_PX},
        } == pytest.approx(coco_figures(made, detections), abs=1e-9, nan_ok=True)
        assert 0.1 < report.ap < report.ap50 < 1


def test_overlaps_are_those_of_the_coco_tool_to_the_last_bit() -> None:
    assert OVERLAPS.tolist() == COCOeval_faster(iouType="bbox").params.iouThrs.tolist()


def test_measure_crowd_is_neither_sign_nor_background() -> None:
    kinds = np.array([0, 0])
    boxes = np.array([[0, 0, 20, 20], [100, 100, 300, 200]], np.float64)
    made = truth(AnnotatedPicture(Path("none.jpg"), boxes, kinds, np.array([False, True])))
    detections = [find((0, 0, 0, 20, 0.8), (0, 110, 110, 20, 0.9), (0, 150, 110, 20, 0.9))]
    report = measure(made, detections, 0.5, draws=5)
    assert (report.signs, report.ap50, report.ap50_interval) == (1, 1.0, (1.0, 1.0))
    assert (report.working_point.precision, report.working_point.recall) == (1, 1)
    assert report.confusion == ((1, 0, 0), (0, 0, 0), (0, 0, 0))


def test_pair_second_detection_of_a_sign_is_false() -> None:
    chosen = pair(scene((0, 0, 0, 20)), find((0, 1, 0, 20, 0.5), (0, 0, 0, 20, 0.9)), 0.5)
    assert chosen.tolist() == [-1, 0]


def test_pair_other_class_finds_nothing() -> None:
    assert pair(scene((0, 0, 0, 20)), find((1, 0, 0, 20, 0.5)), 0.5).tolist() == [-1]


def test_point_at_counts_found_false_and_missed() -> None:
    made = truth(scene((0, 0, 0, 20), (1, 50, 0, 20), (1, 90, 0, 20)))
    detections = [find((0, 0, 0, 20, 0.9), (1, 50, 0, 20, 0.8), (0, 200, 0, 20, 0.7), (1, 90, 0, 20, 0.1))]
    point = point_at(made, detections, 0.5)
    assert (point.precision, point.recall, point.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


def test_confusion_separates_mix_ups_from_misses_and_false_alarms() -> None:
    made = truth(scene((0, 0, 0, 20), (1, 50, 0, 20)))
    table = confusion(made, [find((1, 0, 0, 20, 0.9), (0, 200, 0, 20, 0.9))], 0.5)
    assert table == ((0, 1, 0), (0, 0, 1), (1, 0, 0))


def test_measure_report_names_classes_sizes_and_intervals() -> None:
    made, detections = noisy(2)
    report = measure(made, detections, 0.3, draws=50)
    assert set(report.classes) == set(NAMES)
    assert sum(row["signs"] for row in report.sizes.values()) == report.signs == 36
    assert report.ap50_interval[0] <= report.ap50 <= report.ap50_interval[1]


def test_measure_detector_that_sees_nothing_has_recall_zero() -> None:
    made, _ = noisy(2)
    report = measure(made, [find()] * 12, 0.5, draws=10)
    assert (report.ap50, report.working_point.recall) == (0, 0)


def test_compare_clearly_better_is_reported_and_same_is_undecided() -> None:
    made, detections = noisy(3, pictures=30)
    perfect = [
        PictureDetections(one.boxes, np.full(len(one.classes), 0.9), one.classes, ("x",) * len(one.classes))
        for one in made.pictures
    ]
    old, new = match(made, detections), match(made, perfect)
    assert compare(old, new, draws=200).verdict == "better"
    assert compare(new, old, draws=200).verdict == "worse"
    same = compare(old, old, draws=50)
    assert (same.verdict, same.ap50_gain) == ("undecided", 0)
    assert "too few pictures" in same.sentence()


def write_coco(folder: Path, names: tuple[str, ...] = ("SpeedLimit", "DangerAhead")) -> Path:
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((60, 80, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 80, "height": 60}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 10, 20, 20], "area": 400}],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(names)],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


class StubDetector:
    """Detects the same in every picture."""

    info = DetectorInfo("stub", "", "", 0, 0, ())

    def infer(self, image: object) -> tuple[Detection, ...]:
        return (Detection("danger", 0.9, Box(10, 10, 30, 30)), Detection("stop", 0.8, Box(40, 10, 60, 30)))

    def close(self) -> None:
        """Do nothing."""


def test_run_detector_maps_labels_and_leaves_unmapped_ones_out(tmp_path: Path) -> None:
    made = read_truth(tmp_path, write_coco(tmp_path), {"danger": "DangerAhead"})
    (seen,) = run_detector(StubDetector(), made)
    assert seen.labels == ("danger",)
    assert pair(made.pictures[0], seen, 0.5).tolist() == [0]


def test_read_truth_categories_of_one_name_are_one_class_and_unused_ones_are_left_out(tmp_path: Path) -> None:
    file = write_coco(tmp_path, ("signs", "stop", "stop", "danger"))
    content = json.loads(file.read_text())
    content["annotations"].append({"id": 2, "image_id": 1, "category_id": 3, "bbox": [40, 10, 20, 20]})
    file.write_text(json.dumps(content))
    made = read_truth(tmp_path, file)
    assert made.names == ("stop", "danger")
    assert made.pictures[0].classes.tolist() == [0, 0]


def test_read_truth_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    file = write_coco(tmp_path)
    file.write_text(file.read_text().replace('"width": 80, "height": 60', '"width": 60, "height": 80'))
    with pytest.raises(ConfigError, match=r"coco\.json says that a\.jpg is 60x80, but it is 80x60"):
        read_truth(tmp_path, file)


def test_write_plots_makes_three_pictures(tmp_path: Path) -> None:
    made = read_truth(tmp_path, write_coco(tmp_path), {"danger": "DangerAhead"})
    detections = run_detector(StubDetector(), made)
    paths = write_plots(tmp_path / "plots", made, detections, measure(made, detections, 0.5, draws=10))
    assert [cv2.imread(str(path)) is not None for path in paths] == [True] * 3


def test_read_truth_bad_input_names_the_fault(tmp_path: Path) -> None:
    file = write_coco(tmp_path)
    with pytest.raises(UsageError, match=r"'Danger'.*SpeedLimit, DangerAhead"):
        read_truth(tmp_path, file, {"danger": "Danger"})
    with pytest.raises(ConfigError, match=r"a\.jpg cannot be read: No such file"):
        read_truth(tmp_path / "elsewhere", file)
    file.write_text("[]")
    with pytest.raises(ConfigError, match=r"coco\.json"):
        read_truth(tmp_path, file)


@pytest.mark.parametrize("text", ["danger", "danger=", "=X", "danger=A,danger=B"])
def test_label_map_that_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--label-map"):
        parse_label_map(text)


def test_label_map_reads_pairs() -> None:
    assert parse_label_map("danger=DangerAhead, stop=Stop") == {"danger": "DangerAhead", "stop": "Stop"}
