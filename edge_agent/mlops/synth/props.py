"""Painters of things in a room that must not be taken for signs: furniture, lamps, guitars, cloth, people, toys.

Every painter takes the picture (BGR, painted in place), a random generator, the textures, a place (x, y) in pixels
where the thing touches the ground or hangs, and a size in pixels.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Colour, Image, Points, fill, line, log_uniform, near, oval, quad, shade

Painter = Callable[[Image, Generator, Textures, tuple[float, float], float], None]

WOODS: tuple[Colour, ...] = ((90, 140, 190), (60, 100, 150), (40, 66, 110), (130, 175, 210), (30, 45, 75))
LOUD: tuple[Colour, ...] = (
    (30, 30, 200), (30, 190, 235), (180, 90, 30), (50, 140, 50), (235, 235, 235), (25, 25, 25), (60, 120, 220),
    (150, 60, 120), (190, 170, 60), (100, 100, 100), (20, 150, 220),
)  # fmt: skip


def one_of(rng: Generator, colours: tuple[Colour, ...], spread: float = 15) -> Colour:
    """Return one of the colours, slightly varied."""
    return near(rng, colours[int(rng.integers(len(colours)))], spread)


def _spin(points: Points, centre: tuple[float, float], angle: float) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray((points - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre)


def radiator(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a radiator: white panels with dark gaps."""
    x, y = at
    wide, tall, step = (
        size * rng.uniform(1.2, 4),
        size * rng.uniform(0.35, 0.8),
        max(3.0, size * rng.uniform(0.07, 0.2)),
    )
    colour = near(rng, (215, 218, 220), 14)
    fill(image, quad(x, y - tall, x + wide, y), colour)
    gap = shade(colour, float(rng.uniform(0.3, 0.85)))
    for at_x in np.arange(x, x + wide, step):
        line(image, np.array([(at_x, y - tall), (at_x, y)]), gap, int(rng.integers(1, 3)))


