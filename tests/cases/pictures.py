"""JPEG files with bytes behind their end."""

from pathlib import Path

from edge_agent.mlops.coco import read_picture_bytes
from edge_agent.perception.batch import detect_in
from edge_agent.perception.detector import OnnxDetector, shipped_model
from edge_agent.runtime import resources
from tests.cases.case import Case


def whole(file: Path) -> None:
    """Check that detect, and what reads for import, train and evaluate, take it as the picture that it is."""
    assert read_picture_bytes(file) == file.read_bytes()
    detector = OnnxDetector(shipped_model(resources.engines_dir(), "uint8"))
    (result,) = detect_in(detector, file)
    assert [one.label for one in result.detections] == ["stop"], result.detections


CASES = tuple(
    Case(f"jpeg/{name}.jpg", "a picture with a stop sign, everywhere", whole)
    for name in ("plain", "phone-trailer", "padded")
)
