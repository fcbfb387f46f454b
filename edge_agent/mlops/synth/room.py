"""Paint what surrounds the signs: a wall with furniture behind the table, things on it, and crowds of look-alikes.

A painter gets its picture, a random generator, the textures, a place and a size, as `props.Painter` says.
"""

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import false_alarms, lookalikes, props
from edge_agent.mlops.synth.billboard import PosedSign
from edge_agent.mlops.synth.props import Painter
from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Image, log_uniform, near

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
    (props.lamp, 1.0), (props.glow, 0.6), (props.cloth, 1.4), (props.person, 0.7), (props.switch, 0.5),
    (props.poster, 0.9), (props.plant, 0.6), (props.train, 0.6), (props.bottle, 0.8), (props.screen, 0.8),
    (props.dish, 0.5), (props.furniture, 0.9), (props.shapes, 1.2), (props.cable, 0.6), (props.ball, 0.4),
)  # fmt: skip
_NEAR: tuple[tuple[props.Painter, float], ...] = (
    (props.cloth, 3.2), (props.hand, 1.2), (props.bottle, 0.6), (props.train, 0.5), (props.shapes, 0.5),
    (props.lamp, 0.5), (props.cable, 0.8), (props.ball, 0.3), (props.screen, 0.4), (props.person, 0.5),
)  # fmt: skip


def paint_room(image: Image, rng: Generator, textures: Textures, floor_px: float) -> None:
    """Fill the picture with a wall, and place things along the line `floor_px`, below which the table will be."""
    image[:] = near(rng, _WALLS[int(rng.choice(len(_WALLS), p=(0.4, 0.2, 0.12, 0.08, 0.08, 0.06, 0.06)))], 12)
    _shade_wall(image, rng, textures)
    count = int(rng.integers(0, 3)) if rng.random() < 0.25 else int(rng.integers(3, 11))
    unit = 90 * image.shape[1] / 320
    for painter in _choose(rng, _FAR, count):
        place = (float(rng.uniform(-0.2, 1.0)) * image.shape[1], floor_px + float(rng.uniform(-0.05, 0.35)) * unit)
        painter(image, rng, textures, place, unit * float(rng.uniform(0.35, 1.5)))
    _add_grain(image, rng, textures)
    sigma = float(rng.choice([0.0, 0.6, 1.2, 2.2, 3.5], p=[0.3, 0.25, 0.2, 0.15, 0.1]))
    if sigma:
        cv2.GaussianBlur(image, (0, 0), sigma, dst=image)


def _shade_wall(image: Image, rng: Generator, textures: Textures) -> None:
    """Add uneven light, and sometimes a plinth or rail along the wall."""
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


def _add_grain(image: Image, rng: Generator, textures: Textures) -> None:
    """Add the grain of cloth, wood and plaster."""
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
    """Place up to `most` things on or in front of the table."""
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


_LOOKALIKES: tuple[tuple[Painter, float], ...] = (
    (lookalikes.lamp, 5.5), (lookalikes.neck, 2.6), (lookalikes.framed, 2.6), (lookalikes.armchair, 2.2),
    (lookalikes.wedge, 1.5), (lookalikes.pennants, 0.5), (lookalikes.red_round, 1.3), (lookalikes.red_block, 0.8),
    (lookalikes.plain_disc, 1.2), (lookalikes.rings, 0.9), (lookalikes.clock, 0.7), (lookalikes.books, 1.0),
    (lookalikes.stack, 0.9), (lookalikes.fitting, 0.8), (lookalikes.bare_pole, 0.5), (lookalikes.brick, 0.6),
    (false_alarms.triangle, 2.6), (false_alarms.tessellation, 1.6), (false_alarms.cushion, 2.8),
    (false_alarms.glare, 1.8), (false_alarms.coins, 1.2), (false_alarms.panes, 1.2),
)  # fmt: skip
_LARGE = (
    lookalikes.armchair, lookalikes.framed, false_alarms.tessellation, false_alarms.cushion, false_alarms.panes,
)  # fmt: skip
_WEIGHTS = np.array([weight for _, weight in _LOOKALIKES])


def paint_lookalikes_far(image: Image, rng: Generator, textures: Textures, floor_px: float) -> None:
    """Place look-alikes on wall and floor behind a table whose far edge is at `floor_px`."""
    height, width = image.shape[:2]
    if floor_px < 0.06 * height:
        return
    favourite = _random_lookalike(rng) if rng.random() < 0.3 else None  # several of one kind, as lamps in a hall
    for _ in range(int(rng.integers(3, 9))):
        painter = favourite if favourite and rng.random() < 0.6 else _random_lookalike(rng)
        size = _lookalike_size(rng, width, painter)
        aside = float(rng.uniform(-0.02, 1.02)) * width
        y = floor_px - size * float(rng.uniform(0.1, 0.6)) if rng.random() < 0.3 else float(rng.uniform(0, floor_px))
        painter(image, rng, textures, (aside, y), size)
    sigma = float(rng.choice([0.0, 0.5, 1.0, 1.8], p=[0.5, 0.2, 0.2, 0.1]))
    if sigma:
        cv2.GaussianBlur(image, (0, 0), sigma, dst=image)


def paint_lookalikes_near(image: Image, rng: Generator, textures: Textures, floor_px: float) -> None:
    """Place a few look-alikes on or in front of the table, more where the table fills the picture."""
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(0, 4 if floor_px > 0.06 * height else 7))):
        painter = _random_lookalike(rng)
        size = _lookalike_size(rng, width, painter)
        at_edge = rng.random() < 0.3
        x = float(rng.choice([rng.uniform(-0.05, 0.08), rng.uniform(0.92, 1.05)]) if at_edge else rng.uniform(0, 1))
        painter(image, rng, textures, (x * width, float(rng.uniform(0.02, 0.95)) * height), size)


def paint_lookalikes_around(image: Image, rng: Generator, textures: Textures, signs: list[PosedSign]) -> None:
    """Place look-alikes of similar size behind and beside signs that are not painted yet."""
    for sign in signs:
        if rng.random() < 0.45:
            continue
        pose = sign.pose
        middle = pose.foot - (0, (pose.pole + 0.5) * pose.height_px)
        away = rng.normal(0, 0.5 if rng.random() < 0.4 else 1.4, 2) * pose.height_px
        size = pose.height_px * log_uniform(rng, 0.6, 2.0)
        _random_lookalike(rng)(image, rng, textures, (float(middle[0] + away[0]), float(middle[1] + away[1])), size)


def _random_lookalike(rng: Generator) -> Painter:
    return _LOOKALIKES[int(rng.choice(len(_LOOKALIKES), p=_WEIGHTS / _WEIGHTS.sum()))][0]


def _lookalike_size(rng: Generator, width: int, painter: Painter) -> float:
    """Choose a size in pixels for a picture `width` pixels wide; furniture and pictures are larger."""
    low, high = (12, 110) if painter in _LARGE else (6, 70)
    return log_uniform(rng, low, high) * width / 320
