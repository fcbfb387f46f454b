"""Printed patterns for furniture, pictures and books: flowers, leaves, stripes, rings, blobs; none resembles a sign."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth.props import LOUD, one_of
from edge_agent.mlops.synth.view import Colour, Image, Points, fill, line, near, oval, shade

CARD_PX = 96

YELLOW: Colour = (25, 195, 240)
INKS: tuple[Colour, ...] = (
    YELLOW, YELLOW, (35, 35, 205), (30, 30, 160), (170, 75, 25), (110, 45, 20), (130, 120, 30), (110, 110, 20),
    (60, 130, 50), (235, 235, 238), (30, 110, 225), (30, 28, 28),
)  # fmt: skip


def card(rng: Generator) -> Image:
    """Return a random pattern, (96, 96, 3) uint8 BGR."""
    sheet = np.full((CARD_PX, CARD_PX, 3), one_of(rng, INKS), dtype=np.uint8)
    weights = np.array([weight for _, weight in _PRINTS])
    _PRINTS[int(rng.choice(len(_PRINTS), p=weights / weights.sum()))][0](sheet, rng)
    return sheet


def _spot(rng: Generator) -> Points:
    return np.asarray(rng.uniform(-5, CARD_PX + 5, 2))


def sunflowers(sheet: Image, rng: Generator) -> None:
    """Draw a few large flowers: pointed or round petals about a heart, on stalks at times."""
    petal, heart = one_of(rng, INKS), one_of(rng, INKS)
    long = float(rng.uniform(10, 34))
    thick, count = float(rng.uniform(0.1, 0.3)), int(rng.integers(5, 15))
    for _ in range(int(rng.integers(1, 8))):
        centre, turn = _spot(rng), float(rng.uniform(0, 6.3))
        if rng.random() < 0.3:
            line(sheet, np.stack([centre, (centre[0], CARD_PX)]), near(rng, (50, 110, 50), 15), 3)
        for angle in turn + np.arange(count) * 2 * np.pi / count:
            away = centre + long * 0.75 * np.array([np.cos(angle), np.sin(angle)])
            fill(sheet, oval(away, (long * 0.5, long * thick), float(angle)), petal)
        fill(sheet, oval(centre, (long * 0.42, long * 0.42)), heart)
        if rng.random() < 0.5:
            fill(sheet, oval(centre, (long * 0.22, long * 0.22)), one_of(rng, INKS))


def leaves(sheet: Image, rng: Generator) -> None:
    """Draw lobes and leaves in all directions, some with a dark rim or a vein."""
    inks = [one_of(rng, INKS) for _ in range(2)]
    rimmed, veined = rng.random() < 0.4, rng.random() < 0.4
    for _ in range(int(rng.integers(4, 16))):
        centre, turn = _spot(rng), float(rng.uniform(0, 3.1))
        long = float(rng.uniform(8, 30))
        wide = long * float(rng.uniform(0.25, 0.7))
        if rimmed:
            fill(sheet, oval(centre, (long + 3, wide + 3), turn), (28, 25, 25))
        fill(sheet, oval(centre, (long, wide), turn), inks[int(rng.integers(2))])
        if veined:
            reach = long * np.array([np.cos(turn), np.sin(turn)])
            line(sheet, np.stack([centre - reach, centre + reach]), shade(inks[0], 0.5), 2)


def stripes(sheet: Image, rng: Generator) -> None:
    """Draw bars of three colours: horizontal, vertical or oblique."""
    inks, turn = [one_of(rng, INKS) for _ in range(3)], float(rng.choice([0, np.pi / 2, rng.uniform(0, 3.1)]))
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    middle, at = np.array([CARD_PX / 2, CARD_PX / 2]), -CARD_PX * 0.8
    number = 0
    while at < CARD_PX * 0.8:
        wide = float(rng.uniform(4, 22))
        near_edge, far_edge = middle + at * across, middle + (at + wide) * across
        reach = CARD_PX * along
        bar = np.stack([near_edge - reach, near_edge + reach, far_edge + reach, far_edge - reach])
        fill(sheet, bar, inks[number % 3])
        number, at = number + 1, at + wide


def tiles(sheet: Image, rng: Generator) -> None:
    """Draw squares, diamonds or wedges in rows."""
    cells, inks = int(rng.integers(2, 7)), [one_of(rng, INKS) for _ in range(4)]
    side, kind = CARD_PX / cells, rng.random()
    whole = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    diamond = np.array([(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)])
    wedge = np.array([(0.0, 0.0), (1.0, 0.3), (0.3, 1.0)])
    shape = whole if kind < 0.4 else diamond if kind < 0.7 else wedge
    for row in range(cells):
        for column in range(cells):
            fill(
                sheet,
                (shape + np.array([column, row])) * side,
                inks[int(rng.integers(4)) if kind < 0.8 else (row + column) % 2],
            )


def eyes(sheet: Image, rng: Generator) -> None:
    """Draw rings, eyes and dots within dots."""
    for _ in range(int(rng.integers(1, 7))):
        centre, turn = _spot(rng), float(rng.uniform(0, 3.1))
        reach, flat = float(rng.uniform(10, 32)), float(rng.uniform(0.45, 1.0))
        for part in (1.0, 0.75, 0.5, 0.22)[: int(rng.integers(2, 5))]:
            fill(sheet, oval(centre, (reach * part, reach * part * flat), turn), one_of(rng, INKS))


def blobs(sheet: Image, rng: Generator) -> None:
    """Draw soft patches of colour, as in a painting or a photograph."""
    for _ in range(int(rng.integers(3, 12))):
        centre = _spot(rng)
        angles = np.linspace(0, 2 * np.pi, 9, endpoint=False)
        reach = rng.uniform(5, 30) * rng.uniform(0.5, 1.2, 9)
        outline = centre + np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=1)
        fill(sheet, outline, one_of(rng, INKS if rng.random() < 0.6 else LOUD, 25))
    if rng.random() < 0.6:
        cv2.GaussianBlur(sheet, (0, 0), float(rng.uniform(1, 6)), dst=sheet)


def page(sheet: Image, rng: Generator) -> None:
    """Draw a poster: a field, a bright shape on it, and rows like writing."""
    ink = one_of(rng, INKS)
    fill(sheet, oval((CARD_PX * rng.uniform(0.3, 0.7), 38.0), (rng.uniform(10, 30), rng.uniform(10, 26))), ink)
    for y in np.arange(66, 92, rng.uniform(6, 12)):
        line(sheet, np.array([(12, y), (rng.uniform(40, 86), y)]), ink, int(rng.integers(2, 5)))


def arc_bands(sheet: Image, rng: Generator) -> None:
    """Draw bands about a corner or an edge, like waves or a rainbow."""
    centre, inks = _spot(rng), [one_of(rng, INKS) for _ in range(3)]
    for number, reach in enumerate(np.arange(120, 4, -float(rng.uniform(6, 18)))):
        fill(sheet, oval(centre, (reach, reach), steps=40), inks[number % 3])


_PRINTS: tuple[tuple[Callable[[Image, Generator], None], float], ...] = (
    (sunflowers, 3.0), (leaves, 2.4), (stripes, 1.4), (tiles, 1.4), (eyes, 1.6), (blobs, 1.6), (page, 0.8),
    (arc_bands, 0.8),
)  # fmt: skip


def lay(image: Image, rng: Generator, sheet: Image, outline: Points, *, zoom: float = 1.0) -> None:
    """Draw a card inside an outline (N, 2) of the picture, with a gradient of light; a `zoom` below 1 repeats it.

    The card is stretched over the outline's bounding box, possibly flipped; parts outside the picture are clipped.
    """
    low, high = outline.min(axis=0), outline.max(axis=0)
    x0, y0 = np.maximum(np.floor(low).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(high).astype(int) + 1, (image.shape[1], image.shape[0]))
    if x1 - x0 < 1 or y1 - y0 < 1:
        return
    scale = np.maximum(high - low, 1.0) / CARD_PX * zoom
    sharp = cv2.GaussianBlur(sheet, (0, 0), 0.45 / max(0.05, float(scale.min()))) if scale.min() < 0.7 else sheet
    turned = sharp[:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))].copy()
    matrix = np.array([[scale[0], 0, low[0] - x0], [0, scale[1], low[1] - y0]])
    printed = cv2.warpAffine(turned, matrix, (int(x1 - x0), int(y1 - y0)), borderMode=cv2.BORDER_REFLECT)
    mask = np.zeros(printed.shape[:2], dtype=np.uint8)
    fill(mask, outline - (x0, y0), 255)
    top, bottom = (float(value) for value in rng.uniform(0.65, 1.1, 2))
    light = np.linspace(top, bottom, printed.shape[0], dtype=np.float32)[:, None, None]
    area = image[y0:y1, x0:x1]
    cover = mask[..., None].astype(np.float32) / 255
    area[:] = np.clip(area + (printed * light - area) * cover, 0, 255).astype(np.uint8)
