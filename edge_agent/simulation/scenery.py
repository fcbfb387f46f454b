"""The room around the table, generated from a seed: walls with doors, windows and shelves, and furniture.

Flat pictures and their sizes; room.py draws them in perspective.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.simulation.texture import Colour, Image, fabric, plaster

WALL_PX_PER_MM = 0.25
FLOOR_MM = -720.0
CEILING_MM = 1700.0

_WALLS: tuple[Colour, ...] = (
    (214, 214, 212),
    (200, 205, 208),
    (196, 208, 220),
    (216, 216, 224),
    (186, 192, 196),
    (178, 200, 214),
    (206, 200, 190),
)
_CURTAINS: tuple[Colour, ...] = ((150, 110, 70), (190, 205, 215), (70, 75, 130), (110, 130, 90), (90, 90, 95))
_PINE: Colour = (120, 168, 205)


def wall(rng: Generator, width_mm: float, colour: Colour) -> Image:
    """Return a wall from floor to ceiling, (h, w, 3) BGR, with the things along it."""
    height_px, width_px = _px(CEILING_MM - FLOOR_MM), max(40, _px(width_mm))
    picture = plaster(rng, height_px, width_px, colour)
    x = _px(float(rng.uniform(50, 400)))
    while x < width_px - _px(300):
        thing = _THINGS[int(rng.integers(len(_THINGS)))]
        x += thing(rng, picture, x) + _px(float(rng.uniform(60, 700)))
    picture[-_px(90) :] = np.clip(picture[-_px(90) :].astype(int) + 14, 0, 255).astype(np.uint8)
    cv2.line(picture, (0, height_px - _px(90)), (width_px, height_px - _px(90)), _shade(colour, 0.75), 1)
    return cv2.GaussianBlur(picture, (0, 0), 0.8).astype(np.uint8)


def wall_colour(rng: Generator) -> Colour:
    """Return the colour of a room's walls."""
    return _WALLS[int(rng.integers(len(_WALLS)))]


def _px(mm: float) -> int:
    return round(mm * WALL_PX_PER_MM)


def _shade(colour: Colour, factor: float) -> Colour:
    b, g, r = (min(255, int(part * factor)) for part in colour)
    return b, g, r


def _box(picture: Image, corner: tuple[int, int], size: tuple[int, int], colour: Colour, line: float = 0.75) -> None:
    (x, top), (width, height) = corner, size
    cv2.rectangle(picture, (x, top), (x + width, top + height), colour, -1)
    cv2.rectangle(picture, (x, top), (x + width, top + height), _shade(colour, line), 2)


