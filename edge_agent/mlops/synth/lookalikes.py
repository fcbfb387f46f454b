"""Painters of things that resemble a sign by outline or colour: lamps on poles, framed pictures, discs, wedges, books.

Called as in `props`, but the place (x, y) is the centre of the conspicuous part, and the size its longer side in
pixels; poles and stands extend downwards from it. None shows the print of a sign.
"""

import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import patterns
from edge_agent.mlops.synth.props import LOUD, WOODS, one_of
from edge_agent.mlops.synth.textures import Textures
from edge_agent.mlops.synth.view import Colour, Image, Points, fill, line, near, oval, quad, shade

Place = tuple[float, float]

_PALE: tuple[Colour, ...] = (
    (238, 240, 242), (225, 235, 240), (190, 220, 238), (205, 208, 210), (245, 245, 245), (170, 205, 230),
)  # fmt: skip
_METAL: tuple[Colour, ...] = ((35, 33, 32), (60, 58, 56), (120, 120, 122), (200, 202, 205), (90, 130, 160))
_BARS: tuple[Colour, ...] = (
    (40, 60, 105), (30, 42, 70), (60, 95, 150), (225, 230, 235), (170, 200, 225), (35, 35, 180), (28, 26, 26),
)  # fmt: skip
_SHADES: tuple[Points, ...] = tuple(
    np.array(points, dtype=float)
    for points in (
        [(-0.28, -0.35), (0.28, -0.35), (0.5, 0.35), (-0.5, 0.35)],  # trapezoid
        [(-0.38, -0.3), (0.38, -0.3), (0.5, 0.3), (-0.5, 0.3)],
        [(-0.5, -0.32), (0.5, -0.32), (0.5, 0.32), (-0.5, 0.32)],  # drum
        [(-0.26, -0.5), (0.26, -0.5), (0.26, 0.5), (-0.26, 0.5)],
        [(-0.14, -0.4), (0.14, -0.4), (0.5, 0.4), (-0.5, 0.4)],  # cone
        [(-0.5, 0.28), (-0.46, 0.0), (-0.3, -0.24), (0, -0.32), (0.3, -0.24), (0.46, 0.0), (0.5, 0.28)],  # dome
        [(-0.5, -0.3), (0.5, -0.3), (0.2, 0.3), (-0.2, 0.3)],  # bowl, light upwards
    )
)


def halo(image: Image, rng: Generator, at: Place, reach: float) -> None:
    """Draw the light of a lamp on its background."""
    x0, x1 = int(max(0, at[0] - 2 * reach)), int(min(image.shape[1], at[0] + 2 * reach))
    y0, y1 = int(max(0, at[1] - 2 * reach)), int(min(image.shape[0], at[1] + 2 * reach))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    columns, rows = (np.arange(x0, x1) - at[0]) / reach, (np.arange(y0, y1) - at[1]) / reach
    light = np.exp(-float(rng.uniform(0.8, 3)) * (columns[None] ** 2 + rows[:, None] ** 2))[..., None]
    colour = np.array([rng.uniform(150, 250), rng.uniform(215, 250), 255], dtype=np.float32)
    area = image[y0:y1, x0:x1]
    area[:] = (area + (colour - area) * np.minimum(1.0, light * float(rng.uniform(0.25, 1.3)))).astype(np.uint8)


def lamp(image: Image, rng: Generator, textures: Textures, at: Place, size: float) -> None:
    """Draw a floor or desk lamp: a pale shade on a thin pole, lit or not, with a foot or none in sight."""
    lit = rng.random() < 0.55
    colour = near(rng, _PALE[int(rng.integers(len(_PALE)))], 8) if rng.random() < 0.85 else one_of(rng, LOUD)
    if lit:
        colour = shade(colour, 1.12)
        halo(image, rng, (at[0], at[1] + size * float(rng.uniform(-0.4, 0.4))), size * float(rng.uniform(0.6, 1.8)))
    _stem(image, rng, at, size)
    kind = rng.random()
    if kind < 0.68:
        outline = _SHADES[int(rng.integers(len(_SHADES)))] * size * (1, rng.uniform(0.75, 1.25)) + at
    elif kind < 0.86:
        outline = oval(at, (size / 2, size / 2 * float(rng.uniform(0.8, 1.0))), steps=28)
    else:
        outline = oval(at, (size * float(rng.uniform(0.12, 0.3)), size / 2))
    _shade_of_lamp(image, rng, outline, colour)


