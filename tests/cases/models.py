"""ONNX models that a train would be blind with."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError
from edge_agent.perception.batch import detect_in
from edge_agent.perception.detector import OnnxDetector
from tests.cases.case import FOLDER, Case


def refused(reason: str) -> Callable[[Path], None]:
    """Return a check that the model is refused for this reason."""

    def check(file: Path) -> None:
        with pytest.raises(ConfigError, match=re.escape(reason)):
            OnnxDetector(file)

    return check


def finds_stop(file: Path) -> None:
    """Check the one box of the control."""
    (result,) = detect_in(OnnxDetector(file), FOLDER / "jpeg" / "plain.jpg")
    (found,) = result.detections
    assert (found.label, found.score) == ("stop", pytest.approx(0.95)), found
    box = found.box
    assert [box.x1, box.y1, box.x2, box.y2] == pytest.approx([240, 160, 400, 320]), box


CASES = (
    Case("onnx/end-to-end-in-pixels.onnx", "the control: stop 0.95", finds_stop),
    Case("onnx/end-to-end-in-fractions.onnx", "refused, or read rightly", refused("boxes are not in pixels")),
    Case("onnx/rtdetr-centres-in-fractions.onnx", "refused, or read rightly", refused("boxes are not in pixels")),
    Case("onnx/oriented-boxes.onnx", "refused: another task", refused("task 'obb', but a detection model is wanted")),
    Case("onnx/classifier.onnx", "refused: another task", refused("task 'classify', but a detection model is wanted")),
)
