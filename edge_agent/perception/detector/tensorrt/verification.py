"""Verify an engine before it may drive: on sample pictures its detections must agree with those of ONNX Runtime.

Call everything in the thread that will run the engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Detection
from edge_agent.perception.detector.onnx import OnnxDetector
from edge_agent.perception.detector.tensorrt.bindings import Bindings
from edge_agent.perception.detector.tensorrt.detector import PostprocessOptions, TensorRtDetector
from edge_agent.perception.detector.tensorrt.engine_file import DamagedEngineError
from edge_agent.perception.detector.tensorrt.session import EngineError
from edge_agent.runtime import resources

MIN_IOU = 0.9
MAX_SCORE_DIFFERENCE = 0.05

Image = NDArray[np.uint8]
Detect = Callable[[Image], tuple[Detection, ...]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two detectors agree over all pictures; `problem` says where they do not, and is empty where they do.

    `worst_iou` and `worst_score`, the largest difference of scores, are those of the pairs; 1 and 0 without pairs.
    """

    pictures: int
    pairs: int
    worst_iou: float
    worst_score: float
    problem: str = ""


def compare(reference: Detect, candidate: Detect, pictures: Sequence[Image], threshold: float) -> Agreement:
    """Compare the detections of both, which must use the same `threshold`.

    A detection that only one of them has is a disagreement, unless its score is so close to the threshold that the
    other may rightly have dropped it.
    """
    pairs, worst_iou, worst_score = 0, 1.0, 0.0
    for number, picture in enumerate(pictures):
        expected, found = reference(picture), list(candidate(picture))
        for wanted in expected:
            partner = max(found, key=lambda other: _similarity(wanted, other), default=None)
            if partner is None or _similarity(wanted, partner) < MIN_IOU / 2:
                if wanted.score >= threshold + MAX_SCORE_DIFFERENCE:
                    problem = f"picture {number}: it misses the {_described(wanted)}"
                    return Agreement(number + 1, pairs, worst_iou, worst_score, problem)
                continue
            found.remove(partner)
            pairs += 1
            overlap, score = wanted.box.iou(partner.box), abs(wanted.score - partner.score)
            worst_iou, worst_score = min(worst_iou, overlap), max(worst_score, score)
            if overlap < MIN_IOU or score > MAX_SCORE_DIFFERENCE:
                problem = f"picture {number}: the {_described(wanted)} is off by IoU {overlap:.2f}, score {score:.2f}"
                return Agreement(number + 1, pairs, worst_iou, worst_score, problem)
        for extra in found:
            if extra.score >= threshold + MAX_SCORE_DIFFERENCE:
                problem = f"picture {number}: it detects an extra {_described(extra)}"
                return Agreement(number + 1, pairs, worst_iou, worst_score, problem)
    return Agreement(len(pictures), pairs, worst_iou, worst_score)


def _similarity(one: Detection, other: Detection) -> float:
    return one.box.iou(other.box) if one.label == other.label else 0.0


def _described(detection: Detection) -> str:
    return f"{detection.label} of score {detection.score:.2f}"


# Thresholds to try when nothing reaches the one in use: two empty results prove nothing.
_LOWER_THRESHOLDS = (0.2, 0.02)


class DisagreementError(FatalError):
    """The engine loads and runs, but its detections differ from those of ONNX Runtime."""


def open_verified(
    engine: Path, model: Path, bindings: Bindings, options: PostprocessOptions, pictures: Sequence[NDArray[np.uint8]]
) -> tuple[TensorRtDetector, Agreement]:
    """Open the engine and compare it with `model`, the float32 ONNX file, on ONNX Runtime.

    Raises DisagreementError when they do not agree, and whatever TensorRtDetector raises.
    """
    try:
        detector = TensorRtDetector(engine, bindings, options)
    except (EngineError, DamagedEngineError):
        raise
    except FatalError as error:  # it runs, but its output is not finite
        raise _disagreement(engine.name, error.message) from error
    try:
        return detector, verify(detector, model, pictures)
    except BaseException:
        detector.close()
        raise


def verify(detector: TensorRtDetector, model: Path, pictures: Sequence[NDArray[np.uint8]]) -> Agreement:
    """Return how well an open engine agrees with `model` on ONNX Runtime; raises DisagreementError when it does not."""
    head = detector.decoder
    reference = OnnxDetector(
        model, threshold=head.threshold, iou=head.iou, threads=1, max_detections=head.max_detections
    )
    try:
        if reference.info.labels != detector.info.labels:
            raise DisagreementError(
                f"{detector.info.model} has other class names than {model.name}", remedy="build it from this model"
            )
        agreement = _compare(reference, detector, pictures)
    except EngineError:
        raise
    except FatalError as error:
        raise _disagreement(detector.info.model, error.message) from error
    finally:
        reference.close()
        detector.decoder = head
    if agreement.problem:
        raise _disagreement(detector.info.model, agreement.problem)
    return agreement


def _compare(reference: OnnxDetector, detector: TensorRtDetector, pictures: Sequence[NDArray[np.uint8]]) -> Agreement:
    """Compare at the threshold in use, and at lower ones where nothing reaches it."""
    agreement = Agreement(0, 0, 1.0, 0.0)
    for threshold in (detector.decoder.threshold, *_LOWER_THRESHOLDS):
        detector.decoder = replace(detector.decoder, threshold=threshold)
        reference.decoder = replace(reference.decoder, threshold=threshold)
        agreement = compare(reference.infer, detector.infer, pictures, threshold)
        if agreement.pairs or agreement.problem:
            return agreement
    return replace(
        agreement, problem="neither detects anything in the pictures; put others into `samples/` beside the model"
    )


def _disagreement(name: str, why: str) -> DisagreementError:
    return DisagreementError(
        f"the engine of {name} disagrees with ONNX Runtime: {why}", remedy="rebuild it, or choose another precision"
    )


def sample_pictures(model: Path | None = None, folder: Path | None = None) -> list[NDArray[np.uint8]]:
    """Read the pictures of `folder`, else those in `samples` beside `model`, else the shipped ones.

    Returns (height, width, 3) uint8 BGR pictures; raises ConfigError where there are none.
    """
    beside = model.parent / "samples" if model is not None else None
    if folder is None:
        folder = beside if beside is not None and beside.is_dir() else resources.engines_dir() / "samples"
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    read = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths)
    pictures = [np.asarray(picture, np.uint8) for picture in read if picture is not None]
    if not pictures:
        raise ConfigError(
            f"{folder}: contains no pictures to compare engines on", remedy="name a folder with .jpg files"
        )
    return pictures
