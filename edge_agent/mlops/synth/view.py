"""The camera of a scene, a pinhole at train height, and helpers to draw with sub-pixel precision."""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[int, int, int]

_SHIFT = 4


@dataclass(frozen=True)
class SceneCamera:
    """A camera that looks along the table, with vertical lines kept vertical (a shift lens), then rolled.

    Args:
        focal_px: focal length.
        centre_px: x of the optical axis; outside the picture when that is a crop of a larger one.
        horizon_px: y of the horizon.
        camera_mm: height of the lens above the table.
        roll_rad: clockwise rotation of the picture about its centre.
    """

    width: int
    height: int
    focal_px: float
    centre_px: float
    horizon_px: float
    camera_mm: float
    roll_rad: float

    def ground(self, points_mm: Points) -> Points:
        """Project points on the table, (N, 2) mm to the right and ahead (positive), to pixels (N, 2)."""
        scale = self.focal_px / points_mm[:, 1]
        flat = np.stack([self.centre_px + points_mm[:, 0] * scale, self.horizon_px + self.camera_mm * scale], axis=1)
        limit = 4.0 * max(self.width, self.height)  # points beside the lens project to infinity
        return self.turn(flat.clip(-limit, limit))

    def turn(self, points_px: Points) -> Points:
        """Apply the roll to pixels of the unrolled picture."""
        middle = np.array([self.width / 2, self.height / 2])
        cos, sin = np.cos(self.roll_rad), np.sin(self.roll_rad)
        return np.asarray((points_px - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle)

    def ahead_mm(self, size_px: float, size_mm: float) -> float:
        """Return the distance in mm at which `size_mm` is `size_px` large."""
        return self.focal_px * size_mm / size_px


def quad(x0: float, y0: float, x1: float, y1: float) -> Points:
    """Return the corners (4, 2) of an upright rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def fill(image: Image, points_px: Points, colour: Colour | int) -> None:
    """Fill a polygon with sub-pixel corners; pixel centres lie at +0.5."""
    fixed = np.round((points_px.clip(-3000, 3000) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour if isinstance(colour, tuple) else (colour,), cv2.LINE_AA, _SHIFT)


def fill_all(image: Image, polygons_px: Points, colour: Colour) -> None:
    """Fill polygons with equal numbers of corners, (N, corners, 2), that do not overlap."""
    fixed = np.round((polygons_px.clip(-3000, 3000) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(image, list(fixed), colour, cv2.LINE_AA, _SHIFT)


def line(image: Image, points_px: Points, colour: Colour, width: int) -> None:
    """Draw an open line with sub-pixel corners."""
    fixed = np.round((points_px.clip(-3000, 3000) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(image, [fixed], False, colour, max(1, width), cv2.LINE_AA, _SHIFT)


def oval(
    centre: Points | tuple[float, float], radii: tuple[float, float], turn_rad: float = 0, steps: int = 20
) -> Points:
    """Return points (N, 2) of an ellipse."""
    flat = _circle(steps) * radii
    if turn_rad:
        cos, sin = math.cos(turn_rad), math.sin(turn_rad)
        flat = flat @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray(flat + centre)


@lru_cache(maxsize=32)
def _circle(steps: int) -> Points:
    angles = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def shade(colour: Colour | NDArray[np.float64], factor: float) -> Colour:
    """Darken or lighten a colour."""
    return tuple(int(min(255.0, max(0.0, c * factor))) for c in colour)  # type: ignore[return-value]  # always three


def near(rng: Generator, colour: Colour, spread: float) -> Colour:
    """Return a random colour close to another one."""
    jitter = rng.normal(0, spread, 3) + rng.normal(0, spread)
    return tuple(int(min(255.0, max(0.0, c + j))) for c, j in zip(colour, jitter, strict=True))  # type: ignore[return-value]


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Choose a number whose logarithm is uniform between the logarithms of `low` and `high`."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
