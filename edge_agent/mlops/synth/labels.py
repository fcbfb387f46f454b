"""Labels of the painted signs: boxes around what is visible, and which signs are too hidden, faint or small."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.synth.billboard import Outline, PosedSign
from edge_agent.mlops.synth.textures import Image
from edge_agent.mlops.synth.view import Points

MIN_PX = 7.0
"""Longer side in pixels of the smallest box to learn."""
_MIN_CONTRAST = 5.0  # of 255
_MIN_SHARE = 0.45  # of face and edge that is visible
_WHOLE_SHARE = 0.93  # above it the box is that of the exact outline


@dataclass(frozen=True)
class LabelledBox:
    """The label of a sign in a picture.

    Args:
        label: one of `signs.LABELS`.
        box: left, top, right, bottom in pixels, inside the picture.
        ignore: too small, hidden, faint or edge-on to be learnt, but not background either.
    """

    label: str
    box: tuple[float, float, float, float]
    ignore: bool = False


@dataclass(frozen=True)
class PaintedSign:
    """A painted sign: its number in the visibility map, and its outline."""

    number: int
    sign: PosedSign
    outline: Outline


def mark(visibility: Image, polygon: Points, number: int) -> None:
    """Mark a polygon in the visibility map, (h, w) uint8, as showing sign `number`; 0 for none."""
    fixed = np.round((polygon.clip(-3000, 3000) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(visibility, [fixed], (number,), cv2.LINE_8, 4)


def boxes_of(
    final: Image, visibility: Image, signs: list[PaintedSign], spread: tuple[float, float]
) -> tuple[LabelledBox, ...]:
    """Return the labels of a finished picture; backs of signs have none.

    Args:
        final: (h, w, 3) uint8 BGR, as the camera delivers it.
        visibility: (h, w) uint8, the number of the sign that each pixel shows, 0 for none.
        signs: the painted signs.
        spread: pixels in x and y by which blur widens a sign on each side.
    """
    soft = cv2.GaussianBlur(final, (0, 0), 1.0).astype(np.float32)
    boxes = [_box(soft, visibility, sign, spread) for sign in signs if not sign.sign.pose.back]
    return tuple(box for box in boxes if box)


def _box(
    soft: NDArray[np.float32], visibility: Image, painted: PaintedSign, spread: tuple[float, float]
) -> LabelledBox | None:
    """Return the label of a painted sign; None where too little of it is visible."""
    height, width = visibility.shape
    hull = painted.outline.hull
    rows, columns = np.nonzero(visibility == painted.number)
    share = len(rows) / max(float(cv2.contourArea(hull.astype(np.float32))), 1.0)
    if len(rows) < 6 or share < 0.25:
        return None
    low, high = hull.min(axis=0), hull.max(axis=0)
    if share < _WHOLE_SHARE:
        low = np.maximum(low, (columns.min(), rows.min()))
        high = np.minimum(high, (columns.max() + 1, rows.max() + 1))
    low, high = np.maximum(low - spread, 0), np.minimum(high + spread, (width, height))
    size = high - low
    contrast = _contrast(soft, low, high)
    if size.max() < MIN_PX - 2 or size.min() < 3 or contrast < _MIN_CONTRAST / 2:
        return None
    edge_on = abs(painted.sign.pose.yaw_rad) > 1.38
    ignore = size.max() < MIN_PX or share < _MIN_SHARE or contrast < _MIN_CONTRAST or edge_on
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return LabelledBox(painted.sign.face.label, box, bool(ignore))


def _contrast(soft: NDArray[np.float32], low: Points, high: Points) -> float:
    """Return the greatest standard deviation of a channel in the box and its surroundings."""
    around = (high - low) * 0.15
    x0, y0 = np.maximum(low - around, 0).astype(int)
    x1, y1 = np.ceil(high + around).astype(int)
    return float(cv2.meanStdDev(soft[y0:y1, x0:x1])[1].max())