def door(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a panelled door in its frame, with a brass handle."""
    x, y = at
    tall, wide = size * 2.2, size
    colour = near(rng, (210, 212, 216), 14) if rng.random() < 0.75 else one_of(rng, WOODS)
    fill(image, quad(x - 0.08 * wide, y - tall - 0.08 * wide, x + 1.08 * wide, y), shade(colour, 0.92))
    fill(image, quad(x, y - tall, x + wide, y), colour)
    for top, bottom in ((0.05, 0.45), (0.52, 0.95)):
        for inset, factor in ((0.12, 0.85), (0.15, 1.05), (0.2, 0.93), (0.22, 1.0)):
            frame = quad(x + inset * wide, y - tall + top * tall, x + (1 - inset) * wide, y - tall + bottom * tall)
            line(image, np.vstack([frame, frame[:1]]), shade(colour, factor), 1)
    brass = near(rng, (70, 150, 190), 20)
    side = x + wide * (0.07 if rng.random() < 0.5 else 0.93)
    middle = y - tall * rng.uniform(0.25, 0.5)
    fill(image, quad(side - 0.03 * wide, middle - 0.14 * wide, side + 0.03 * wide, middle + 0.14 * wide), brass)
    line(image, np.array([(side, middle), (side + 0.14 * wide, middle)]), shade(brass, 0.8), int(max(1, 0.03 * wide)))


def mirror(image: Image, rng: Generator, textures: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a window, or a mirror that shows one: bright panes, bars, curtains, a dark figure, a wide frame."""
    x, y = at
    wide, tall = size * rng.uniform(0.6, 1.6), size * rng.uniform(0.8, 1.8)
    frame = one_of(rng, ((140, 165, 175), (90, 130, 150), (220, 220, 220), (60, 60, 60)))
    border = size * rng.uniform(0.04, 0.14)
    fill(image, quad(x - border, y - tall - border, x + wide + border, y + border), frame)
    fill(image, quad(x, y - tall, x + wide, y), one_of(rng, ((235, 225, 205), (250, 245, 240), (190, 185, 180))))
    for part in np.linspace(0.2, 0.8, int(rng.integers(2, 5))):
        line(
            image,
            np.array([(x + part * wide, y - tall), (x + part * wide, y)]),
            shade(frame, 0.8),
            int(max(1, border / 2)),
        )
    for part in np.linspace(0, 1, int(rng.integers(2, 5)))[1:-1]:
        line(
            image,
            np.array([(x, y - part * tall), (x + wide, y - part * tall)]),
            shade(frame, 1.1),
            int(max(1, border / 3)),
        )
    curtain = one_of(rng, ((150, 90, 40), (180, 180, 190), (60, 60, 120), (80, 120, 120)))
    side = x if rng.random() < 0.5 else x + wide * 0.8
    fill(image, quad(side, y - tall, side + 0.2 * wide, y), curtain)
    if rng.random() < 0.6:
        person(image, rng, textures, (x + wide * rng.uniform(0.1, 0.6), y), tall * 0.5)
    for offset in np.arange(0, border, 3):
        rim = quad(x - offset, y - tall - offset, x + wide + offset, y + offset)
        line(image, np.vstack([rim, rim[:1]]), shade(frame, float(rng.uniform(0.6, 1.3))), 1)


def shelf(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a shelf with books, boxes, jars and balls."""
    x, y = at
    wood = one_of(rng, WOODS)
    floors, wide, tall = int(rng.integers(2, 5)), size * rng.uniform(0.6, 1.6), size * rng.uniform(0.28, 0.5)
    fill(image, quad(x, y - floors * tall, x + wide, y), shade(wood, float(rng.uniform(0.35, 1.0))))
    board = max(1.0, size * 0.04)
    for floor in range(floors + 1):
        level = y - floor * tall
        at_x = x
        while at_x < x + wide and floor < floors:
            at_x += _shelf_thing(image, rng, (at_x, level - board), tall - board, size)
        fill(image, quad(x, level - board, x + wide, level), wood)
    for post in (x, x + wide - board, x + wide * 0.5):
        fill(image, quad(post, y - floors * tall, post + board, y), shade(wood, 1.1))


def _shelf_thing(image: Image, rng: Generator, at: tuple[float, float], room: float, size: float) -> float:
    """Draw one thing on a board; return its width."""
    x, y = at
    colour = one_of(rng, LOUD, 25)
    kind = rng.random()
    if kind < 0.5:
        wide = float(rng.uniform(0.02, 0.08)) * size + 1
        fill(image, quad(x, y - room * rng.uniform(0.5, 0.95), x + wide, y), colour)
    elif kind < 0.7:
        wide = float(rng.uniform(0.12, 0.3)) * size
        fill(image, quad(x, y - room * rng.uniform(0.3, 0.95), x + wide, y), colour)
        fill(image, quad(x + wide * 0.2, y - room * 0.25, x + wide * 0.8, y - room * 0.1), one_of(rng, LOUD))
    elif kind < 0.8:
        wide = float(rng.uniform(0.06, 0.16)) * size
        ball(image, rng, None, (x + wide / 2, y), wide)
    else:
        wide = float(rng.uniform(0.05, 0.3)) * size
    return wide + float(rng.uniform(0, 0.03)) * size


def ball(image: Image, rng: Generator, _: Textures | None, at: tuple[float, float], size: float) -> None:
    """Draw a ball or balloon with a highlight: round and often red, but no sign."""
    radius = size / 2
    colour = one_of(rng, ((30, 30, 200), (30, 30, 200), (40, 160, 230), (160, 80, 30), (60, 150, 60)), 20)
    centre = np.array([at[0], at[1] - radius])
    fill(image, oval(centre, (radius, radius)), shade(colour, 0.65))
    fill(image, oval(centre - radius * 0.12, (radius * 0.8, radius * 0.8)), colour)
    fill(image, oval(centre - radius * 0.4, (radius * 0.2, radius * 0.15)), shade(colour, 2.2))


def guitar(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a guitar leaning at the wall: body, neck with frets, head with pegs."""
    x, y = at
    wood, neck = one_of(rng, WOODS), one_of(rng, ((30, 40, 60), (60, 90, 130), (120, 170, 210)))
    lean = float(rng.normal(0, 0.25))

    def part(points: Points, colour: Colour) -> None:
        fill(image, _spin(points, at, lean), colour)

    body = size * 0.24
    part(oval((x, y - body), (body, body), steps=24), wood)
    part(oval((x, y - 2.2 * body), (0.75 * body, 0.8 * body), steps=24), wood)
    part(oval((x, y - 1.8 * body), (0.3 * body, 0.3 * body)), (20, 22, 26))
    thin = max(1.0, size * 0.03)
    part(quad(x - thin, y - 1.6 * size, x + thin, y - 2 * body), neck)
    for fret in np.linspace(0.75, 1.5, 9):
        ends = np.array([(x - thin, y - fret * size), (x + thin, y - fret * size)])
        line(image, _spin(ends, at, lean), shade(neck, 1.8), 1)
    part(quad(x - 1.8 * thin, y - 1.85 * size, x + 1.8 * thin, y - 1.6 * size), shade(wood, 0.8))
    peg = 0.5 * thin + 0.5
    for high in (1.65, 1.71, 1.77):
        for side in (-2.4, 2.4):
            part(oval((x + side * thin, y - high * size), (peg, peg), steps=8), (150, 200, 215))


def lamp(image: Image, rng: Generator, textures: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a desk lamp's arm on a bell-shaped foot, or a glowing shade."""
    x, y = at
    colour = near(rng, (215, 218, 222), 12) if rng.random() < 0.7 else one_of(rng, LOUD)
    if rng.random() < 0.3:
        glow(image, rng, textures, at, size)
        return
    foot = np.array(
        [(-0.5, 0.0), (-0.48, -0.06), (-0.2, -0.12), (-0.12, -0.5), (0.12, -0.52), (0.3, -0.2), (0.5, -0.06), (0.5, 0)]
    )
    fill(image, foot * size * 0.8 + (x, y), shade(colour, 0.85))
    fill(image, foot[2:6] * size * 0.76 + (x, y), colour)
    top = (x + size * rng.uniform(-0.3, 1.0), y - size * rng.uniform(1.6, 3))
    joint = (x - size * 0.05, y - size * 0.42)
    line(image, np.array([joint, top]), shade(colour, 0.95), int(max(2, size * 0.09)))
    for spot in (joint, top):
        fill(image, oval(spot, (size * 0.07, size * 0.07)), (28, 26, 26))


def glow(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a lamp that lights the wall around it."""
    height, width = image.shape[:2]
    x0, x1 = int(max(0, at[0] - 1.5 * size)), int(min(width, at[0] + 1.5 * size))
    y0, y1 = int(max(0, at[1] - 1.5 * size)), int(min(height, at[1] + 1.5 * size))
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    columns = ((np.arange(x0, x1) - at[0]) / size).astype(np.float32)
    rows = ((np.arange(y0, y1) - at[1]) / size).astype(np.float32)
    light = np.exp(-3 * (columns[None] ** 2 + rows[:, None] ** 2))[..., None]
    colour = np.array([rng.uniform(90, 220), rng.uniform(170, 240), 255], dtype=np.float32)
    area = image[y0:y1, x0:x1]
    area[:] = (area + (colour - area) * np.minimum(1.0, light * float(rng.uniform(0.5, 1.6)))).astype(np.uint8)


def cloth(image: Image, rng: Generator, textures: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a chair's back, a cushion or a curtain in a loud pattern."""
    pattern = textures.fabrics[int(rng.integers(len(textures.fabrics)))]
    half = pattern.shape[0] / 2
    scale = size / half * log_uniform(rng, 0.5, 3.0)
    angle = float(rng.uniform(0, 6.3))
    matrix = cv2.getRotationMatrix2D((half, half), float(np.degrees(angle)), scale)
    matrix[:, 2] += (at[0] - half, at[1] - half)
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False) + rng.uniform(0, 0.3, 14)
    reach = size * rng.uniform(0.75, 1.1, 14) * np.array([rng.uniform(0.5, 1.0)])
    shape = np.stack([at[0] + reach * np.cos(angles), at[1] + reach * np.sin(angles) * rng.uniform(0.8, 2)], axis=1)
    x0, y0 = np.maximum(shape.min(axis=0).astype(int), 0)
    x1, y1 = np.minimum(shape.max(axis=0).astype(int) + 1, (image.shape[1], image.shape[0]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    matrix[:, 2] -= (x0, y0)
    area = image[y0:y1, x0:x1]
    printed = cv2.warpAffine(pattern, matrix, (int(x1 - x0), int(y1 - y0)), borderMode=cv2.BORDER_WRAP)
    mask = np.zeros(area.shape[:2], dtype=np.uint8)
    fill(mask, shape - (x0, y0), 255)
    lit = cv2.convertScaleAbs(printed, alpha=float(rng.uniform(0.4, 1.1)))
    cv2.copyTo(lit, mask, area)


def person(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a dark-clothed body, out of focus."""
    x, y = at
    colour = one_of(rng, ((30, 26, 24), (60, 50, 45), (120, 120, 120), (90, 60, 40), (150, 150, 160)), 10)
    body = np.array([(-0.5, 0), (-0.55, -1.0), (-0.3, -1.6), (0.3, -1.6), (0.55, -1.0), (0.5, 0)]) * size
    fill(image, body * (rng.uniform(0.5, 1.0), 1.0) + at, colour)
    if rng.random() < 0.3:
        fill(image, oval((x, y - 1.85 * size), (0.22 * size, 0.3 * size)), near(rng, (120, 150, 200), 15))


def hand(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw an arm in a sleeve that comes from above, with a hand at its end."""
    x, y = at
    skin = near(rng, (125, 155, 205), 18)
    if rng.random() < 0.25:
        skin = shade(skin, 0.5)
    start = np.array([x + rng.uniform(-2, 2) * size, y - rng.uniform(2, 4) * size])
    wrist = np.array([x, y - 0.5 * size])
    sleeve = one_of(rng, ((30, 26, 24), (40, 30, 28), (120, 60, 40), (90, 90, 90), (40, 40, 150)), 10)
    line(image, np.stack([start, wrist]), sleeve, int(max(3, size * 0.6)))
    fill(image, oval((x, y - 0.3 * size), (0.36 * size, 0.42 * size), float(rng.uniform(-0.6, 0.6))), skin)
    for _finger in range(int(rng.integers(2, 5))):
        tip = np.array([x + rng.uniform(-0.45, 0.45) * size, y + rng.uniform(0.05, 0.4) * size])
        line(
            image,
            np.stack([(x, y - 0.3 * size), tip]),
            shade(skin, float(rng.uniform(0.75, 1.1))),
            int(max(2, size * 0.16)),
        )


def switch(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw one or two wall switches."""
    side = size * 0.3
    colour = near(rng, (225, 225, 228), 10)
    for index in range(int(rng.integers(1, 3))):
        x, y = at[0] + index * side * 1.1, at[1] - size
        fill(image, quad(x, y, x + side, y + side), shade(colour, 0.75))
        fill(image, quad(x + 1, y + 1, x + side - 1, y + side - 1), colour)


def poster(image: Image, rng: Generator, textures: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a picture or page on the wall: a field of colour, lines like writing, a photo-like blur."""
    x, y = at[0], at[1] - size * rng.uniform(0.3, 1.5)
    wide, tall = size * rng.uniform(0.3, 1.2), size * rng.uniform(0.3, 1.2)
    fill(image, quad(x, y - tall, x + wide, y), one_of(rng, LOUD, 30))
    inner = quad(x + 0.1 * wide, y - 0.9 * tall, x + 0.9 * wide, y - 0.5 * tall)
    fill(image, inner, one_of(rng, LOUD, 30))
    ink = one_of(rng, LOUD)
    for row in np.linspace(0.08, 0.42, int(rng.integers(2, 7))):
        ends = np.array([(x + 0.12 * wide, y - row * tall), (x + wide * rng.uniform(0.4, 0.9), y - row * tall)])
        line(image, ends, ink, int(max(1, 0.03 * tall)))


def plant(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a plant: leaves on stems."""
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
        fill(image, quad(x, top, x + wide, min(y, top + height)), colours[int(index)])
        top = min(y, top + height)
    fill(image, quad(x, top, x + wide, y), colours[2])
    for part in np.arange(0.05, 0.9, 0.2):
        fill(image, quad(x + part * wide, y - tall * 0.8, x + (part + 0.13) * wide, y - tall * 0.5), (36, 32, 30))
        fill(image, oval((x + (part + 0.08) * wide, y), (0.1 * size, 0.1 * size)), (24, 24, 24))
    for part in np.arange(0, wide, max(3.0, size * 0.08)):
        fill(image, quad(x + part, y - tall - size * 0.03, x + part + size * 0.04, y - tall), colours[3])
    for side in (0.05, 0.12):
        fill(image, oval((x + side * wide, y - 0.3 * tall), (0.04 * size, 0.04 * size), steps=10), one_of(rng, LOUD))


def bottle(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a bottle, mug or jar, some with a label."""
    x, y = at
    wide, tall = size * rng.uniform(0.12, 0.3), size * rng.uniform(0.2, 0.8)
    colour = one_of(rng, LOUD, 20)
    fill(image, quad(x, y - tall, x + wide, y), colour)
    fill(image, quad(x + 0.2 * wide, y - tall, x + 0.35 * wide, y), shade(colour, 1.4))
    if rng.random() < 0.5:
        fill(image, quad(x, y - 0.6 * tall, x + wide, y - 0.25 * tall), one_of(rng, LOUD))
    if rng.random() < 0.5:
        fill(image, quad(x + 0.3 * wide, y - 1.3 * tall, x + 0.7 * wide, y - tall), shade(colour, 0.8))


def screen(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a dark monitor, box or speaker."""
    x, y = at
    wide, tall = size * rng.uniform(0.4, 1.6), size * rng.uniform(0.4, 1.0)
    colour = near(rng, (32, 30, 30), 8)
    fill(image, quad(x, y - tall, x + wide, y), colour)
    fill(image, quad(x + 0.04 * wide, y - 0.96 * tall, x + 0.96 * wide, y - 0.1 * tall), shade(colour, 0.7))
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
    """Draw a distant chair or table: legs, rails and boards."""
    x, y = at
    colour = one_of(rng, (*WOODS, (40, 40, 40), (200, 200, 200)))
    wide, tall = size * rng.uniform(0.4, 1.2), size * rng.uniform(0.5, 1.4)
    fill(image, quad(x, y - tall, x + wide, y - tall + max(2, 0.1 * size)), colour)
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
    """Draw plain shapes in loud colours."""
    for _shape in range(int(rng.integers(3, 12))):
        centre = np.asarray(at) + rng.normal(0, size * 0.6, 2)
        colour, reach = one_of(rng, LOUD, 30), size * float(rng.uniform(0.04, 0.35))
        kind = rng.random()
        if kind < 0.35:
            fill(image, centre + rng.uniform(-reach, reach, (int(rng.integers(4, 8)), 2)), colour)
        elif kind < 0.55:
            fill(image, oval(centre, (reach, reach * float(rng.uniform(0.3, 0.9))), float(rng.uniform(0, 3))), colour)
        elif kind < 0.8:
            fill(image, quad(*(centre - reach), *(centre + reach * rng.uniform(0.1, 1, 2))), colour)
        else:
            line(image, centre + rng.uniform(-2 * reach, 2 * reach, (4, 2)), colour, int(max(1, reach * 0.15)))


def cable(image: Image, rng: Generator, _: Textures, at: tuple[float, float], size: float) -> None:
    """Draw a thin pole, string or cable across the picture."""
    steps = np.cumsum(rng.normal(0, 0.35, (6, 2)) + rng.normal(0, 0.6, 2), axis=0) * size
    line(image, np.asarray(at) + steps, near(rng, (40, 40, 40), 25), int(rng.integers(1, 4)))