def _door(rng: Generator, picture: Image, x: int) -> int:
    height, width, bottom = _px(2020), _px(880), picture.shape[0]
    paint = tuple(int(part) for part in rng.integers(190, 228, 1).repeat(3))
    _box(picture, (x - 6, bottom - height - 6), (width + 12, height + 6), _shade((paint[0], paint[1], paint[2]), 0.95))
    _box(picture, (x, bottom - height), (width, height), (paint[0], paint[1], paint[2]))
    for low, high in ((0.08, 0.38), (0.44, 0.66), (0.72, 0.93)):
        top, tall = bottom - height + int(low * height), int((high - low) * height)
        _box(picture, (x + width // 7, top), (width * 5 // 7, tall), _shade((paint[0], paint[1], paint[2]), 1.02), 0.85)
    cv2.rectangle(picture, (x + 8, bottom - _px(1100)), (x + 13, bottom - _px(930)), (110, 175, 205), -1)
    cv2.line(picture, (x + 10, bottom - _px(1040)), (x + 32, bottom - _px(1040)), (110, 175, 205), 4)
    return width


def _window(rng: Generator, picture: Image, x: int) -> int:
    height, width, bottom = _px(1350), _px(float(rng.uniform(900, 1500))), picture.shape[0] - _px(750)
    _box(picture, (x, bottom - height), (width, height), (232, 230, 228))
    pane_w = width // 2 - 10
    for left in (x + 6, x + width // 2 + 4):
        glass = np.clip(rng.normal(244, 6, (height - 12, pane_w, 3)), 0, 255).astype(np.uint8)
        glass[int(0.55 * height) :] = np.clip(glass[int(0.55 * height) :] * np.array([0.85, 0.83, 0.78]), 0, 255)
        picture[bottom - height + 6 : bottom - 6, left : left + pane_w][: glass.shape[0], : picture.shape[1] - left] = (
            glass[:, : max(0, min(pane_w, picture.shape[1] - left))]
        )
    curtain = _shade(_CURTAINS[int(rng.integers(len(_CURTAINS)))], float(rng.uniform(0.7, 1.3)))
    for left in (x - _px(160), x + width):
        for fold in range(_px(160)):
            tint = _shade(curtain, 0.85 + 0.2 * np.sin(fold / 2.2))
            cv2.line(picture, (left + fold, bottom - height - 8), (left + fold, bottom + _px(500)), tint, 1)
    return width


def _radiator(rng: Generator, picture: Image, x: int) -> int:
    width, height, bottom = _px(float(rng.uniform(900, 1700))), _px(600), picture.shape[0] - _px(120)
    _box(picture, (x, bottom - height), (width, height), (226, 226, 226), 0.9)
    for left in range(x, x + width, _px(80)):
        cv2.line(picture, (left, bottom - height + 6), (left, bottom - 6), (182, 182, 182), 2)
    return width


def _shelf(rng: Generator, picture: Image, x: int) -> int:
    width, bottom = _px(float(rng.uniform(700, 1100))), picture.shape[0]
    top = bottom - _px(2100)
    wood = _shade(_PINE, float(rng.uniform(0.55, 1.05)))
    cv2.rectangle(picture, (x, top), (x + width, bottom), _shade(wood, 0.45), -1)
    for y in range(top, bottom, _px(330)):
        at = x + 5
        while at < x + width - 8:
            wide, tall = int(rng.integers(4, 22)), int(rng.integers(_px(120), _px(290)))
            colour = _book_colour(rng)
            if rng.random() < 0.75:
                cv2.rectangle(picture, (at, y + _px(330) - tall), (at + wide, y + _px(330)), colour, -1)
            at += wide + int(rng.integers(0, 8))
        cv2.line(picture, (x, y), (x + width, y), wood, 6)
    for side in (x, x + width):
        cv2.line(picture, (side, top), (side, bottom), wood, 7)
    return width


def _book_colour(rng: Generator) -> Colour:
    """Return a mostly faded colour, sometimes a bright one."""
    if rng.random() < 0.15:
        return ((40, 35, 190), (150, 70, 30), (50, 170, 210))[int(rng.integers(3))]
    grey, tint = float(rng.uniform(30, 200)), rng.uniform(0.75, 1.25, 3)
    b, g, r = (int(min(230, grey * part)) for part in tint)
    return b, g, r


def _picture(rng: Generator, picture: Image, x: int) -> int:
    width, height = _px(float(rng.uniform(300, 800))), _px(float(rng.uniform(300, 700)))
    top = picture.shape[0] - _px(float(rng.uniform(1350, 1600)))
    frame = _shade((120, 160, 180), float(rng.uniform(0.2, 1.2)))
    _box(picture, (x, top), (width, height), frame)
    inner = fabric(rng, max(8, height - 16), max(8, width - 16))
    room = picture[top + 8 : top + height - 8, x + 8 : x + width - 8]
    room[:] = inner[: room.shape[0], : room.shape[1]]
    return width


def _guitar(rng: Generator, picture: Image, x: int) -> int:
    bottom = picture.shape[0]
    wood = _shade((60, 105, 165), float(rng.uniform(0.5, 1.3)))
    body, lean = bottom - _px(260), int(rng.integers(-14, 15))
    for dy, radius in ((0, 48), (-_px(190), 36)):
        cv2.circle(picture, (x + 50, body + dy), radius, wood, -1)
        cv2.circle(picture, (x + 50, body + dy), radius, _shade(wood, 0.5), 2)
    cv2.circle(picture, (x + 50, body - _px(130)), 12, (30, 30, 35), -1)
    neck, head = (x + 50, body - _px(150)), (x + 50 + lean, body - _px(780))
    tip = (head[0] + lean // 4, head[1] - _px(150))
    cv2.line(picture, neck, head, _shade(wood, 0.35), 8)
    cv2.line(picture, (neck[0] - 2, neck[1]), (head[0] - 2, head[1]), _shade(wood, 0.6), 2)
    cv2.line(picture, head, tip, _shade(wood, 0.8), 12)
    for peg in np.linspace(0.15, 0.85, 3):
        at = (round(head[0] + peg * (tip[0] - head[0])), round(head[1] + peg * (tip[1] - head[1])))
        cv2.line(picture, (at[0] - 11, at[1]), (at[0] + 11, at[1]), (190, 195, 200), 3)
    return 100


def _lamp(rng: Generator, picture: Image, x: int) -> int:
    height_px, width_px = picture.shape[:2]
    y, reach = height_px - _px(float(rng.uniform(1200, 1700))), min(_px(900), x, width_px - x)
    ys, xs = np.mgrid[max(0, y - reach) : min(height_px, y + reach), max(0, x - reach) : min(width_px, x + reach)]
    glow = np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (0.16 * reach * reach))[:, :, None] * np.array([55, 85, 105])
    lit = picture[ys[0, 0] : ys[-1, 0] + 1, xs[0, 0] : xs[0, -1] + 1]
    lit[:] = np.clip(lit + glow, 0, 255).astype(np.uint8)
    cv2.line(picture, (x, y), (x, height_px), (70, 75, 80), 4)
    cv2.ellipse(picture, (x, y), (_px(160), _px(130)), 0, 180, 360, (225, 245, 252), -1)
    return _px(200)


_THINGS: tuple[Callable[[Generator, Image, int], int], ...] = (
    _door,
    _window,
    _radiator,
    _shelf,
    _picture,
    _guitar,
    _lamp,
    _radiator,
)


def furniture(rng: Generator) -> tuple[Image, float, float]:
    """Return a piece of furniture: a (h, w, 4) BGRA picture, and its width and height in millimetres."""
    width_mm, height_mm = float(rng.uniform(350, 650)), float(rng.uniform(760, 1080))
    width_px, height_px = 200, max(8, round(200 * height_mm / width_mm))
    shape = np.zeros((height_px, width_px), np.uint8)
    radius = int(rng.integers(20, 95))
    cv2.rectangle(shape, (0, radius), (width_px, height_px), 255, -1)
    cv2.rectangle(shape, (radius, 0), (width_px - radius, radius), 255, -1)
    for x in (radius, width_px - radius):
        cv2.circle(shape, (x, radius), radius, 255, -1)
    cloth = fabric(rng, height_px, width_px)
    curve = 0.72 + 0.28 * np.sin(np.linspace(0.35, 2.8, width_px))[None, :, None]
    shaded = np.clip(cloth * curve, 0, 255).astype(np.uint8)
    return np.dstack([shaded, cv2.GaussianBlur(shape, (5, 5), 0)]), width_mm, height_mm
