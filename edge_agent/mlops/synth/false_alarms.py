"""Painters of what detectors took for signs on films without any: plain triangles, cushions, glare, coins, panes.

Called as in `lookalikes`: the place (x, y) is the centre of the conspicuous part, the size its longer side in pixels.
None is a yellow triangle that points up, which is a sign even when its print has faded.
"""

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import lookalikes, patterns
from edge_agent.mlops.synth.lookalikes import Place
from edge_agent.mlops.synth.props import LOUD, one_of
from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Colour, Image, Points, fill, line, oval, quad, shade

_YELLOWS: tuple[Colour, ...] = ((25, 195, 240), (40, 170, 215), (30, 140, 190), (90, 210, 245), (20, 160, 250))
_NOT_YELLOW: tuple[Colour, ...] = (
    (20, 90, 240), (40, 110, 235), (30, 70, 200), (45, 45, 60), (235, 235, 235), (150, 110, 40), (70, 140, 60),
    (60, 80, 130), (200, 170, 90), (110, 60, 140), (150, 190, 215),
)  # fmt: skip
_METALS: tuple[Colour, ...] = ((165, 170, 172), (120, 124, 126), (60, 110, 165), (70, 150, 185), (90, 92, 95))
_UP = np.array([(-0.5, 0.43), (0.5, 0.43), (0.0, -0.43)])


def _turned(points: Points, angle: float) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def triangle(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a plain triangle: upright in orange, red, white or another colour, or yellow and on its side or head."""
    yellow = rng.random() < 0.3
    turn = float(rng.uniform(0.6, 5.7)) if yellow or rng.random() < 0.35 else float(rng.normal(0, 0.15))
    if yellow and abs((turn + np.pi / 3) % (2 * np.pi / 3) - np.pi / 3) < 0.5:
        turn += np.pi / 3  # by a third of a circle an even triangle would point up again
    shape = _turned(_UP * (1.0, float(rng.uniform(0.7, 1.3))) + rng.normal(0, 0.05, (3, 2)), turn) * size
    colour = one_of(rng, _YELLOWS if yellow else _NOT_YELLOW, 12)
    if rng.random() < 0.3:
        fill(image, shape * float(rng.uniform(1.08, 1.3)) + at, one_of(rng, ((240, 240, 240), (35, 35, 38), colour)))
    fill(image, shape + at, colour)
    if rng.random() < 0.3:  # one half in the shade, as of a tent or a roof
        fill(image, np.stack([shape[0], shape[2], (shape[0] + shape[1]) / 2]) + at, shade(colour, 0.75))


def tessellation(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a patch of wallpaper or fabric: rows of triangles in two to four colours, up and down in turn."""
    inks = [one_of(rng, (*_YELLOWS, *_NOT_YELLOW, *LOUD), 10) for _ in range(int(rng.integers(2, 5)))]
    side = max(5.0, size * float(rng.uniform(0.15, 0.5)))
    tall, angle = side * float(rng.uniform(0.7, 1.0)), float(rng.normal(0, 0.4))
    ordered = rng.random() < 0.5
    low = np.array([(-0.5, 0.5), (0.5, 0.5), (0.0, -0.5)]) * (side, tall)
    for row in range(round(size / tall)):
        for column in range(round(2 * size / side)):
            down = (row + column) % 2
            middle = np.array([column * side / 2 - size / 2, (row + 0.5) * tall - size / 2])
            ink = inks[down % len(inks)] if ordered else inks[int(rng.integers(len(inks)))]
            fill(image, _turned(low * (1, -1 if down else 1) + middle, angle) + at, ink)


def cushion(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a yellow cushion or fold of cloth, of which at times only a corner looks out: folds, a seam, a print."""
    colour, reach = one_of(rng, _YELLOWS, 14), size * float(rng.uniform(0.6, 1.4))
    power = float(rng.uniform(0.3, 0.8))
    angles = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)
    round_square = np.stack([np.sign(cos) * np.abs(cos) ** power, np.sign(sin) * np.abs(sin) ** power], axis=1)
    outline = _turned(round_square * reach * (1, float(rng.uniform(0.5, 1.0))), float(rng.uniform(0, np.pi))) / 2
    if rng.random() < 0.35:
        patterns.lay(image, rng, patterns.card(rng), outline + at, zoom=float(rng.choice([0.3, 0.6])))
    else:
        fill(image, outline + at, colour)
        fill(image, outline * 0.8 + at - (0.05 * reach, 0.06 * reach), shade(colour, 1.08))
    for _fold in range(int(rng.integers(0, 5))):
        ends = outline[rng.integers(0, len(outline), 2)] * (float(rng.uniform(0.5, 1.0)), 1.0)
        bend = ends.mean(axis=0) * float(rng.uniform(0.3, 1.2))
        line(image, np.stack([ends[0], bend, ends[1]]) + at, shade(colour, float(rng.uniform(0.45, 0.85))), 1)
    if rng.random() < 0.4:
        line(image, np.vstack([outline, outline[:1]]) + at, shade(colour, float(rng.uniform(0.4, 1.2))), 1)
    if rng.random() < 0.5:  # something that hides all but a corner
        edge = np.array([(-1.2, float(rng.uniform(-0.25, 0.2))), (1.2, float(rng.uniform(-0.25, 0.2)))]) * reach
        cover = np.vstack([edge, np.add(edge[::-1], (0, 1.2 * reach))])
        fill(image, cover + at, one_of(rng, (*_NOT_YELLOW, *LOUD), 15))


def glare(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw an overexposed lamp: a burnt-out core, its halo, and a cone of light on the wall or rays at times."""
    warm: Colour = (int(rng.uniform(130, 235)), int(rng.uniform(205, 245)), 255)
    if rng.random() < 0.6:
        _cone(image, rng, at, size, warm)
    lookalikes.halo(image, rng, at, size * float(rng.uniform(0.3, 1.0)))
    core = oval(
        at, (size * float(rng.uniform(0.1, 0.5)), size * float(rng.uniform(0.1, 0.5))), float(rng.uniform(0, 3))
    )
    fill(image, core, shade(warm, 1.15))
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 5))):
        tip = np.asarray(at) + size * float(rng.uniform(0.4, 1.0)) * np.array([np.cos(angle), np.sin(angle)])
        line(image, np.stack([np.asarray(at), tip]), warm, 1)


