"""Recognises what the outputs of a YOLO-family network mean, from their shapes and the number of class names.

Knows the forms in use and how to tell them apart. Knows nothing of backends or of the values inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Shape = tuple[int, ...]


class OutputLayout(StrEnum):
    """What an output holds; nc is the number of classes, N the number of places that the network looks at.

    Boxes are in pixels of the network's input: centre and size in the dense forms, corners where NMS is inside.
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
"""Layouts that still need a threshold and NMS over all places."""

_STRIDES = ((8, 16), (8, 16, 32), (16, 32), (4, 8, 16), (4, 8, 16, 32), (8, 16, 32, 64))
_MOST_KEPT = 1000
"""More rows than this are never the result of an NMS inside the network."""


_INSIDE = {6: OutputLayout.END_TO_END, 7: OutputLayout.END_TO_END_BATCH}


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """A recognised form, and which of the network's outputs carry it (in the order that `decode` wants)."""

    layout: OutputLayout
    indices: tuple[int, ...]


def recognise(
    shapes: Sequence[Shape], classes: int, input_width: int, input_height: int, wanted: OutputLayout | None = None
) -> OutputSpec | None:
    """Say what outputs of these shapes mean for a network with `classes` names, or None when no form fits.

    Shapes are those of a real run: no dynamic axes. `wanted` settles what the shapes leave open; it must fit them too.
    """
    grids = _grid_sizes(input_width, input_height)
    efficient = _efficient_nms(shapes)
    forms = [OutputSpec(OutputLayout.EFFICIENT_NMS, efficient)] if efficient else []
    for index, shape in enumerate(shapes):
        forms += [OutputSpec(layout, (index,)) for layout in _single(shape, classes, grids)]
    return next((form for form in forms if wanted in {None, form.layout}), None)


def _single(shape: Shape, classes: int, grids: frozenset[int]) -> list[OutputLayout]:
    """List what one output may be, likeliest first: NMS inside unless it has just a dense head's number of places."""
    if len(shape) == 2:
        return [layout for columns, layout in _INSIDE.items() if columns == shape[1]]
    if len(shape) != 3 or shape[0] != 1:
        return []
    _, rows, columns = shape
    dense = _dense(rows, columns, classes)
    if columns != 6 or rows > _MOST_KEPT:
        return dense
    return [*dense, OutputLayout.END_TO_END] if rows in grids else [OutputLayout.END_TO_END, *dense]


def _dense(rows: int, columns: int, classes: int) -> list[OutputLayout]:
    """List the dense forms that fit; the longer axis is the likelier one to be the places."""
    forms = (
        (columns, rows, 4, OutputLayout.CHANNELS_FIRST),
        (rows, columns, 4, OutputLayout.CHANNELS_LAST),
        (columns, rows, 5, OutputLayout.OBJECTNESS_FIRST),
        (rows, columns, 5, OutputLayout.OBJECTNESS_LAST),
    )
    fits = [(places, layout) for places, channels, extra, layout in forms if channels == classes + extra]
    return [layout for _, layout in sorted(fits, key=lambda fit: -fit[0])]


def _efficient_nms(shapes: Sequence[Shape]) -> tuple[int, ...] | None:
    """Find count [1, 1] or [1], boxes [1, K, 4], scores [1, K] and classes [1, K], in that order."""
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
    """Count the places that dense heads have for this input size, with one or three anchors a cell."""
    totals = {sum((width // stride) * (height // stride) for stride in strides) for strides in _STRIDES}
    return frozenset(total * anchors for total in totals for anchors in (1, 3))
