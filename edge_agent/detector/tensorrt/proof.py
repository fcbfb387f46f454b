"""Opens an engine and has it prove itself: it must see what ONNX Runtime sees in the sample pictures.

Knows both detectors and the condition. Knows nothing of cameras or of the train. Call everything in the one thread that
will run the engine.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.detector.onnx import OnnxDetector
from edge_agent.detector.tensorrt.agreement import Agreement, compare
from edge_agent.detector.tensorrt.bindings import Bindings
from edge_agent.detector.tensorrt.detector import Reading, TensorRtDetector
from edge_agent.detector.tensorrt.engine_file import DamagedEngineError
from edge_agent.detector.tensorrt.session import EngineError
from edge_agent.errors import FatalError

_LOWER = (0.2, 0.02)


class DisagreementError(FatalError):
    """The engine loads and runs, but does not see what ONNX Runtime sees."""


def open_proven(
    engine: Path,
    model: Path,
    bindings: Bindings,
    reading: Reading,
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
        return detector, prove(detector, model, pictures)
    except BaseException:
        detector.close()
        raise


def prove(detector: TensorRtDetector, model: Path, pictures: Sequence[NDArray[np.uint8]]) -> Agreement:
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
