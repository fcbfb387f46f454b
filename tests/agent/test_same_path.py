"""`run`, `detect` and `evaluate` show the same pixels to the same network: what one of them reads, all do."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edge_agent.agent import RunOptions, run
from edge_agent.cli.detect import detect
from edge_agent.cli.evaluate import MIN_SCORE
from edge_agent.config import Settings, load_rules
from edge_agent.config.control import DetectorSettings
from edge_agent.events import Detection, Prediction
from edge_agent.mlops.evaluate import GroundTruth, run_detector
from edge_agent.mlops.evaluate.truth import AnnotatedPicture
from edge_agent.perception.camera.images import read_image
from edge_agent.perception.detector import open_fastest
from edge_agent.perception.vision import Turn
from edge_agent.runtime import resources
from edge_agent.signs import LABELS
from edge_agent.simulation.clock import run_virtual
from tests.agent.test_run import Listener

app = typer.Typer()
app.command()(detect)

Boxes = list[tuple[str, float, list[float]]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of three shapes of one drawn picture: as it is, upright, and wide and twice as large."""
    folder = tmp_path_factory.mktemp("pictures")
    read = read_image(resources.engines_dir() / "samples" / "1.jpg")
    assert read is not None
    image = read[0]
    for number, one in enumerate((image, image[:, 100:460], cv2.resize(image[60:420], (1280, 720)))):
        cv2.imwrite(str(folder / f"{number}.png"), one)
    return folder


def plain(found: tuple[Detection, ...]) -> Boxes:
    boxes = [(one.label, round(one.score, 4), [one.box.x1, one.box.y1, one.box.x2, one.box.y2]) for one in found]
    return [(label, score, [round(side, 2) for side in box]) for label, score, box in boxes]


def of_run(folder: Path, **capture: Any) -> list[Boxes]:
    settings = Settings.model_validate(
        {
            "capture": {"source": str(folder), "realtime": False, **capture},
            "detector": {"backend": "onnxruntime"},
            "console": {"enabled": False, "metrics": False},
            "state": {"directory": str(folder / "state")},
        },
        strict=False,
    )
    listener = Listener()
    run_virtual(run(RunOptions(settings, load_rules(), (listener,), virtual=True)))
    return [plain(one.detections) for one in listener.of(Prediction)]


def of_detect(folder: Path) -> list[Boxes]:
    result = CliRunner().invoke(app, ["--json", str(folder)])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return [[(one["label"], one["score"], one["box"]) for one in line["detections"]] for line in lines]


def of_evaluate(folder: Path) -> list[Boxes]:
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    files = sorted(folder.glob("*.png"))
    classes = {label: number for number, label in enumerate(LABELS)}
    truth = GroundTruth(tuple(AnnotatedPicture(file, *nothing) for file in files), LABELS, classes)
    detector = open_fastest(DetectorSettings(threshold=MIN_SCORE))
    assert detector.info.model == "signs-uint8.onnx"
    judged = run_detector(detector, truth)
    point = open_fastest(DetectorSettings()).threshold  # type: ignore[attr-defined]
    return [
        [
            (label, round(score, 4), [round(side, 2) for side in box])
            for label, score, box in zip(one.labels, one.scores.tolist(), one.boxes.tolist(), strict=True)
            if score >= point
        ]
        for one in judged
    ]


def test_run_detect_and_evaluate_find_the_same_boxes(pictures: Path) -> None:
    driven = of_run(pictures)
    assert min(map(len, driven)) >= 1
    assert of_detect(pictures) == driven
    assert of_evaluate(pictures) == driven


def test_what_observers_get_changes_nothing_of_what_is_seen(pictures: Path) -> None:
    assert of_run(pictures, width=64, height=400, aspect="squeeze") == of_run(pictures)


def test_camera_on_its_side_sees_the_same_once_it_is_turned(pictures: Path, tmp_path: Path) -> None:
    for file in sorted(pictures.glob("*.png")):
        image = read_image(file)
        assert image is not None
        cv2.imwrite(str(tmp_path / file.name), Turn(270).pixels(image[0]))
    assert of_run(tmp_path, rotate=90) == of_run(pictures)
