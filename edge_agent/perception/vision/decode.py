"""Decode the outputs of a YOLO-family network: recognise the layout, threshold, suppress overlaps, map to the picture.

Decoding raises FatalError when an output is not a finite number: a broken network must not drive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import FatalError
from edge_agent.events import Box, Detection
from edge_agent.perception.vision.letterbox import Placement

Shape = tuple[int, ...]


class OutputLayout(StrEnum):
    """Layout of an output; nc is the number of classes, N the number of cells (times anchors).

    Boxes are in pixels of the network's input: centre and size in the dense layouts, corners where NMS is inside.
    """

    CHANNELS_FIRST = "channels_first"  # [1, 4 + nc, N]: YOLOv8, YOLO11
    CHANNELS_LAST = "channels_last"  # [1, N, 4 + nc]
    OBJECTNESS_FIRST = "objectness_first"  # [1, 5 + nc, N]
    OBJECTNESS_LAST = "objectness_last"  # [1, N, 5 + nc]: YOLOv5, YOLOv7
    END_TO_END = "end_to_end"  # [1, K, 6] x1, y1, x2, y2, score, class: YOLOv10, YOLO26
    END_TO_END_BATCH = "end_to_end_batch"  # [K, 7] batch, x1, y1, x2, y2, class, score: YOLOv7
    EFFICIENT_NMS = "efficient_nms"  # four outputs: count, boxes, scores, classes


DENSE = frozenset(
    {
        OutputLayout.CHANNELS_FIRST,
        OutputLayout.CHANNELS_LAST,
        OutputLayout.OBJECTNESS_FIRST,
        OutputLayout.OBJECTNESS_LAST,
    }
)
"""Layouts that need a threshold and NMS over all cells."""

_STRIDES = ((8, 16), (8, 16, 32), (16, 32), (4, 8, 16), (4, 8, 16, 32), (8, 16, 32, 64))

_LAYOUT_OF_COLUMNS = {6: OutputLayout.END_TO_END, 7: OutputLayout.END_TO_END_BATCH}


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """A recognised layout, and the indices of the outputs that have it, in the order that `decode` expects."""

    layout: OutputLayout
    indices: tuple[int, ...]


def recognise(
    shapes: Sequence[Shape], classes: int, input_width: int, input_height: int, wanted: OutputLayout | None = None
) -> OutputSpec | None:
    """Return the layout that outputs of these shapes have in a network with `classes` names; None when none fits.

    Shapes are those of an actual run, without dynamic axes. `wanted` decides where several layouts fit.
    """
    grids = _grid_sizes(input_width, input_height)
    efficient = _efficient_nms(shapes)
    specs = [OutputSpec(OutputLayout.EFFICIENT_NMS, efficient)] if efficient else []
    for index, shape in enumerate(shapes):
        specs += [OutputSpec(layout, (index,)) for layout in _single_output(shape, classes, grids)]
    return next((spec for spec in specs if wanted in {None, spec.layout}), None)


def _single_output(shape: Shape, classes: int, grids: frozenset[int]) -> list[OutputLayout]:
    """List the layouts that one output may have, likeliest first."""
    # Six columns are NMS inside the network, unless the rows are just the cells of a dense head.
    if len(shape) == 2:
        return [layout for columns, layout in _LAYOUT_OF_COLUMNS.items() if columns == shape[1]]
    if len(shape) != 3 or shape[0] != 1:
        return []
    _, rows, columns = shape
    dense = _dense_layouts(rows, columns, classes)
    # More rows than this are never the result of an NMS inside the network.
    if columns != 6 or rows > 1000:
        return dense
    return [*dense, OutputLayout.END_TO_END] if rows in grids else [OutputLayout.END_TO_END, *dense]


def _dense_layouts(rows: int, columns: int, classes: int) -> list[OutputLayout]:
    """List the dense layouts that fit; the longer axis is more likely to be the cells."""
    specs = (
        (columns, rows, 4, OutputLayout.CHANNELS_FIRST),
        (rows, columns, 4, OutputLayout.CHANNELS_LAST),
        (columns, rows, 5, OutputLayout.OBJECTNESS_FIRST),
        (rows, columns, 5, OutputLayout.OBJECTNESS_LAST),
    )
    fits = [(places, layout) for places, channels, extra, layout in specs if channels == classes + extra]
    return [layout for _, layout in sorted(fits, key=lambda fit: -fit[0])]


def _efficient_nms(shapes: Sequence[Shape]) -> tuple[int, ...] | None:
    """Return the indices of count [1, 1] or [1], boxes [1, K, 4], scores [1, K] and classes [1, K], if all exist."""
    if len(shapes) != 4:
        return None
    boxes = [index for index, shape in enumerate(shapes) if len(shape) == 3 and shape[0] == 1 and shape[2] == 4]
    if len(boxes) != 1:
        return None
    kept = shapes[boxes[0]][1]
    flat = [index for index, shape in enumerate(shapes) if shape == (1, kept)]
    count = [index for index, shape in enumerate(shapes) if shape in {(1, 1), (1,)}]
    rest = [index for index in flat if index not in count[:1]]
    return (count[0], boxes[0], rest[0], rest[1]) if count and len(rest) == 2 else None


def _grid_sizes(width: int, height: int) -> frozenset[int]:
    """Return the numbers of cells that dense heads have for this input size, with one or three anchors per cell."""
    totals = {sum((width // stride) * (height // stride) for stride in strides) for strides in _STRIDES}
    return frozenset(total * anchors for total in totals for anchors in (1, 3))


Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """k boxes (k, 4) float32 as x1, y1, x2, y2 in pixels of the network's input; scores (k,) 0..1; class ids (k,)."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.intp]

    def take(self, which: NDArray[Any]) -> "Candidates":
        """Return the candidates that `which` (indices or booleans) selects, in its order."""
        return Candidates(self.boxes[which], self.scores[which], self.classes[which])