def _shade_of_lamp(image: Image, rng: Generator, outline: Points, colour: Colour) -> None:
    """Fill a shade: plain or brighter at one side, at times with a rim or a seam."""
    middle = outline.mean(axis=0)
    fill(image, outline, shade(colour, float(rng.uniform(0.86, 1.0))))
    inner = (
        (outline - middle) * float(rng.uniform(0.5, 0.9))
        + middle
        + (0, np.ptp(outline[:, 1]) * rng.uniform(-0.05, 0.1))
    )
    fill(image, inner, colour)
    if rng.random() < 0.35:
        line(image, np.vstack([outline, outline[:1]]), shade(colour, float(rng.uniform(0.35, 0.9))), 1)
    if rng.random() < 0.15:
        low = outline[outline[:, 1] > middle[1]]
        if len(low) > 1:
            line(image, low, one_of(rng, LOUD), 1)


def _stem(image: Image, rng: Generator, at: Place, size: float) -> None:
    """Draw a lamp's pole: straight, leaning, or a bent arm on a clip; dark, pale or brass."""
    metal = one_of(rng, _METAL, 8)
    wide = int(max(1, round(size * float(rng.choice([0.03, 0.05, 0.09])))))
    top = np.array([at[0], at[1] + 0.1 * size])
    if rng.random() < 0.15:  # an arm that comes from the side, clipped to something
        elbow = top + size * np.array([rng.uniform(-1.2, 1.2), rng.uniform(-1, 0.8)])
        clip = elbow + size * np.array([rng.uniform(-0.5, 0.5), rng.uniform(0.6, 1.8)])
        line(image, np.stack([top, elbow, clip]), metal, wide)
        fill(image, quad(*(clip - 0.12 * size), *(clip + 0.16 * size)), shade(metal, 0.8))
        return
    reach = float(rng.uniform(1.0, 3.0)) if rng.random() < 0.5 else 9.0
    foot = top + size * np.array([rng.normal(0, 0.12), reach])
    line(image, np.stack([top, foot]), metal, wide)
    if rng.random() < 0.6:
        fill(image, oval(foot, (size * rng.uniform(0.2, 0.45), size * rng.uniform(0.04, 0.12))), metal)