def _cone(image: Image, rng: Generator, at: Place, size: float, warm: Colour) -> None:
    """Lighten a triangle above or below a lamp, soft at its rim."""
    away = size * float(rng.choice([-1, 1])) * float(rng.uniform(0.6, 1.3))
    half = size * float(rng.uniform(0.3, 0.8))
    shape = np.array([at, (at[0] - half, at[1] + away), (at[0] + half, at[1] + away)])
    x0, y0 = np.maximum(shape.min(axis=0) - 4, 0).astype(int)
    x1, y1 = np.minimum(shape.max(axis=0) + 5, (image.shape[1], image.shape[0])).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    fill(mask, shape - (x0, y0), 255)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, size * float(rng.uniform(0.01, 0.1)))).astype(np.float32)[..., None]
    area = image[y0:y1, x0:x1]
    area[:] = (area + (np.array(warm) - area) * soft / 255 * float(rng.uniform(0.3, 0.9))).astype(np.uint8)


def coins(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw rows of coins or buttons: metal discs with a raised rim, a head or a number worn away."""
    across, down = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    step = size / max(across, down)
    metal = one_of(rng, _METALS, 10)
    for column in range(across):
        for row in range(down):
            spot = np.asarray(at) + step * (np.array([column, row]) - (np.array([across, down]) - 1) / 2)
            spot = spot + rng.normal(0, 0.08 * step, 2)
            _coin(image, rng, (float(spot[0]), float(spot[1])), step * float(rng.uniform(0.3, 0.48)), metal)


def _coin(image: Image, rng: Generator, at: Place, radius: float, metal: Colour) -> None:
    light = float(rng.uniform(0.8, 1.2))
    fill(image, oval((at[0] + 0.1 * radius, at[1] + 0.12 * radius), (radius, radius), steps=26), shade(metal, 0.4))
    fill(image, oval(at, (radius, radius), steps=26), shade(metal, light * 1.15))
    fill(image, oval(at, (0.86 * radius, 0.86 * radius), steps=26), shade(metal, light * 0.9))
    for _blot in range(int(rng.integers(1, 4))):  # the worn relief
        spot = np.asarray(at) + rng.normal(0, 0.2, 2) * radius
        reach = (radius * float(rng.uniform(0.15, 0.5)), radius * float(rng.uniform(0.15, 0.5)))
        fill(image, oval(spot, reach, float(rng.uniform(0, 3))), shade(metal, light * float(rng.uniform(0.6, 1.4))))


def panes(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a window with bright panes behind bars, or the bars of a railing or a rail alone."""
    half = size / 2 * np.array([float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.5, 1.0))])
    low, high = np.asarray(at) - half, np.asarray(at) + half
    frame = one_of(rng, ((240, 240, 240), (60, 60, 62), (40, 66, 110), (150, 152, 155)), 10)
    if rng.random() < 0.6:
        fill(
            image, quad(*low, *high), one_of(rng, ((250, 245, 235), (235, 215, 190), (120, 90, 60), (90, 180, 240)), 12)
        )
    wide = int(max(1, size * float(rng.uniform(0.02, 0.09))))
    turn = float(rng.normal(0, 0.06))
    for part in np.linspace(0, 1, int(rng.integers(2, 9))):
        ends = np.array([(low[0] + part * 2 * half[0], low[1]), (low[0] + part * 2 * half[0], high[1])]) - at
        line(image, _turned(ends, turn) + at, frame, wide)
    for part in np.linspace(0, 1, int(rng.integers(2, 5))):
        ends = np.array([(low[0], low[1] + part * 2 * half[1]), (high[0], low[1] + part * 2 * half[1])]) - at
        line(image, _turned(ends, turn) + at, shade(frame, 0.9), wide)
