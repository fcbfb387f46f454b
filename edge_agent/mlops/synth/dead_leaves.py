"""Pictures without meaning: overlapping round and square patches, shaded, ringed and striped.

The dead leaves model (Lee et al. 2001, "Occlusion models for natural images") has the statistics of natural pictures;
training on it avoids false detections of coins, wheels, fabric or stars. Nothing here resembles a sign: no triangles,
no light face in a red ring, no single bar on red.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


def dead_leaves(width: int, height: int, rng: np.random.Generator) -> Image:
    """Return a picture, (height, width, 3) uint8 BGR, of many small patches or few large ones."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = _colour(rng)
    largest = float(rng.uniform(20, 110))
    for _ in range(int(rng.integers(15, 120))):
        size = float(np.exp(rng.uniform(np.log(4), np.log(largest))))
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        _DRAWERS[int(rng.integers(len(_DRAWERS)))](image, centre, size, rng)
    return np.asarray(cv2.GaussianBlur(_shade(image, rng), (0, 0), rng.uniform(0.4, 2.0)), np.uint8)


def _colour(rng: np.random.Generator) -> Colour:
    # High, because red things cause false STOP signs.
    red = rng.random() < 0.3
    hue = int(rng.integers(-9, 10)) % 180 if red else int(rng.integers(180))
    saturation = int(rng.integers(120, 256)) if red else int(rng.integers(256))
    pixel = np.array([[[hue, saturation, int(rng.integers(15, 256))]]], np.uint8)
    blue, green, red_part = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red_part)


def _is_red(colour: Colour) -> bool:
    """Return whether a colour could be that of a sign's rim or face."""
    blue, green, red = colour
    return red > 1.4 * max(blue, green, 1)


def _round(image: Image, centre: tuple[int, int], size: float, rng: np.random.Generator) -> None:
    axes = (max(2, int(size / 2)), max(2, int(size / 2 * rng.uniform(0.4, 1))))
    cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, _colour(rng), -1, cv2.LINE_AA)


def _square(image: Image, centre: tuple[int, int], size: float, rng: np.random.Generator) -> None:
    rectangle: Any = (centre, (size, size * float(rng.uniform(0.15, 1))), float(rng.uniform(0, 180)))
    cv2.fillConvexPoly(image, cv2.boxPoints(rectangle).astype(np.int32), _colour(rng), cv2.LINE_AA)


def _ball(image: Image, centre: tuple[int, int], size: float, rng: np.random.Generator) -> None:
    """Draw a ball: a disc lit from one side."""
    colour, radius = np.array(_colour(rng), float), max(2, int(size / 2))
    towards = rng.normal(0, 0.15, 2)
    for step in range(6):
        share = 1 - step / 6
        lit = colour + (255 - colour) * (step / 6) * 0.6
        at = (int(centre[0] + towards[0] * radius * step), int(centre[1] + towards[1] * radius * step))
        cv2.circle(image, at, max(1, int(radius * share)), tuple(int(v) for v in lit), -1, cv2.LINE_AA)


def _rings(image: Image, centre: tuple[int, int], size: float, rng: np.random.Generator) -> None:
    """Draw concentric rings, as of wheels, cups and eyes; inside red only dark or red ones."""
    outer = _colour(rng)
    inner = _colour(rng)
    if _is_red(outer) and sum(inner) > 240 and not _is_red(inner):
        inner = (20, 20, 25)
    for index, share in enumerate(sorted(rng.uniform(0.15, 1, int(rng.integers(2, 5))), reverse=True)):
        cv2.circle(image, centre, max(1, int(size / 2 * share)), inner if index % 2 else outer, -1, cv2.LINE_AA)


def _stripes(image: Image, centre: tuple[int, int], size: float, rng: np.random.Generator) -> None:
    """Draw three or more stripes, as of guitar heads, books, radiators and sleepers."""
    one, two, count = _colour(rng), _colour(rng), int(rng.integers(3, 9))
    angle, breadth = float(rng.uniform(-25, 25)) + 90 * float(rng.integers(2)), size * float(rng.uniform(0.2, 0.8))
    turn = np.deg2rad(angle)
    for index in range(count):
        along = (index / count - 0.5) * size
        at = (centre[0] + along * float(np.cos(turn)), centre[1] + along * float(np.sin(turn)))
        box: Any = (at, (size / count + 1, breadth), angle)
        cv2.fillConvexPoly(image, cv2.boxPoints(box).astype(np.int32), one if index % 2 else two, cv2.LINE_AA)


def _dots(image: Image, centre: tuple[int, int], size: float, rng: np.random.Generator) -> None:
    """Draw dots of one colour, as of prints on fabric and stars."""
    colour = _colour(rng)
    for x, y in rng.normal(0, size, (int(rng.integers(4, 14)), 2)):
        radius = int(rng.integers(1, max(2, int(size / 6)) + 1))
        cv2.circle(image, (int(centre[0] + x), int(centre[1] + y)), radius, colour, -1, cv2.LINE_AA)


_DRAWERS = (_round, _square, _ball, _rings, _stripes, _dots)


def _shade(image: Image, rng: np.random.Generator) -> Image:
    """Apply cloudy, uneven light."""
    rows, columns = image.shape[:2]
    clouds = cv2.resize(
        rng.uniform(0.6, 1.2, (4, 5)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray((image * clouds[..., None]).clip(0, 255), np.uint8)
