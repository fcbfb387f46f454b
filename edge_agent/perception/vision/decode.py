"""Reads the outputs of a YOLO-family network: candidates above a threshold, overlaps removed, back in the picture.

Knows arrays and box arithmetic. Knows nothing of backends, files or what a label means. Every function here raises
FatalError when an output is not a finite number: a broken network must not drive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import FatalError
from edge_agent.events import Box, Detection
from edge_agent.perception.vision.layout import OutputLayout, OutputSpec
from edge_agent.perception.vision.letterbox import Placement

_MOST_CANDIDATES = 300
"""The best this many boxes go into NMS; its cost grows with the square, and no picture here holds more signs."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """k boxes (k, 4) float32 as x1, y1, x2, y2 in pixels of the network's input; scores (k,) 0..1; class ids (k,)."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.intp]

    def take(self, which: NDArray[Any]) -> "Candidates":
        """Return those that `which` (indices or booleans) selects, in its order."""
        return Candidates(self.boxes[which], self.scores[which], self.classes[which])


def decode(outputs: Sequence[NDArray[Any]], spec: OutputSpec, threshold: float) -> Candidates:
    """Return what scores at least `threshold`; boxes still overlap where no NMS is inside."""
    chosen = [outputs[index] for index in spec.indices]
    match spec.layout:
        case OutputLayout.EFFICIENT_NMS:
            found = _four_outputs(chosen)
        case OutputLayout.END_TO_END:
            rows = _finite(chosen[0].reshape(-1, 6))
            found = Candidates(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp))
        case OutputLayout.END_TO_END_BATCH:
            rows = _finite(chosen[0].reshape(-1, 7))
            rows = rows[rows[:, 0] == 0]
            found = Candidates(rows[:, 1:5], rows[:, 6], rows[:, 5].astype(np.intp))
        case _:
            return _dense(chosen[0][0], spec.layout, threshold)
    return found.take(found.scores >= threshold)


def _finite(values: NDArray[Any]) -> Floats:
    """Return `values` as float32, or raise FatalError when one of them is NaN or infinite."""
    if not np.isfinite(values).all():
        raise FatalError(
            "the network's output holds NaN or infinity", remedy="the model is broken: export or train it again"
        )
    return np.asarray(values, np.float32)


def _four_outputs(outputs: Sequence[NDArray[Any]]) -> Candidates:
    count, boxes, scores, classes = outputs
    kept = max(0, int(_finite(count).reshape(-1)[0]))
    return Candidates(_finite(boxes)[0, :kept], _finite(scores)[0, :kept], _finite(classes)[0, :kept].astype(np.intp))


def _dense(output: NDArray[Any], layout: OutputLayout, threshold: float) -> Candidates:
    """Read a dense head, best class first: only rows whose best class passes are looked at further."""
    if layout in {OutputLayout.CHANNELS_LAST, OutputLayout.OBJECTNESS_LAST}:
        return _dense_rows(output, layout, threshold)
    channels = _finite(output)
    if layout is OutputLayout.OBJECTNESS_FIRST:
        passing = np.flatnonzero(channels[4] >= threshold)
        return _pick(channels[:4, passing], channels[5:, passing] * channels[4, passing], threshold)
    passing = np.flatnonzero(channels[4:].max(axis=0) >= threshold)
    return _pick(channels[:4, passing], channels[4:, passing], threshold)


def _dense_rows(output: NDArray[Any], layout: OutputLayout, threshold: float) -> Candidates:
    rows = _finite(output)
    if layout is OutputLayout.OBJECTNESS_LAST:
        rows = rows[rows[:, 4] >= threshold]
        return _pick(rows[:, :4].T, (rows[:, 5:] * rows[:, 4:5]).T, threshold)
    # A maximum along the short last axis is slow; comparing everything, boxes too, and dropping their hits is not.
    passes = rows >= threshold
    passes[:, :4] = False
    rows = rows[np.unique(np.flatnonzero(passes) // rows.shape[1])]
    return _pick(rows[:, :4].T, rows[:, 4:].T, threshold)


def _pick(boxes: NDArray[Any], scores: NDArray[Any], threshold: float) -> Candidates:
    """Take (4, k) centre boxes and (nc, k) class scores; return the best candidates as corner boxes."""
    classes = scores.argmax(axis=0) if scores.size else np.zeros(0, np.intp)
    best = scores[classes, np.arange(classes.size)]
    order = np.flatnonzero(best >= threshold)
    order = order[np.argsort(-best[order], kind="stable")[:_MOST_CANDIDATES]]
    centre_x, centre_y, width, height = boxes[:, order]
    corners = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
    return Candidates(np.stack(corners, axis=1), best[order], classes[order])


def suppress(found: Candidates, iou: float, most: int) -> Candidates:
    """Keep the best box of each heap that overlaps by more than `iou`, whatever the classes; at most `most` boxes.

    One sign must not count twice because two classes are likely; an NMS inside the network often allows just that.
    """
    if found.scores.size > 1:
        sized = found.boxes.copy()
        sized[:, 2:] -= sized[:, :2]
        keep = np.asarray(cv2.dnn.NMSBoxes(sized, found.scores, 0.0, iou), np.intp).reshape(-1)  # type: ignore[arg-type]
        found = found.take(keep)
    return found.take(np.argsort(-found.scores, kind="stable")[:most])


def to_detections(
    found: Candidates, placement: Placement, width: int, height: int, labels: Sequence[str]
) -> tuple[Detection, ...]:
    """Map boxes back into the `width` x `height` picture and clip them; drop what lies outside or has no area."""
    boxes = found.boxes - np.array([placement.left, placement.top] * 2, np.float32)
    boxes /= np.array([placement.scale_x, placement.scale_y] * 2, np.float32)
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    return tuple(
        Detection(_label(labels, class_id), score, Box(*box))
        for box, score, class_id in zip(boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
        if box[2] > box[0] and box[3] > box[1]
    )


def _label(labels: Sequence[str], class_id: int) -> str:
    if 0 <= class_id < len(labels):
        return labels[class_id]
    raise FatalError(
        f"the network answered class {class_id} but has {len(labels)} names", remedy="give all names in the manifest"
    )
