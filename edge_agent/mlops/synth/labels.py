"""Which painted signs are worth a label, and the boxes around what is visible of them.

Knows hidden, faint, small and edge-on signs. Knows nothing of file formats.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.synth.billboard import Outline, PosedSign
from edge_agent.mlops.synth.textures import Image
from edge_agent.mlops.synth.view import Points

LEAST_PX = 7.0
"""Longer side of the smallest box to learn."""
_LEAST_CONTRAST = 5.0  # of 255
_LEAST_SHARE = 0.45  # of the face and edge in sight
_WHOLE_SHARE = 0.93  # above it a sign counts as wholly in sight, and its exact outline as its box
_MOST_YAW_RAD = 1.38


@dataclass(frozen=True)
class LabelledBox:
    """A sign in a picture.

    Args:
        label: one of `signs.LABELS`.
        box: left, top, right, bottom in pixels, inside the picture.
        ignore: too small, hidden, faint or edge-on to ask for, yet not background either.
    """

    label: str
    box: tuple[float, float, float, float]
    ignore: bool = False


@dataclass(frozen=True)
class PaintedSign:
    """A sign already painted: its number in the map of visible signs, and its outline."""

    number: int
    sign: PosedSign
    outline: Outline


def mark(seen_by: Image, polygon: Points, number: int) -> None:
    """Note in the map of visible signs, (h, w) uint8, that a polygon shows sign `number`, or with 0 none."""
    fixed = np.round((polygon.clip(-3000, 3000) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(seen_by, [fixed], (number,), cv2.LINE_8, 4)


def boxes_of(
    final: Image, seen_by: Image, signs: list[PaintedSign], spread: tuple[float, float]
) -> tuple[LabelledBox, ...]:
    """Label the signs of a finished picture; backs get no label.

    Args:
        final: (h, w, 3) uint8 BGR, as the camera delivers it.
        seen_by: (h, w) uint8, the number of the sign that each pixel shows.
        signs: what was painted.
        spread: pixels by which blur widens a sign on each side: x, y.
    """
    soft = cv2.GaussianBlur(final, (0, 0), 1.0).astype(np.float32)
    boxes = [_box(soft, seen_by, sign, spread) for sign in signs if not sign.sign.pose.back]
    return tuple(box for box in boxes if box)


def _box(
    soft: NDArray[np.float32], seen_by: Image, standing: PaintedSign, spread: tuple[float, float]
) -> LabelledBox | None:
    """Label a painted sign, or give None where nothing worth a label is left of it."""
    height, width = seen_by.shape
    hull = standing.outline.hull
    rows, columns = np.nonzero(seen_by == standing.number)
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
    if size.max() < LEAST_PX - 2 or size.min() < 3 or contrast < _LEAST_CONTRAST / 2:
        return None
    edge_on = abs(standing.sign.pose.yaw_rad) > _MOST_YAW_RAD
    ignore = size.max() < LEAST_PX or share < _LEAST_SHARE or contrast < _LEAST_CONTRAST or edge_on
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return LabelledBox(standing.sign.face.label, box, bool(ignore))


def _contrast(soft: NDArray[np.float32], low: Points, high: Points) -> float:
    """Measure the greatest standard deviation of a channel in the box and a little around it."""
    around = (high - low) * 0.15
    x0, y0 = np.maximum(low - around, 0).astype(int)
    x1, y1 = np.ceil(high + around).astype(int)
    return float(cv2.meanStdDev(soft[y0:y1, x0:x1])[1].max())
