"""A picture on a rectangle in the world, drawn under exact perspective, and the few formulas that takes.

Knows nothing of what the pictures show.
"""

import math

import cv2
import numpy as np

from edge_agent.simulation.texture import Image, lay_over
from edge_agent.simulation.view import CameraView, Points

Window = tuple[int, int, int, int]
"""Part of a canvas: x1, y1, x2, y2."""


class Plane:
    """A picture on a rectangle in the world; `corners` are top-left, top-right, bottom-right, bottom-left.

    Pictures and canvases have four channels because OpenCV warps four twice as fast as three.
    """

    def __init__(self, picture: Image, corners: Points, *, opaque: bool = True) -> None:
        self._opaque = opaque
        self.corners = corners
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        self.outward = _across(across, down)
        self._mips = [_mip(picture, across, down, corners[0])]
        while opaque and min(self._mips[-1][0].shape[:2]) > 200:
            half = cv2.resize(self._mips[-1][0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            self._mips.append(_mip(half.astype(np.uint8), across, down, corners[0]))

    def draw(self, canvas: Image, view: CameraView) -> None:
        """Draw onto (h, w, 4) BGRA; a picture that is not opaque brings colours multiplied by its alpha."""
        polygon = view.polygon(self.corners)
        found = window(polygon, canvas.shape)
        if found is None:
            return
        x1, y1, x2, y2 = found
        picture, to_world = self._at_distance(view)
        matrix = plane_matrix(view, to_world, x1, y1)
        try:
            inverse = np.linalg.inv(matrix)
        except np.linalg.LinAlgError:
            return  # seen exactly edge-on
        size = (x2 - x1, y2 - y1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(picture, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        mask = polygon_mask(polygon, x1, y1, size)
        target = canvas[y1:y2, x1:x2]
        if self._opaque:
            cv2.copyTo(warped, mask, target)
        else:
            lay_over(target, cv2.copyTo(warped, mask).astype(np.uint8))

    def _at_distance(self, view: CameraView) -> tuple[Image, Points]:
        """Return the smallest size of the picture that is sharp enough from here."""
        distance_mm = max(1.0, abs(float((self.corners[0] - view.centre) @ self.outward)))
        need_mm = 0.8 * distance_mm / view.optics.focal_px
        fitting = [mip for mip in self._mips if np.linalg.norm(mip[1][:, 0]) <= need_mm]
        return fitting[-1] if fitting else self._mips[0]


def _across(a: Points, b: Points) -> Points:
    """Return the unit vector that stands on both; numpy's own cross product takes ten times as long for two vectors."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return np.array([x, y, z]) / math.sqrt(x * x + y * y + z * z)


def _mip(picture: Image, across: Points, down: Points, corner: Points) -> tuple[Image, Points]:
    """Return a picture with the matrix whose columns turn its (x, y, 1) into a world point."""
    step_x, step_y = across / picture.shape[1], down / picture.shape[0]
    # Half a pixel moves cv2's centres to the true places.
    return picture, np.stack([step_x, step_y, corner + (step_x + step_y) / 2], axis=1)


def window(polygon: Points, shape: tuple[int, ...]) -> Window | None:
    """Return the part of a canvas that a polygon may touch; None when there is none."""
    if len(polygon) < 3:
        return None
    low = np.floor(np.maximum(polygon.min(axis=0), 0)).astype(int)
    high = np.ceil(np.minimum(polygon.max(axis=0), (shape[1], shape[0]))).astype(int)
    if high[0] - low[0] < 1 or high[1] - low[1] < 1:
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def plane_matrix(view: CameraView, to_world: Points, x1: float, y1: float) -> Points:
    """Return the homography from a plane's own coordinates to the pixels of a canvas cut off at (x1, y1)."""
    optics = view.optics
    focal, cx, cy = optics.focal_px, optics.width / 2 - 0.5 - x1, optics.height / 2 - 0.5 - y1
    lens = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
    moved = to_world.copy()
    moved[:, 2] -= view.centre
    out: Points = lens @ view.matrix @ moved
    return out


def polygon_mask(polygon: Points, x1: int, y1: int, size: tuple[int, int]) -> Image:
    """Return a (height, width) mask, 255 inside the polygon."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    # Far corners of clipped polygons can lie millions of pixels away; cv2's fixed point wants them nearer.
    inside = np.clip(polygon - (x1 + 0.5, y1 + 0.5), -30_000, 30_000)
    cv2.fillConvexPoly(mask, np.round(inside * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    return mask
