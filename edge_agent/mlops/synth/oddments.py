"""Small things with a sign's outline or colours and no meaning: discs, balls, clocks, books, handles, poles, bricks.

Knows how each looks, coarsely; painters are called as in `lookalikes`. Knows nothing of signs or tables.
"""

import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import patterns
from edge_agent.mlops.synth.lookalikes import Place
from edge_agent.mlops.synth.props import LOUD, WOODS, one_of
from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Colour, Image, Points, fill, line, near, oval, shade

_REDS: tuple[Colour, ...] = ((35, 30, 200), (30, 25, 165), (60, 60, 215), (40, 50, 140))
_WHITES: tuple[Colour, ...] = ((240, 240, 240), (215, 222, 228), (190, 195, 198))
_GREYS: tuple[Colour, ...] = ((40, 38, 38), (110, 112, 115), (165, 168, 170))


def _quad(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _stand(image: Image, rng: Generator, at: Place, size: float) -> None:
    """Draw a thin stick or pole below a round thing, for half of them."""
    if rng.random() < 0.5:
        foot = (at[0] + size * float(rng.normal(0, 0.08)), at[1] + size * float(rng.uniform(0.8, 3)))
        line(image, np.array([at, foot]), one_of(rng, _GREYS), int(max(1, size * 0.06)))


def red_round(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw something red and round without a print: a ball, a lid, a cap, a button, some with a light curve aslant."""
    radius, red = size / 2, one_of(rng, _REDS, 12)
    flat = float(rng.uniform(0.75, 1.0))
    _stand(image, rng, at, size)
    fill(image, oval(at, (radius, radius * flat), steps=30), shade(red, float(rng.uniform(0.5, 1.0))))
    fill(
        image, oval((at[0] - 0.08 * radius, at[1] - 0.1 * radius), (radius * 0.85, radius * 0.82 * flat), steps=28), red
    )
    kind = rng.random()
    if kind < 0.4:
        spot = (at[0] - radius * 0.35, at[1] - radius * 0.4)
        fill(image, oval(spot, (radius * 0.2, radius * 0.14), 0.6), shade(red, 2.4))
    elif kind < 0.6:  # a seam or stripe that bends, upright or aslant: not a bar across
        turn = float(rng.uniform(0.7, 2.4))
        along = np.linspace(-0.9, 0.9, 9)
        bend = float(rng.uniform(0.25, 0.5)) * (1 - along**2)
        cos, sin = np.cos(turn), np.sin(turn)
        seam = np.stack([along * cos - bend * sin, along * sin + bend * cos], axis=1) * radius + at
        line(image, seam, one_of(rng, _WHITES), int(max(1, radius * 0.15)))
    elif kind < 0.75:  # a cap's button and peak
        fill(image, oval((at[0], at[1] + radius * 0.7), (radius * 1.1, radius * 0.25)), shade(red, 0.7))


def red_block(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a red tin, book or brick with a light stripe or label."""
    red, wide = one_of(rng, _REDS, 15), size * float(rng.uniform(0.35, 0.9))
    x0, y0, x1, y1 = at[0] - wide / 2, at[1] - size / 2, at[0] + wide / 2, at[1] + size / 2
    fill(image, _quad(x0, y0, x1, y1), red)
    fill(image, _quad(x1 - 0.2 * wide, y0, x1, y1), shade(red, 0.75))
    for _stripe in range(int(rng.integers(1, 4))):
        part = float(rng.uniform(0.04, 0.3)) if rng.random() < 0.5 else float(rng.uniform(0.65, 0.9))
        top, thick = y0 + size * part, size * float(rng.uniform(0.03, 0.14))  # a bar in the middle is no entry's
        fill(image, _quad(x0, top, x1, min(y1, top + thick)), one_of(rng, _WHITES))


def plain_disc(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a plate, coin, stone or blank disc: one colour with a soft rim, never a red ring."""
    radius, flat = size / 2, float(rng.uniform(0.7, 1.0))
    colours = (
        *_WHITES,
        *_WHITES,
        *_GREYS,
        (70, 120, 170),
        (60, 150, 190),
        (170, 90, 40),
        (40, 160, 225),
        (70, 130, 70),
    )
    colour = one_of(rng, colours, 12)
    _stand(image, rng, at, size)
    fill(image, oval(at, (radius, radius * flat), steps=30), shade(colour, float(rng.uniform(0.55, 0.95))))
    inner = float(rng.uniform(0.6, 0.97))
    fill(image, oval(at, (radius * inner, radius * inner * flat), steps=28), colour)
    if rng.random() < 0.3:
        fill(image, oval(at, (radius * 0.5, radius * 0.5 * flat)), shade(colour, float(rng.uniform(0.8, 1.1))))


def rings(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a wheel, a speaker, a cup from above or a patterned plate."""
    radius, flat = size / 2, float(rng.uniform(0.75, 1.0))
    if rng.random() < 0.3:
        patterns.lay(image, rng, patterns.card(rng), oval(at, (radius, radius * flat), steps=30))
        return
    dark = rng.random() < 0.6
    for part in (1.0, 0.82, 0.6, 0.4, 0.18)[: int(rng.integers(2, 6))]:
        colour = one_of(rng, _GREYS if dark else (*_WHITES, *WOODS, (150, 70, 30), (60, 140, 170)), 12)
        fill(image, oval(at, (radius * part, radius * part * flat), steps=28), colour)


def clock(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a round wall clock: a rim that is not red, strokes for the hours, two hands."""
    radius, middle = size / 2, np.asarray(at)
    rim = one_of(rng, (*WOODS, *_GREYS, (210, 212, 215), (150, 80, 40), (80, 170, 200)), 10)
    face = near(rng, (232, 236, 238), 8) if rng.random() < 0.8 else one_of(rng, _GREYS)
    ink = (30, 30, 30) if sum(face) > 400 else (225, 225, 225)
    fill(image, oval(at, (radius, radius), steps=32), rim)
    fill(image, oval(at, (radius * 0.86, radius * 0.86), steps=32), face)
    for angle in np.arange(12) * np.pi / 6:
        ray = np.array([np.cos(angle), np.sin(angle)]) * radius
        line(image, np.stack([middle + 0.66 * ray, middle + 0.78 * ray]), ink, int(max(1, radius * 0.06)))
    for reach, wide in ((0.45, 0.1), (0.68, 0.06)):
        angle = float(rng.uniform(0, 6.3))
        tip = middle + radius * reach * np.array([np.cos(angle), np.sin(angle)])
        line(image, np.stack([middle, tip]), ink, int(max(1, radius * wide)))


def books(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a row of books or a box or two, striped, banded or printed."""
    x = at[0] - size / 2
    while x < at[0] + size / 2:
        wide, tall = size * float(rng.uniform(0.1, 0.4)), size * float(rng.uniform(0.6, 1.1))
        bottom, colour = at[1] + size / 2, one_of(rng, LOUD, 20)
        spine = _quad(x, bottom - tall, x + wide, bottom)
        if rng.random() < 0.3:
            patterns.lay(image, rng, patterns.card(rng), spine)
        else:
            fill(image, spine, colour)
            for _band in range(int(rng.integers(0, 4))):
                top = bottom - tall * float(rng.uniform(0.1, 0.95))
                fill(image, _quad(x, top, x + wide, top + max(1.0, tall * 0.07)), one_of(rng, LOUD))
        x += wide + float(rng.choice([0.0, 0.02, 0.3])) * size


def stack(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw two to four bright dots or drops above each other on something dark, never red over yellow over green."""
    wide = size * float(rng.uniform(0.25, 0.8))
    ground = one_of(rng, ((30, 28, 28), (60, 45, 30), (30, 40, 70), (50, 60, 60)), 10)
    fill(image, _quad(at[0] - wide / 2, at[1] - size / 2, at[0] + wide / 2, at[1] + size / 2), ground)
    count, colour = int(rng.integers(2, 5)), one_of(rng, LOUD)
    for y in np.linspace(-0.36, 0.36, count) * size:
        place = (at[0] + wide * float(rng.normal(0, 0.1)), at[1] + float(y))
        reach = min(wide * 0.4, size * 0.4 / count) * float(rng.uniform(0.5, 1.1))
        fill(image, oval(place, (reach, reach * float(rng.uniform(0.5, 1.2))), float(rng.uniform(0, 3))), colour)
        if rng.random() < 0.3:
            colour = one_of(rng, ((235, 235, 235), (180, 90, 30), (120, 60, 150), (30, 120, 225)))


def fitting(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a door handle on its plate, a switch, a coat hook or a candle."""
    metal = one_of(rng, ((70, 150, 190), (150, 155, 160), (225, 228, 230), (50, 50, 52)), 12)
    wide, kind = size * float(rng.uniform(0.2, 0.4)), rng.random()
    plate = _quad(at[0] - wide / 2, at[1] - size / 2, at[0] + wide / 2, at[1] + size / 2)
    if kind < 0.4:
        fill(image, plate, metal)
        reach = float(rng.choice([-1, 1])) * size * float(rng.uniform(0.4, 0.9))
        grip = np.array([at, (at[0] + reach, at[1] + size * float(rng.uniform(-0.03, 0.08)))])
        line(image, grip, shade(metal, float(rng.uniform(0.6, 1.3))), int(max(1, size * 0.1)))
    elif kind < 0.65:
        fill(image, (plate - at) * (2.4, 0.9) + at, shade(metal, 0.8))
        fill(image, (plate - at) * (1.6, 0.6) + at, near(rng, (225, 228, 230), 8))
    elif kind < 0.8:
        line(image, np.array([at, (at[0], at[1] + size * 0.4), (at[0] + wide, at[1] + size * 0.25)]), metal, 2)
        fill(image, oval((at[0] + wide, at[1] + size * 0.2), (size * 0.1, size * 0.1)), metal)
    else:
        fill(image, plate, near(rng, (225, 235, 240), 10))
        fill(image, oval((at[0], at[1] - size * 0.65), (size * 0.08, size * 0.18)), (120, 210, 255))


def bare_pole(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a grey pole on a base plate, with nothing on it or running out of the picture."""
    grey = near(rng, (120, 118, 118), 25)
    top = -size if rng.random() < 0.5 else at[1] - size * float(rng.uniform(0.3, 0.8))
    foot = (at[0] + size * float(rng.normal(0, 0.05)), at[1] + size / 2)
    line(image, np.array([(at[0], top), foot]), grey, int(max(1, size * 0.07)))
    fill(image, oval(foot, (size * 0.3, size * 0.09)), shade(grey, 0.8))
    fill(image, oval((foot[0], foot[1] - size * 0.03), (size * 0.3, size * 0.08)), grey)


def brick(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a loose brick or sleeper with rows of studs, turned."""
    colour = one_of(rng, _GREYS, 12) if rng.random() < 0.6 else one_of(rng, LOUD)
    turn, flat = float(rng.uniform(-0.9, 0.9)), float(rng.uniform(0.25, 0.8))
    cos, sin = np.cos(turn), np.sin(turn)
    axes = np.array([[cos, sin], [-sin, cos]]) * (1, flat) * size
    corners = np.array([(-0.5, -0.2), (0.5, -0.2), (0.5, 0.2), (-0.5, 0.2)]) @ axes + at
    fill(image, corners + np.array([0, 0.14 * size]), shade(colour, 0.55))
    fill(image, corners, colour)
    reach = 0.06 * size
    for across in np.linspace(-0.4, 0.4, int(rng.integers(3, 7))):
        for along in (-0.1, 0.1):
            stud = np.array([across, along]) @ axes + at
            fill(image, oval(stud, (reach, reach * flat), steps=10), shade(colour, 0.7))
            fill(image, oval(stud - np.array([0, 0.5 * reach]), (reach, reach * flat), steps=10), shade(colour, 1.2))
