"""Opens an engine and has it prove itself: it must see what ONNX Runtime sees in the sample pictures.

Knows both detectors and the condition. Knows nothing of cameras or of the train. Call everything in the one thread that
will run the engine.
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
from edge_agent.perception.tracking import iou
from edge_agent.runtime import resources

LEAST_IOU = 0.9
MOST_SCORE = 0.05

Image = NDArray[np.uint8]
Detect = Callable[[Image], tuple[Detection, ...]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two detectors agree over all pictures; `trouble` says why they do not, and is empty where they do.

    `worst_iou` and `worst_score` are those of the pairs found; 1 and 0 where there was none.
    """

    pictures: int
    pairs: int
    worst_iou: float
    worst_score: float
    trouble: str = ""


def compare(reference: Detect, candidate: Detect, pictures: Sequence[Image], threshold: float) -> Agreement:
    """Compare what both find; `threshold` is the one that both use.

    A detection that one of them has and the other has not is a disagreement, unless its score is so near to the
    threshold that the other may rightly have dropped it.
    """
    pairs, worst_iou, worst_score = 0, 1.0, 0.0
    for number, picture in enumerate(pictures):
        expected, found = reference(picture), list(candidate(picture))
        for wanted in expected:
            partner = max(found, key=lambda other: _likeness(wanted, other), default=None)
            if partner is None or _likeness(wanted, partner) < LEAST_IOU / 2:
                if wanted.score >= threshold + MOST_SCORE:
                    trouble = f"picture {number}: it does not see the {_words(wanted)}"
                    return Agreement(number + 1, pairs, worst_iou, worst_score, trouble)
                continue
            found.remove(partner)
            pairs += 1
            overlap, score = iou(wanted.box, partner.box), abs(wanted.score - partner.score)
            worst_iou, worst_score = min(worst_iou, overlap), max(worst_score, score)
            if overlap < LEAST_IOU or score > MOST_SCORE:
                trouble = f"picture {number}: the {_words(wanted)} is off by IoU {overlap:.2f}, score {score:.2f}"
                return Agreement(number + 1, pairs, worst_iou, worst_score, trouble)
        for extra in found:
            if extra.score >= threshold + MOST_SCORE:
                trouble = f"picture {number}: it sees a {_words(extra)} that is not there"
                return Agreement(number + 1, pairs, worst_iou, worst_score, trouble)
    return Agreement(len(pictures), pairs, worst_iou, worst_score)


def _likeness(one: Detection, other: Detection) -> float:
    return iou(one.box, other.box) if one.label == other.label else 0.0


def _words(detection: Detection) -> str:
    return f"{detection.label} of score {detection.score:.2f}"


_LOWER = (0.2, 0.02)


class DisagreementError(FatalError):
    """The engine loads and runs, but does not see what ONNX Runtime sees."""


def open_verified(
    engine: Path,
    model: Path,
    bindings: Bindings,
    reading: PostprocessOptions,
    pictures: Sequence[NDArray[np.uint8]],
) -> tuple[TensorRtDetector, Agreement]:
    """Open the engine and compare it with `model`, the float32 ONNX file, on ONNX Runtime.

    Raises DisagreementError when they do not agree, and what TensorRtDetector raises.
    """
    try:
        detector = TensorRtDetector(engine, bindings, reading)
    except (EngineError, DamagedEngineError):
        raise
    except FatalError as error:  # it runs, and answers with what is no number
        raise _refused(engine.name, error.message) from error
    try:
        return detector, verify(detector, model, pictures)
    except BaseException:
        detector.close()
        raise


def verify(detector: TensorRtDetector, model: Path, pictures: Sequence[NDArray[np.uint8]]) -> Agreement:
    """Return how far the two agree; raises DisagreementError where they do not."""
    head = detector.head
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
        raise _refused(detector.info.model, error.message) from error
    finally:
        reference.close()
        detector.head = head
    if agreement.trouble:
        raise _refused(detector.info.model, agreement.trouble)
    return agreement


def _compare(reference: OnnxDetector, detector: TensorRtDetector, pictures: Sequence[NDArray[np.uint8]]) -> Agreement:
    """Compare at the threshold that is used; where nothing reaches it, at lower ones: silence proves nothing."""
    agreement = Agreement(0, 0, 1.0, 0.0)
    for threshold in (detector.head.threshold, *_LOWER):
        detector.head = replace(detector.head, threshold=threshold)
        reference.head = replace(reference.head, threshold=threshold)
        agreement = compare(reference.infer, detector.infer, pictures, threshold)
        if agreement.pairs or agreement.trouble:
            return agreement
    return replace(
        agreement, trouble="neither sees anything in the pictures, put some into `samples/` beside the model"
    )


def _refused(name: str, why: str) -> DisagreementError:
    return DisagreementError(
        f"the engine of {name} disagrees with ONNX Runtime: {why}", remedy="build it anew, or choose another precision"
    )


_SUFFIXES = (".jpg", ".jpeg", ".png")


def sample_pictures(model: Path | None = None, folder: Path | None = None) -> list[NDArray[np.uint8]]:
    """Read all pictures of `folder`, or those for `model`; raises ConfigError where there are none."""
    beside = model.parent / "samples" if model is not None else None
    if folder is None:
        folder = beside if beside is not None and beside.is_dir() else resources.engines_dir() / "samples"
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    read = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths)
    pictures = [np.asarray(picture, np.uint8) for picture in read if picture is not None]
    if not pictures:
        raise ConfigError(f"{folder}: holds no pictures to compare engines on", remedy="name a folder with .jpg files")
    return pictures
