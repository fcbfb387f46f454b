"""Whether two detectors see the same in the same pictures: the condition for trusting a new engine.

Knows detections. Knows nothing of what ran. Boxes must overlap by an IoU of 0.9, and scores lie
within 0.05.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Detection
from edge_agent.policy.tracker import iou

LEAST_IOU = 0.9
MOST_SCORE = 0.05

Picture = NDArray[np.uint8]
Look = Callable[[Picture], tuple[Detection, ...]]


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


def compare(reference: Look, candidate: Look, pictures: Sequence[Picture], threshold: float) -> Agreement:
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