def decode(outputs: Sequence[NDArray[Any]], spec: OutputSpec, threshold: float) -> Candidates:
    """Return the candidates with a score of at least `threshold`; they overlap unless NMS is inside the network."""
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
    """Decode a dense output; only cells whose best class passes the threshold are processed further."""
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
    # A maximum along the short last axis is slow; comparing everything, boxes too, and discarding their hits is not.
    passes = rows >= threshold
    passes[:, :4] = False
    rows = rows[np.unique(np.flatnonzero(passes) // rows.shape[1])]
    return _pick(rows[:, :4].T, rows[:, 4:].T, threshold)


def _pick(boxes: NDArray[Any], scores: NDArray[Any], threshold: float) -> Candidates:
    """Return the best of (4, k) centre boxes with (nc, k) class scores, as corner boxes."""
    classes = scores.argmax(axis=0) if scores.size else np.zeros(0, np.intp)
    best = scores[classes, np.arange(classes.size)]
    order = np.flatnonzero(best >= threshold)
    # NMS takes the best boxes only: its cost grows with the square of their number, and no picture here holds more
    # signs.
    order = order[np.argsort(-best[order], kind="stable")[:300]]
    centre_x, centre_y, width, height = boxes[:, order]
    corners = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
    return Candidates(np.stack(corners, axis=1), best[order], classes[order])


def suppress(found: Candidates, iou: float, most: int) -> Candidates:
    """Suppress boxes that overlap a better one by more than `iou`, whatever the classes; return at most `most`."""
    # Across classes: a sign must not count twice because two classes are likely, as an NMS inside the network allows.
    if found.scores.size > 1:
        sized = found.boxes.copy()
        sized[:, 2:] -= sized[:, :2]
        keep = np.asarray(cv2.dnn.NMSBoxes(sized, found.scores, 0.0, iou), np.intp).reshape(-1)  # type: ignore[arg-type]
        found = found.take(keep)
    return found.take(np.argsort(-found.scores, kind="stable")[:most])


def to_detections(
    found: Candidates, placement: Placement, width: int, height: int, labels: Sequence[str]
) -> tuple[Detection, ...]:
    """Map boxes into the `width` x `height` picture and clip them; drop those outside it or without area."""
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
        f"the network returned class {class_id} but has {len(labels)} names", remedy="list all names in the manifest"
    )
