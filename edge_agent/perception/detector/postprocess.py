"""Reads what a network answers, the same for every backend: learns the form of the outputs once, then decodes them.

Knows class names, thresholds and the forms of vision.Layout. Knows nothing of what runs the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError
from edge_agent.events import Detection
from edge_agent.perception.vision import (
    DENSE,
    OutputLayout,
    OutputSpec,
    Placement,
    decode,
    recognise,
    suppress,
    to_detections,
)

DEFAULT_THRESHOLD = 0.5
DEFAULT_SIDE = 640
LEAST_SIDE = 32


@dataclass(frozen=True, slots=True)
class OutputDecoder:
    """How the outputs of one network become detections."""

    spec: OutputSpec
    labels: tuple[str, ...]
    threshold: float
    iou: float
    max_detections: int

    def read(self, outputs: Sequence[NDArray[Any]], placement: Placement, image: NDArray[Any]) -> tuple[Detection, ...]:
        """Return what the outputs say of `image`, (height, width, 3), which lies at `placement` in the input.

        Raises FatalError when an output is not a finite number.
        """
        found = suppress(decode(outputs, self.spec, self.threshold), self.iou, self.max_detections)
        return to_detections(found, placement, image.shape[1], image.shape[0], self.labels)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a network is said to be, before it has run once."""

    model: str
    labels: tuple[str, ...]
    width: int
    height: int
    layout: OutputLayout | None = None


def make_decoder(outputs: Sequence[Any], form: ModelDescription, threshold: float) -> OutputSpec:
    """Say what the outputs of a real run mean; raises ConfigError naming the model when no form fits."""
    shapes = [tuple(np.shape(output)) if _is_numbers(output) else () for output in outputs]
    spec = recognise(shapes, len(form.labels), form.width, form.height, form.layout)
    if spec is None:
        told = ", ".join(str(list(shape)) for shape in shapes)
        raise ConfigError(
            f"{form.model}: output {told} is no known form for {len(form.labels)} class names",
            remedy="export a detection model of the YOLO family, with its names in class order",
        )
    decode(outputs, spec, threshold)
    if spec.layout in DENSE:
        _check_units(outputs[spec.indices[0]], spec, form.model)
    return spec


def _is_numbers(output: object) -> bool:
    """Tell tensors of numbers from the text, lists and mappings that an ONNX model may also answer with."""
    return isinstance(output, np.ndarray) and output.dtype.kind in "fiu"


def _check_units(output: NDArray[Any], spec: OutputSpec, model: str) -> None:
    """Refuse a dense head that has the right shape but other numbers: boxes not in pixels, scores not from 0 to 1.

    So does YOLOX as it is exported by default (raw grid offsets), and any model without its last sigmoid.
    """
    channels_first = spec.layout in {OutputLayout.CHANNELS_FIRST, OutputLayout.OBJECTNESS_FIRST}
    channels = output[0] if channels_first else output[0].T
    boxes, scores = channels[:4], channels[4:]
    if 0 < boxes.max() <= 2:
        fault = "its boxes are not in pixels of the input (a raw grid, or fractions)"
    elif scores.min() < -0.01 or scores.max() > 1.01:
        fault = "its scores are not from 0 to 1 (the last sigmoid is missing)"
    else:
        return
    raise ConfigError(f"{model}: {fault}", remedy="export the model with its outputs decoded")


def parse_size(text: str) -> tuple[int, int]:
    """Read `imgsz`, "[height, width]" as some exporters store it; 640 x 640 where it is absent or makes no sense."""
    parts = [part.strip() for part in text.strip("[]() ").split(",")]
    sides = tuple(int(part) for part in parts if part.isdecimal() and len(part) <= 4)
    if len(parts) == len(sides) == 2 and min(sides) >= LEAST_SIDE:
        return sides[0], sides[1]
    return DEFAULT_SIDE, DEFAULT_SIDE


def read_model(model: Path) -> bytes:
    """Read the whole file: what is hashed is then exactly what is loaded; raises ConfigError where it cannot."""
    try:
        content = model.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{model}: the model cannot be read ({error.strerror})",
            remedy="set detector.model to an ONNX file, or leave it out for the detector that ships",
        ) from error
    if not content:
        raise ConfigError(f"{model}: the model is an empty file", remedy="copy or export it again")
    return content
