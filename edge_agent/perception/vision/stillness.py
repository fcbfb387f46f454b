"""Tell whether the pixels where a sign was found are those of the picture before."""

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box, Detection

# Cells on a side: each averages the noise of many pixels away, and a sign that moves by a pixel changes those at edges.
_CELLS = 8
# Least change, root mean square in grey levels of 255. Noise of 6 levels in a box of 16 px leaves 2.9 between two
# pictures; a sign of 20 px and a contrast of 60 that moves by a pixel gives 7.
_LEAST_CHANGE = 4.0


def mark_still(
    detections: Iterable[Detection], before: NDArray[np.uint8] | None, image: NDArray[np.uint8]
) -> tuple[Detection, ...]:
    """Return the detections in `image`, those marked `still` whose pixels were the same in the picture `before`.

    Pictures are (height, width, 3) uint8 BGR; without one before, or with one of another size, nothing is still.
    """
    if before is None or before.shape != image.shape:
        return tuple(detections)
    return tuple(replace(one, still=_is_still(before, image, one.box)) for one in detections)


def _is_still(before: NDArray[np.uint8], image: NDArray[np.uint8], box: Box) -> bool:
    height, width = image.shape[:2]
    # With a rim: what moves leaves its edges outside.
    rim = (box.width + box.height) / 8
    left, top = max(0, round(box.x1 - rim)), max(0, round(box.y1 - rim))
    right, bottom = min(width, round(box.x2 + rim)), min(height, round(box.y2 + rim))
    if right - left < 2 or bottom - top < 2:
        return False
    old, new = (_cells(picture[top:bottom, left:right]) for picture in (before, image))
    difference = new - old
    # The exposure may drift while nothing moves.
    return float(np.std(difference)) < _LEAST_CHANGE


def _cells(patch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the patch's brightness in (_CELLS, _CELLS), averaged over each cell."""
    grey = np.ascontiguousarray(patch).mean(axis=2, dtype=np.float32)
    return np.asarray(cv2.resize(grey, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float32)
