"""When the detections of two detectors agree."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.config import Settings
from edge_agent.errors import ConfigError
from edge_agent.events import Box, Detection
from edge_agent.perception.detector import open_detector
from edge_agent.perception.detector.tensorrt.bindings import load_bindings
from edge_agent.perception.detector.tensorrt.detector import PostprocessOptions
from edge_agent.perception.detector.tensorrt.verification import (
    DisagreementError,
    compare,
    open_verified,
    sample_pictures,
)
from edge_agent.perception.vision import OutputLayout
from tests.perception.detector.engines import PICTURE, built, tiny
from tests.perception.detector.models import outputs_for, save
from tests.support.gpu import Gpu

STOP = Detection("stop", 0.8, Box(0, 0, 100, 100))
WEAK = Detection("stop", 0.52, Box(300, 0, 350, 50))


def agree(expected: tuple[Detection, ...], found: tuple[Detection, ...]) -> str:
    return compare(lambda picture: expected, lambda picture: found, [PICTURE], 0.5).problem


def test_same_detections_agree() -> None:
    both = (STOP, WEAK)
    agreement = compare(lambda picture: both, lambda picture: both, [PICTURE, PICTURE], 0.5)
    assert (agreement.problem, agreement.pairs, agreement.worst_iou, agreement.worst_score) == ("", 4, 1.0, 0.0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((), "misses the stop"),
        ((Detection("danger", 0.8, STOP.box),), "misses the stop"),
        ((STOP, Detection("danger", 0.9, Box(200, 200, 220, 220))), "detects an extra danger"),
        ((STOP, STOP), "detects an extra stop"),
        ((Detection("stop", 0.86, STOP.box),), "off by IoU 1.00, score 0.06"),
        ((Detection("stop", 0.8, Box(0, 0, 100, 89)),), "off by IoU 0.89"),
    ],
)
def test_detections_that_differ_disagree(found: tuple[Detection, ...], words: str) -> None:
    assert words in agree((STOP,), found)


def test_differences_within_the_limits_agree() -> None:
    assert agree((STOP,), (Detection("stop", 0.76, Box(0, 0, 100, 92)),)) == ""


def test_detection_next_to_the_threshold_may_be_missing_on_either_side() -> None:
    assert agree((STOP, WEAK), (STOP,)) == ""
    assert agree((STOP,), (STOP, WEAK)) == ""


def test_engine_that_sees_the_same_is_verified(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    detector, agreement = open_verified(built(model, tmp_path), model, load_bindings(), PostprocessOptions(), [PICTURE])
    assert (agreement.problem, agreement.pairs) == ("", 2)
    detector.close()


def test_engine_that_disagrees_is_refused_and_closed(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine = built(model, tmp_path)
    gpu.say("disagrees")
    with pytest.raises(DisagreementError, match=r"m\.onnx disagrees with ONNX Runtime: picture 0"):
        open_verified(engine, model, load_bindings(), PostprocessOptions(), [PICTURE])
    assert gpu.left() == {}


def test_engine_that_answers_what_is_no_number_is_refused(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine = built(model, tmp_path)
    gpu.say("nan")
    with pytest.raises(DisagreementError, match="disagrees with ONNX Runtime"):
        open_verified(engine, model, load_bindings(), PostprocessOptions(), [PICTURE])
    assert gpu.left() == {}


def test_engine_with_other_class_names_is_refused(tmp_path: Path, gpu: Gpu) -> None:

    model = tiny(tmp_path)
    other = save(tmp_path / "o.onnx", outputs_for(OutputLayout.CHANNELS_LAST, [], 2), names="['b', 'a']")
    with pytest.raises(DisagreementError, match="other class names"):
        open_verified(built(model, tmp_path), other, load_bindings(), PostprocessOptions(), [PICTURE])
    assert gpu.left() == {}


def test_sample_pictures_ship_and_hold_signs() -> None:

    pictures = sample_pictures()
    assert len(pictures) == 8
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    detector = open_detector(Settings().detector)
    assert len(detector.infer(pictures[0])) >= 2
    detector.close()


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="contains no pictures"):
        sample_pictures(folder=tmp_path)


def test_pictures_beside_a_model_are_its_samples(tmp_path: Path) -> None:
    assert len(sample_pictures(tmp_path / "m.onnx")) == 8
    (tmp_path / "samples").mkdir()
    cv2.imwrite(str(tmp_path / "samples" / "own.png"), PICTURE)
    assert len(sample_pictures(tmp_path / "m.onnx")) == 1


def test_engine_is_compared_below_the_threshold_where_nothing_reaches_it(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine = built(model, tmp_path)
    detector, agreement = open_verified(engine, model, load_bindings(), PostprocessOptions(threshold=0.95), [PICTURE])
    assert agreement.pairs == 2
    assert detector.infer(PICTURE) == (), "the threshold is back where it was"
    detector.close()


def test_engine_that_detects_nothing_like_the_model_is_not_verified(tmp_path: Path, gpu: Gpu) -> None:
    model = save(tmp_path / "m.onnx", outputs_for(OutputLayout.CHANNELS_LAST, [], 2), names="['a', 'b']")
    with pytest.raises(DisagreementError, match="neither detects anything"):
        open_verified(built(model, tmp_path), model, load_bindings(), PostprocessOptions(), [PICTURE])
    assert gpu.left() == {}
