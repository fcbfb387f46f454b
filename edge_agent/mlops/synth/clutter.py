"""Smaller and looser things in a room: switches, posters, plants, trains, bottles, and plain coloured shapes.

Knows how each thing looks, coarsely; painters are called as in `props`. Knows nothing of signs or tables.
"""

import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth.props import LOUD, WOODS, one_of
from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Image, Points, fill, line, near, oval, shade


def _quad(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def switch(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """One or two wall switches."""
    side = size * 0.3
    colour = near(rng, (225, 225, 228), 10)
    for index in range(int(rng.integers(1, 3))):
        x, y = at[0] + index * side * 1.1, at[1] - size
        fill(image, _quad(x, y, x + side, y + side), shade(colour, 0.75))
        fill(image, _quad(x + 1, y + 1, x + side - 1, y + side - 1), colour)


def poster(image: Image, rng: Generator, textures: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a picture or page on the wall: a field of colour, lines like writing, a photo-like blur."""
    x, y = at[0], at[1] - size * rng.uniform(0.3, 1.5)
    wide, tall = size * rng.uniform(0.3, 1.2), size * rng.uniform(0.3, 1.2)
    fill(image, _quad(x, y - tall, x + wide, y), one_of(rng, LOUD, 30))
    inner = _quad(x + 0.1 * wide, y - 0.9 * tall, x + 0.9 * wide, y - 0.5 * tall)
    fill(image, inner, one_of(rng, LOUD, 30))
    ink = one_of(rng, LOUD)
    for row in np.linspace(0.08, 0.42, int(rng.integers(2, 7))):
        ends = np.array([(x + 0.12 * wide, y - row * tall), (x + wide * rng.uniform(0.4, 0.9), y - row * tall)])
        line(image, ends, ink, int(max(1, 0.03 * tall)))


def plant(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Leaves on stems."""
    for _leaf in range(int(rng.integers(8, 26))):
        tip = np.asarray(at) + size * np.array([rng.normal(0, 0.35), -abs(rng.normal(0.5, 0.4))])
        colour = near(rng, (60, 120, 70), 25)
        line(image, np.stack([np.asarray(at), tip]), shade(colour, 0.6), 1)
        fill(image, oval(tip, (size * 0.09, size * 0.03), float(rng.uniform(0, 3.1)), 10), colour)


def train(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a brick train from the side or behind: bright stripes, black windows, lights."""
    x, y = at
    wide, tall = size * rng.uniform(1, 3), size * rng.uniform(0.5, 0.8)
    colours = [one_of(rng, LOUD), near(rng, (225, 225, 225), 10), (30, 28, 28), near(rng, (60, 200, 140), 30)]
    top = y - tall
    for index in rng.permutation(4):
        height = tall * rng.uniform(0.12, 0.4)
        fill(image, _quad(x, top, x + wide, min(y, top + height)), colours[int(index)])
        top = min(y, top + height)
    fill(image, _quad(x, top, x + wide, y), colours[2])
    for part in np.arange(0.05, 0.9, 0.2):
        fill(image, _quad(x + part * wide, y - tall * 0.8, x + (part + 0.13) * wide, y - tall * 0.5), (36, 32, 30))
        fill(image, oval((x + (part + 0.08) * wide, y), (0.1 * size, 0.1 * size)), (24, 24, 24))
    for part in np.arange(0, wide, max(3.0, size * 0.08)):
        fill(image, _quad(x + part, y - tall - size * 0.03, x + part + size * 0.04, y - tall), colours[3])
    for side in (0.05, 0.12):
        fill(image, oval((x + side * wide, y - 0.3 * tall), (0.04 * size, 0.04 * size), steps=10), one_of(rng, LOUD))


def bottle(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a bottle, mug or jar, some with a label."""
    x, y = at
    wide, tall = size * rng.uniform(0.12, 0.3), size * rng.uniform(0.2, 0.8)
    colour = one_of(rng, LOUD, 20)
    fill(image, _quad(x, y - tall, x + wide, y), colour)
    fill(image, _quad(x + 0.2 * wide, y - tall, x + 0.35 * wide, y), shade(colour, 1.4))
    if rng.random() < 0.5:
        fill(image, _quad(x, y - 0.6 * tall, x + wide, y - 0.25 * tall), one_of(rng, LOUD))
    if rng.random() < 0.5:
        fill(image, _quad(x + 0.3 * wide, y - 1.3 * tall, x + 0.7 * wide, y - tall), shade(colour, 0.8))


def screen(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a dark monitor, box or speaker."""
    x, y = at
    wide, tall = size * rng.uniform(0.4, 1.6), size * rng.uniform(0.4, 1.0)
    colour = near(rng, (32, 30, 30), 8)
    fill(image, _quad(x, y - tall, x + wide, y), colour)
    fill(image, _quad(x + 0.04 * wide, y - 0.96 * tall, x + 0.96 * wide, y - 0.1 * tall), shade(colour, 0.7))
    if rng.random() < 0.4:
        fill(image, oval((x + 0.5 * wide, y - 0.5 * tall), (0.3 * tall, 0.3 * tall)), shade(colour, 1.8))
        fill(image, oval((x + 0.5 * wide, y - 0.5 * tall), (0.14 * tall, 0.14 * tall)), shade(colour, 0.8))


def dish(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a plate, clock or lid on the wall: round, pale or coloured, with hands or rings, but no print of a sign."""
    radius = size * float(rng.uniform(0.06, 0.3))
    centre = (at[0], at[1] - size * rng.uniform(0.3, 1.4))
    rim, middle = one_of(rng, LOUD, 25), one_of(rng, LOUD, 25)
    fill(image, oval(centre, (radius, radius), steps=30), rim)
    fill(image, oval(centre, (radius * 0.88, radius * 0.88), steps=30), middle)
    for _hand in range(int(rng.integers(0, 3))):
        angle = rng.uniform(0, 6.3)
        tip = np.asarray(centre) + radius * 0.7 * np.array([np.cos(angle), np.sin(angle)])
        line(image, np.stack([np.asarray(centre), tip]), one_of(rng, LOUD), int(max(1, radius * 0.1)))


def furniture(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Legs, rails and boards: chairs and tables further away."""
    x, y = at
    colour = one_of(rng, (*WOODS, (40, 40, 40), (200, 200, 200)))
    wide, tall = size * rng.uniform(0.4, 1.2), size * rng.uniform(0.5, 1.4)
    fill(image, _quad(x, y - tall, x + wide, y - tall + max(2, 0.1 * size)), colour)
    for part in (0.0, 0.3, 1.0):
        line(
            image,
            np.array([(x + part * wide, y - tall), (x + part * wide * 1.05, y)]),
            shade(colour, 0.8),
            int(max(1, 0.05 * size)),
        )
    for part in np.linspace(0.2, 0.8, int(rng.integers(1, 4))):
        line(
            image,
            np.array([(x, y - part * tall), (x + wide, y - part * tall)]),
            shade(colour, 0.9),
            int(max(1, 0.03 * size)),
        )


def shapes(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a heap of plain shapes in loud colours."""
    for _shape in range(int(rng.integers(3, 12))):
        centre = np.asarray(at) + rng.normal(0, size * 0.6, 2)
        colour, reach = one_of(rng, LOUD, 30), size * float(rng.uniform(0.04, 0.35))
        kind = rng.random()
        if kind < 0.35:
            fill(image, centre + rng.uniform(-reach, reach, (int(rng.integers(4, 8)), 2)), colour)
        elif kind < 0.55:
            fill(image, oval(centre, (reach, reach * float(rng.uniform(0.3, 0.9))), float(rng.uniform(0, 3))), colour)
        elif kind < 0.8:
            fill(image, _quad(*(centre - reach), *(centre + reach * rng.uniform(0.1, 1, 2))), colour)
        else:
            line(image, centre + rng.uniform(-2 * reach, 2 * reach, (4, 2)), colour, int(max(1, reach * 0.15)))


def cable(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a thin pole, string or cable across the picture."""
    steps = np.cumsum(rng.normal(0, 0.35, (6, 2)) + rng.normal(0, 0.6, 2), axis=0) * size
    line(image, np.asarray(at) + steps, near(rng, (40, 40, 40), 25), int(rng.integers(1, 4)))
