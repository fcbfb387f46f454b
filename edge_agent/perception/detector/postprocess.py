"""Recognise the outputs of a YOLO-family network once and decode them into detections; shared by all backends."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError
from edge_agent.events import Detection
from edge_agent.perception import vision
from edge_agent.runtime.files import read_file

DEFAULT_THRESHOLD = 0.5
DEFAULT_SIDE = 640
MIN_SIDE = 32
MAX_SIDE = 8192
MAX_MODEL_BYTES = 512 << 20
"""Several times the largest detector; more is a wrong path, to a video for instance."""
# A fraction may be a little above 1; no box that counts is this small in pixels.
_LARGEST_FRACTION = 2


@dataclass(frozen=True, slots=True)
class OutputDecoder:
    """Turns the outputs of one network into detections."""

    spec: vision.OutputSpec
    labels: tuple[str, ...]
    threshold: float
    iou: float
    max_detections: int

    def decode(
        self, outputs: Sequence[NDArray[Any]], placement: vision.Placement, image: NDArray[Any]
    ) -> tuple[Detection, ...]:
        """Return the detections in `image`, (height, width, 3), which lies at `placement` in the network's input.

        Boxes are in pixels of the image. Raises FatalError when an output is not a finite number.
        """
        found = vision.suppress(vision.decode(outputs, self.spec, self.threshold), self.iou, self.max_detections)
        return vision.to_detections(found, placement, image.shape[1], image.shape[0], self.labels)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is known of a network before it has run: path, labels, input size in pixels, and its layout if declared."""

    model: str
    labels: tuple[str, ...]
    width: int
    height: int
    layout: vision.OutputLayout | None = None


def recognise_outputs(outputs: Sequence[Any], description: ModelDescription, threshold: float) -> vision.OutputSpec:
    """Recognise the outputs of an actual run; raises ConfigError naming the model when no known layout fits."""
    shapes = [tuple(np.shape(output)) if _is_numbers(output) else () for output in outputs]
    spec = vision.recognise(shapes, len(description.labels), description.width, description.height, description.layout)
    if spec is None:
        listed = ", ".join(str(list(shape)) for shape in shapes)
        raise ConfigError(
            f"{description.model}: output {listed} has no known layout for {len(description.labels)} class names",
            remedy="export a detection model of the YOLO family, with its names in class order",
        )
    found = vision.decode(outputs, spec, threshold)
    if spec.layout in vision.DENSE:
        _check_units(outputs[spec.indices[0]], spec, description.model)
    else:
        _check_boxes(found.boxes if found.scores.size else vision.decode(outputs, spec, 0.0).boxes, description.model)
    return spec


_DETECTION_TASKS = frozenset({"", "detect", "detection", "object-detection", "object_detection"})


def check_task(task: str, model: str) -> None:
    """Raise ConfigError for a model whose metadata says that it is one for another task than detection."""
    if task.strip().lower() not in _DETECTION_TASKS:
        raise ConfigError(
            f"{model}: it is a model for the task {task!r}, but a detection model is wanted",
            remedy="export a detection model of the YOLO family (task `detect`)",
        )


def _is_numbers(output: object) -> bool:
    """Return whether an output is a numeric tensor; an ONNX model may also output text, lists and mappings."""
    return isinstance(output, np.ndarray) and output.dtype.kind in "fiu"


def _check_units(output: NDArray[Any], spec: vision.OutputSpec, model: str) -> None:
    """Raise ConfigError for a dense output whose boxes are not in pixels or whose scores are not from 0 to 1."""
    # YOLOX exports raw grid offsets by default, and some exports omit the last sigmoid.
    channels_first = spec.layout in {vision.OutputLayout.CHANNELS_FIRST, vision.OutputLayout.OBJECTNESS_FIRST}
    channels = output[0] if channels_first else output[0].T
    boxes, scores = channels[:4], channels[4:]
    _check_boxes(boxes, model)
    if scores.min() < -0.01 or scores.max() > 1.01:
        raise ConfigError(
            f"{model}: its scores are not from 0 to 1 (the last sigmoid is missing)",
            remedy="export the model with its outputs decoded",
        )


def _check_boxes(boxes: NDArray[Any], model: str) -> None:
    """Raise ConfigError for boxes that are not in pixels; those of an empty picture may all be zero."""
    if boxes.size and 0 < boxes.max() <= _LARGEST_FRACTION:
        raise ConfigError(
            f"{model}: its boxes are not in pixels of the input (a raw grid, or fractions)",
            remedy="export the model with its outputs decoded, in pixels",
        )


def parse_size(text: str) -> tuple[int, int]:
    """Parse `imgsz`, "[height, width]" as some exporters store it; 640 x 640 where it is absent or implausible."""
    parts = [part.strip() for part in text.strip("[]() ").split(",")]
    sides = tuple(int(part) for part in parts if part.isdecimal() and len(part) <= 4)
    if len(parts) == len(sides) == 2 and min(sides) >= MIN_SIDE:
        return sides[0], sides[1]
    return DEFAULT_SIDE, DEFAULT_SIDE


def read_model(model: Path) -> bytes:
    """Read a model file; raises ConfigError when it cannot be read or is empty."""
    # As a whole: the bytes that are hashed are then those that are loaded.
    try:
        content = read_file(model, MAX_MODEL_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{model}: the model cannot be read ({error.strerror})",
            remedy="set detector.model to an ONNX file, or remove it to use the shipped detector",
        ) from error
    if not content:
        raise ConfigError(f"{model}: the model is an empty file", remedy="copy or export it again")
    if len(content) > MAX_MODEL_BYTES:
        raise ConfigError(f"{model}: has more than {MAX_MODEL_BYTES >> 20} MiB", remedy="name an ONNX file")
    return content
