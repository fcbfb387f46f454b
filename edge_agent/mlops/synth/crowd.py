"""Scenes crowded with look-alikes: which of them stand behind the table, on it, and beside or behind real signs.

Knows their mix, sizes and places. Knows nothing of how one is drawn, and paints no sign.
"""

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import lookalikes, oddments
from edge_agent.mlops.synth.billboard import PosedSign
from edge_agent.mlops.synth.props import Painter
from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Image, log_uniform

_LIKES: tuple[tuple[Painter, float], ...] = (
    (lookalikes.lamp, 5.5), (lookalikes.neck, 2.6), (lookalikes.framed, 2.6), (lookalikes.armchair, 2.2),
    (lookalikes.wedge, 1.5), (lookalikes.pennants, 0.5), (oddments.red_round, 1.3), (oddments.red_block, 0.8),
    (oddments.plain_disc, 1.2), (oddments.rings, 0.9), (oddments.clock, 0.7), (oddments.books, 1.0),
    (oddments.stack, 0.9), (oddments.fitting, 0.8), (oddments.bare_pole, 0.5), (oddments.brick, 0.6),
)  # fmt: skip
_WEIGHTS = np.array([weight for _, weight in _LIKES])
_LARGE = (lookalikes.armchair, lookalikes.framed)


def paint_far(image: Image, rng: Generator, textures: Textures, floor_px: float) -> None:
    """Put look-alikes on the wall and the floor behind a table whose far edge lies at `floor_px`."""
    height, width = image.shape[:2]
    if floor_px < 0.06 * height:
        return
    favourite = _painter(rng) if rng.random() < 0.3 else None  # several of a kind, as lamps in a hall
    for _ in range(int(rng.integers(3, 9))):
        painter = favourite if favourite and rng.random() < 0.6 else _painter(rng)
        size = _size(rng, width, painter)
        aside = float(rng.uniform(-0.02, 1.02)) * width
        y = floor_px - size * float(rng.uniform(0.1, 0.6)) if rng.random() < 0.3 else float(rng.uniform(0, floor_px))
        painter(image, rng, textures, (aside, y), size)
    sigma = float(rng.choice([0.0, 0.5, 1.0, 1.8], p=[0.5, 0.2, 0.2, 0.1]))
    if sigma:
        cv2.GaussianBlur(image, (0, 0), sigma, dst=image)


def paint_near(image: Image, rng: Generator, textures: Textures, floor_px: float) -> None:
    """Put a few look-alikes on the table or in front, more where the table fills the picture."""
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(0, 4 if floor_px > 0.06 * height else 7))):
        painter = _painter(rng)
        size = _size(rng, width, painter)
        at_edge = rng.random() < 0.3
        x = float(rng.choice([rng.uniform(-0.05, 0.08), rng.uniform(0.92, 1.05)]) if at_edge else rng.uniform(0, 1))
        painter(image, rng, textures, (x * width, float(rng.uniform(0.02, 0.95)) * height), size)


def paint_around(image: Image, rng: Generator, textures: Textures, signs: list[PosedSign]) -> None:
    """Put look-alikes of a like size behind and beside signs that are not painted yet."""
    for sign in signs:
        if rng.random() < 0.45:
            continue
        pose = sign.pose
        middle = pose.foot - (0, (pose.pole + 0.5) * pose.height_px)
        away = rng.normal(0, 0.5 if rng.random() < 0.4 else 1.4, 2) * pose.height_px
        size = pose.height_px * log_uniform(rng, 0.6, 2.0)
        _painter(rng)(image, rng, textures, (float(middle[0] + away[0]), float(middle[1] + away[1])), size)


def _painter(rng: Generator) -> Painter:
    return _LIKES[int(rng.choice(len(_LIKES), p=_WEIGHTS / _WEIGHTS.sum()))][0]


def _size(rng: Generator, width: int, painter: Painter) -> float:
    """Choose a size for a picture `width` wide; furniture and pictures are larger."""
    low, high = (12, 110) if painter in _LARGE else (6, 70)
    return log_uniform(rng, low, high) * width / 320