def neck(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw the head and neck of a guitar, or a post: bars of brown, white and red across, knobs at the sides."""
    tall, wide = size, size * float(rng.uniform(0.14, 0.45))
    x, y = at
    lean = float(rng.normal(0, 0.15))
    ground, bar = one_of(rng, _BARS, 10), one_of(rng, _BARS, 10)
    taper = float(rng.uniform(0.6, 1.15))

    def across(part: float) -> Points:
        half = wide / 2 * (1 + (taper - 1) * part)
        middle = x + lean * (0.5 - part) * tall
        return np.array([(middle - half, y + (part - 0.5) * tall), (middle + half, y + (part - 0.5) * tall)])

    below = np.array([x - lean * 0.5 * tall, y + 0.4 * tall])
    end = below + tall * np.array([-lean, 1.0]) * float(rng.uniform(0.5, 4))
    line(image, np.stack([below, end]), shade(ground, 0.9), int(max(1, wide * rng.uniform(0.3, 0.9))))
    fill(image, np.vstack([across(0), across(1)[::-1]]), ground)
    count = int(rng.integers(2, 8))
    thick = float(rng.uniform(0.25, 0.6)) / count
    for part in np.linspace(0.04, 0.96 - thick, count):
        if rng.random() < 0.93:
            fill(image, np.vstack([across(part), across(part + thick)[::-1]]), bar)
    if rng.random() < 0.45:
        knob, sides = max(0.6, wide * 0.12), (0, 1) if rng.random() < 0.6 else (int(rng.integers(2)),)
        for part in np.linspace(0.1, 0.9, 3 if len(sides) == 2 else 6):
            for side in sides:
                fill(image, oval(across(part)[side], (knob, knob), steps=10), one_of(rng, _PALE))


def framed(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a picture on a wall: a frame, a mount at times, a loud print."""
    half = size / 2 * np.array([1.0, rng.uniform(0.55, 1.0)])
    half = half if rng.random() < 0.4 else half[::-1]
    skew = rng.normal(0, 0.03, (4, 2)) * size
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    frame = one_of(rng, (*WOODS, (30, 28, 28), (30, 28, 28), (235, 235, 235), (70, 160, 200)))
    fill(image, corners * half + skew + at, frame)
    inner = float(rng.uniform(0.72, 0.94))
    if rng.random() < 0.3:
        fill(image, (corners * half + skew) * inner + at, near(rng, (235, 238, 240), 8))
        inner *= float(rng.uniform(0.6, 0.85))
    patterns.lay(image, rng, patterns.card(rng), (corners * half + skew) * inner + at)


def armchair(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a chair's round back, with a seat or arms at times, in one loud pattern."""
    sheet, wide, tall = patterns.card(rng), size, size * float(rng.uniform(0.5, 1.1))
    zoom = float(rng.choice([0.4, 0.7, 1.0]))
    power = float(rng.uniform(0.25, 0.9))
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)
    back = (
        np.stack([np.sign(cos) * np.abs(cos) ** power * wide, np.sign(sin) * np.abs(sin) ** power * tall], axis=1) / 2
    )
    if rng.random() < 0.6:
        back[:, 1] = np.minimum(back[:, 1], tall * float(rng.uniform(0.0, 0.4)))
    patterns.lay(image, rng, sheet, back + at, zoom=zoom)
    if rng.random() < 0.4:
        for side in (-1, 1):
            arm = back * (0.25, 0.5) + at + (side * 0.5 * wide, 0.25 * tall)
            patterns.lay(image, rng, sheet, arm, zoom=zoom)


def wedge(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw a corner of cloth: an uneven wedge or lobe, often yellow, plain or printed, with a dark rim at times."""
    turn = float(rng.uniform(0, 6.3))
    angles = turn + np.cumsum(rng.uniform(0.9, 2.9, int(rng.integers(3, 6))))
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * size * rng.uniform(0.3, 0.6, (len(angles), 1)) + at
    if outline[:, 1].mean() > (outline[:, 1].min() + outline[:, 1].max()) / 2:
        outline[:, 1] = 2 * at[1] - outline[:, 1]  # a yellow triangle that points up is a sign
    if rng.random() < 0.5:
        around = (outline - at) * float(rng.uniform(1.15, 2.2)) + at
        fill(image, around, one_of(rng, patterns.INKS))
    if rng.random() < 0.6:
        fill(image, outline, near(rng, patterns.YELLOW, 20) if rng.random() < 0.7 else one_of(rng, patterns.INKS))
    else:
        patterns.lay(image, rng, patterns.card(rng), outline)


def pennants(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw small flags that hang from a string, point downwards, a row of them or one."""
    count, step = int(rng.integers(1, 7)), np.array([size * rng.uniform(0.9, 1.4), size * rng.normal(0, 0.1)])
    start = np.asarray(at) - step * (count - 1) / 2
    line(image, np.stack([start - step, start + step * count]), one_of(rng, _METAL), 1)
    for index in range(count):
        flag = np.array([(-0.42, 0.0), (0.42, 0.0), (rng.normal(0, 0.1), rng.uniform(0.7, 1.1))]) * size
        patch = flag + start + step * index
        if rng.random() < 0.75:
            fill(image, patch, one_of(rng, patterns.INKS))
        else:
            patterns.lay(image, rng, patterns.card(rng), patch)


_REDS: tuple[Colour, ...] = ((35, 30, 200), (30, 25, 165), (60, 60, 215), (40, 50, 140))
_WHITES: tuple[Colour, ...] = ((240, 240, 240), (215, 222, 228), (190, 195, 198))
_GREYS: tuple[Colour, ...] = ((40, 38, 38), (110, 112, 115), (165, 168, 170))


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
    fill(image, quad(x0, y0, x1, y1), red)
    fill(image, quad(x1 - 0.2 * wide, y0, x1, y1), shade(red, 0.75))
    for _stripe in range(int(rng.integers(1, 4))):
        part = float(rng.uniform(0.04, 0.3)) if rng.random() < 0.5 else float(rng.uniform(0.65, 0.9))
        top, thick = y0 + size * part, size * float(rng.uniform(0.03, 0.14))  # a bar in the middle is no entry's
        fill(image, quad(x0, top, x1, min(y1, top + thick)), one_of(rng, _WHITES))


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
        spine = quad(x, bottom - tall, x + wide, bottom)
        if rng.random() < 0.3:
            patterns.lay(image, rng, patterns.card(rng), spine)
        else:
            fill(image, spine, colour)
            for _band in range(int(rng.integers(0, 4))):
                top = bottom - tall * float(rng.uniform(0.1, 0.95))
                fill(image, quad(x, top, x + wide, top + max(1.0, tall * 0.07)), one_of(rng, LOUD))
        x += wide + float(rng.choice([0.0, 0.02, 0.3])) * size


def stack(image: Image, rng: Generator, _: Textures, at: Place, size: float) -> None:
    """Draw two to four bright dots or drops above each other on something dark, never red over yellow over green."""
    wide = size * float(rng.uniform(0.25, 0.8))
    ground = one_of(rng, ((30, 28, 28), (60, 45, 30), (30, 40, 70), (50, 60, 60)), 10)
    fill(image, quad(at[0] - wide / 2, at[1] - size / 2, at[0] + wide / 2, at[1] + size / 2), ground)
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
    plate = quad(at[0] - wide / 2, at[1] - size / 2, at[0] + wide / 2, at[1] + size / 2)
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
