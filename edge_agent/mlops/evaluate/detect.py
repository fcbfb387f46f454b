"""Running a detector over annotated pictures.

Knows the Detector port. Knows nothing of backends or figures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError
from edge_agent.mlops.evaluate.truth import GroundTruth
from edge_agent.ports import Detector


@dataclass(frozen=True, slots=True, eq=False)
class PictureDetections:
    """What a detector saw in one picture, best first.

    Boxes (K, 4) left, top, right, bottom in pixels, scores (K,), classes (K,) of the annotation, the detector's labels.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]
    labels: tuple[str, ...]


def run_detector(
    detector: Detector, truth: GroundTruth, tick: Callable[[], None] = lambda: None
) -> list[PictureDetections]:
    """Run the detector on every picture (turned as its EXIF says); labels that fold into no class are left out.

    Raises ConfigError naming a picture that cannot be read.
    """
    finds = []
    for scene in truth.scenes:
        image = cv2.imread(str(scene.path), cv2.IMREAD_COLOR)
        if image is None:
            raise ConfigError(f"{scene.path} is not a readable picture", remedy="remove it or save it again")
        seen = [one for one in detector.infer(np.asarray(image, np.uint8)) if one.label in truth.folds]
        boxes = [[one.box.x1, one.box.y1, one.box.x2, one.box.y2] for one in seen]
        finds.append(
            PictureDetections(
                np.array(boxes, np.float64).reshape(-1, 4),
                np.array([one.score for one in seen], np.float64),
                np.array([truth.folds[one.label] for one in seen], np.int64),
                tuple(one.label for one in seen),
            )
        )
        tick()
    return finds
