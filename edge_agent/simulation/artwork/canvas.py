"""An anti-aliased drawing surface for sign artwork.

Coordinates are (x, y) with y down, in units of the sign's height: y runs from 0 to 1, x from 0 to the aspect ratio.
Colours are BGR triples, 0 to 255.
"""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.simulation.artwork.glyphs import Font, text_strokes

Colour = tuple[int, int, int]
Point = tuple[float, float]

_SHIFT = 6  # fractional bits of cv2's fixed-point coordinates


def rounded(corners: Sequence[Point], radius: float, steps: int = 8) -> list[Point]:
    """Return a convex polygon with rounded corners; `radius` is in the same units as `corners`."""
    outline: list[Point] = []
    points = np.asarray(corners, dtype=float)
    for index, corner in enumerate(points):
        to_previous = points[index - 1] - corner
        to_next = points[(index + 1) % len(points)] - corner
        to_previous /= np.linalg.norm(to_previous)
        to_next /= np.linalg.norm(to_next)
        half_angle = np.arccos(np.clip(to_previous @ to_next, -1.0, 1.0)) / 2
        reach = radius / np.tan(half_angle)
        start, end = corner + to_previous * reach, corner + to_next * reach
        for step in np.linspace(0.0, 1.0, steps):  # a quadratic Bezier is close enough to the arc at these radii
            bend = (1 - step) ** 2 * start + 2 * step * (1 - step) * corner + step**2 * end
            outline.append((float(bend[0]), float(bend[1])))
    return outline


def ellipse(centre: Point, radii: Point, start_deg: float = 0, end_deg: float = 360, steps: int = 48) -> list[Point]:
    """Return points along an arc of an ellipse; 0 degrees points right, 90 down."""
    angles = np.radians(np.linspace(start_deg, end_deg, steps))
    return [(centre[0] + radii[0] * float(np.cos(a)), centre[1] + radii[1] * float(np.sin(a))) for a in angles]


class Canvas:
    """A drawing of one sign.

    Args:
        height_px: height of the finished picture.
        aspect: width over height.
        ground: BGR colour that fills the surface first.
    """

    def __init__(self, height_px: int, aspect: float, ground: Colour) -> None:
        self._size_px = (max(1, round(height_px * aspect)), height_px)
        # Minimum height of the surface; small artwork is drawn large and averaged down.
        fine = max(2, -(-384 // height_px))
        self._scale = float(height_px * fine)
        width = self._size_px[0] * fine
        self._picture = np.full((height_px * fine, width, 3), ground, dtype=np.uint8)
        self._alpha = np.zeros(self._picture.shape[:2], dtype=np.uint8)

    def _fixed(self, points: Sequence[Point]) -> NDArray[np.int32]:
        scaled = (np.asarray(points, dtype=float) * self._scale - 0.5) * (1 << _SHIFT)
        return np.round(scaled).astype(np.int32)

    def outline(self, points: Sequence[Point]) -> None:
        """Make the inside of a polygon opaque, as part of the sign."""
        cv2.fillPoly(self._alpha, [self._fixed(points)], 255, shift=_SHIFT)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon, convex or not."""
        cv2.fillPoly(self._picture, [self._fixed(points)], colour, shift=_SHIFT)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        self.polygon(ellipse(centre, (radius, radius), steps=72), colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def stroke(self, points: Sequence[Point], width: float, colour: Colour, *, blunt: bool = False) -> None:
        """Draw a line through `points`, `width` wide, with round joints, and round or (`blunt`) square ends."""
        path = np.asarray(points, dtype=float)
        for start, end in itertools.pairwise(path):
            along = end - start
            length = float(np.linalg.norm(along))
            if length == 0:
                continue
            side = np.array([-along[1], along[0]]) / length * width / 2
            self.polygon([tuple(p) for p in (start + side, end + side, end - side, start - side)], colour)
        for x, y in path[1:-1] if blunt else path:
            self.disc((float(x), float(y)), width / 2, colour)

    def text(self, words: str, centre: Point, height: float, font: Font, colour: Colour) -> None:
        """Write a line of digits or capitals around `centre`, `height` tall."""
        for path in text_strokes(words, font):
            placed = [(centre[0] + x * height, centre[1] + y * height) for x, y in path]
            self.stroke(placed, font.weight * height, colour, blunt=font.blunt)

    def finish(self) -> NDArray[np.uint8]:
        """Return the finished picture, (h, w, 4) uint8 BGRA."""
        fine = np.dstack([self._picture, self._alpha])
        small = cv2.resize(fine, self._size_px, interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.uint8)
