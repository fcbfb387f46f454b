"""What is behind the table: a wall, its light, and a choice of things in front of it.

Knows how to fill a picture with a room. Knows nothing of tables, tracks or signs.
"""

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import clutter, props
from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Image, near

_WALLS = (
    (205, 205, 208),
    (185, 182, 180),
    (160, 175, 195),
    (120, 150, 190),
    (95, 95, 100),
    (60, 80, 110),
    (180, 190, 170),
)

_FAR: tuple[tuple[props.Painter, float], ...] = (
    (props.radiator, 1.4), (props.door, 1.4), (props.mirror, 1.4), (props.shelf, 1.6), (props.guitar, 1.6),
    (props.lamp, 1.0), (props.glow, 0.6), (props.cloth, 1.4), (props.person, 0.7), (clutter.switch, 0.5),
    (clutter.poster, 0.9), (clutter.plant, 0.6), (clutter.train, 0.6), (clutter.bottle, 0.8), (clutter.screen, 0.8),
    (clutter.dish, 0.5), (clutter.furniture, 0.9), (clutter.shapes, 1.2), (clutter.cable, 0.6), (props.ball, 0.4),
)  # fmt: skip
_NEAR: tuple[tuple[props.Painter, float], ...] = (
    (props.cloth, 3.2), (props.hand, 1.2), (clutter.bottle, 0.6), (clutter.train, 0.5), (clutter.shapes, 0.5),
    (props.lamp, 0.5), (clutter.cable, 0.8), (props.ball, 0.3), (clutter.screen, 0.4), (props.person, 0.5),
)  # fmt: skip


def paint_room(image: Image, rng: Generator, textures: Textures, floor_px: float) -> None:
    """Fill the picture with a wall, and put things along the line `floor_px` that the table will cover from below."""
    image[:] = near(rng, _WALLS[int(rng.choice(len(_WALLS), p=(0.4, 0.2, 0.12, 0.08, 0.08, 0.06, 0.06)))], 12)
    _shade_wall(image, rng, textures)
    count = int(rng.integers(0, 3)) if rng.random() < 0.25 else int(rng.integers(3, 11))
    unit = 90 * image.shape[1] / 320
    for painter in _choose(rng, _FAR, count):
        place = (float(rng.uniform(-0.2, 1.0)) * image.shape[1], floor_px + float(rng.uniform(-0.05, 0.35)) * unit)
        painter(image, rng, textures, place, unit * float(rng.uniform(0.35, 1.5)))
    _roughen(image, rng, textures)
    sigma = float(rng.choice([0.0, 0.6, 1.2, 2.2, 3.5], p=[0.3, 0.25, 0.2, 0.15, 0.1]))
    if sigma:
        cv2.GaussianBlur(image, (0, 0), sigma, dst=image)


def _shade_wall(image: Image, rng: Generator, textures: Textures) -> None:
    """Uneven light on the wall, and a plinth or rail along it at times."""
    if rng.random() < 0.7:
        smooth = textures.smooth[int(rng.integers(len(textures.smooth)))] * np.float32(
            rng.uniform(0.03, 0.25)
        ) + np.float32(1)
        light = cv2.resize(smooth, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(image, cv2.merge([light] * 3), dst=image, dtype=cv2.CV_8U)
    if rng.random() < 0.3:
        y, tall = int(rng.uniform(0.1, 0.9) * image.shape[0]), int(rng.integers(2, 30))
        cv2.rectangle(
            image, (0, y), (image.shape[1], y + tall), near(rng, _WALLS[int(rng.integers(len(_WALLS)))], 15), -1
        )


def _roughen(image: Image, rng: Generator, textures: Textures) -> None:
    """Give flat paint some grain, as cloth, wood and plaster have."""
    if rng.random() < 0.4:
        return
    grain = textures.grounds[int(rng.integers(len(textures.grounds)))]
    scale = float(rng.uniform(0.7, 2.0))
    matrix = np.array([[scale, 0, -rng.uniform(0, 99)], [0, scale, -rng.uniform(0, 99)]])
    flags, size = cv2.INTER_LINEAR, (image.shape[1], image.shape[0])
    laid = cv2.warpAffine(grain, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    strength = float(rng.uniform(0.02, 0.12))
    factor = cv2.convertScaleAbs(laid, alpha=strength * 3, beta=255 - 384 * strength - 60)
    cv2.multiply(image, cv2.merge([factor] * 3), dst=image, scale=1 / 195)


def paint_near(image: Image, rng: Generator, textures: Textures, most: int) -> None:
    """Put up to `most` things on or before the table."""
    unit = 90 * image.shape[1] / 320
    height, width = image.shape[:2]
    for painter in _choose(rng, _NEAR, int(rng.integers(0, most + 1))):
        x = float(rng.choice([rng.uniform(-0.05, 0.2), rng.uniform(0.8, 1.05), rng.uniform(0, 1)])) * width
        place = (x, float(rng.uniform(0.3, 1.1)) * height)
        painter(image, rng, textures, place, unit * float(rng.uniform(0.25, 0.9)))


def _choose(rng: Generator, painters: tuple[tuple[props.Painter, float], ...], count: int) -> list[props.Painter]:
    weights = np.array([weight for _, weight in painters])
    picks = rng.choice(len(painters), size=count, p=weights / weights.sum())
    return [painters[int(pick)][0] for pick in picks]
