"""Sign faces, discs, triangles, squares and signal plates with their prints, and the style of a print.

Every drawing function returns (h, w, 4) uint8 BGRA, the alpha being the outline of the sign.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.simulation.artwork import pictograms
from edge_agent.simulation.artwork.canvas import Canvas, Colour, Point, ellipse, rounded
from edge_agent.simulation.artwork.glyphs import FONTS

BLACK: Colour = (22, 20, 20)
WHITE: Colour = (240, 240, 240)
POLE_BGR: Colour = (26, 24, 24)
"""Colour of the thin pole under every toy sign."""
BASE_BGR: Colour = (128, 122, 118)
"""Colour of the square base of the pole."""
BACK_BGR: Colour = (92, 88, 86)
"""Colour of a sign's back."""


@dataclass(frozen=True)
class Style:
    """The style of one print run of toy signs. Colours are BGR; lengths are fractions of the sign's height.

    Args:
        font: name of a font in `glyphs.FONTS` for digits and words; empty for the artwork's usual one.
        rim: width of the white rim outside a disc's ring.
        ring: width of a red ring.
        digits: height of a speed limit's digits.
        border: width of a triangle's black border.
        pictogram: size of a pictogram relative to its usual one.
    """

    font: str = ""
    rim: float = 0.085
    ring: float = 0.06
    digits: float = 0.42
    border: float = 0.055
    pictogram: float = 1.0
    yellow: Colour = (8, 205, 250)
    red: Colour = (42, 24, 214)
    blue: Colour = (205, 112, 12)
    white: Colour = WHITE
    black: Colour = BLACK
    back: Colour = BACK_BGR


TOY = Style()
"""The usual style."""

Image = NDArray[np.uint8]

_MIDDLE: Point = (0.5, 0.5)
TRIANGLE_ASPECT = 1.13
"""Width over height of the triangular toy signs (a rounded equilateral triangle)."""
SIGNAL_ASPECT = 0.5
"""Width over height of a signal plate."""
LAMP_RED: Colour = (36, 36, 235)
LAMP_AMBER: Colour = (20, 170, 250)
LAMP_GREEN: Colour = (60, 200, 50)
LAMP_OFF: Colour = (48, 46, 44)


def _disc(height_px: int, ground: Colour) -> Canvas:
    canvas = Canvas(height_px, 1.0, ground)
    canvas.outline(ellipse(_MIDDLE, (0.495, 0.495), steps=96))
    return canvas


def _square(height_px: int, ground: Colour) -> Canvas:
    canvas = Canvas(height_px, 1.0, ground)
    canvas.outline(rounded([(0.005, 0.005), (0.995, 0.005), (0.995, 0.995), (0.005, 0.995)], 0.03))
    return canvas


def speed_limit(height_px: int, style: Style, words: str, usual_font: str) -> Image:
    """Draw a white disc, a red ring inside a white rim, black digits."""
    canvas = _disc(height_px, style.white)
    canvas.disc(_MIDDLE, 0.5 - style.rim, style.red)
    canvas.disc(_MIDDLE, 0.5 - style.rim - style.ring, style.white)
    height = style.digits if len(words) < 3 else style.digits * 0.72
    canvas.text(words, _MIDDLE, height, FONTS[style.font or usual_font], style.black)
    return canvas.finish()


def danger(height_px: int, style: Style, pictogram: pictograms.Painter, scale: float) -> Image:
    """Draw a yellow triangle, a black border inside it, a black pictogram."""
    width = TRIANGLE_ASPECT
    corners = [(width / 2, -0.055), (width + 0.05, 0.995), (-0.05, 0.995)]
    canvas = Canvas(height_px, width, style.yellow)
    canvas.outline(rounded(corners, 0.08))
    centre = (width / 2, 0.64)
    for inset, colour in ((0.72, style.black), (0.72 - 3.0 * style.border, style.yellow)):
        inner = [(centre[0] + (x - centre[0]) * inset, centre[1] + (y - centre[1]) * inset) for x, y in corners]
        canvas.polygon(rounded(inner, 0.025), colour)
    pictogram(canvas, (width / 2, 0.66), 0.38 * scale * style.pictogram, style.black)
    return canvas.finish()


def stop(height_px: int, style: Style) -> Image:
    """Draw a round red disc with a thin white rim and white letters."""
    canvas = _disc(height_px, style.white)
    canvas.disc(_MIDDLE, 0.5 - style.rim * 0.7, style.red)
    canvas.text("STOP", _MIDDLE, style.digits * 0.74, FONTS[style.font or "tall"], style.white)
    return canvas.finish()


def no_entry(height_px: int, style: Style) -> Image:
    """Draw a red disc with a white rim and a white bar."""
    canvas = _disc(height_px, style.white)
    canvas.disc(_MIDDLE, 0.5 - style.rim * 0.7, style.red)
    canvas.box(0.17, 0.41, 0.83, 0.59, style.white)
    return canvas.finish()


def mandatory(height_px: int, style: Style, pictogram: pictograms.Painter, scale: float) -> Image:
    """Draw a blue disc with a white rim and a white pictogram."""
    canvas = _disc(height_px, style.white)
    canvas.disc(_MIDDLE, 0.5 - style.rim * 0.6, style.blue)
    pictogram(canvas, _MIDDLE, 0.6 * scale * style.pictogram, style.white)
    return canvas.finish()


def pedestrian_crossing(height_px: int, style: Style) -> Image:
    """Draw a blue square with a white triangle, a black walker and zebra stripes."""
    canvas = _square(height_px, style.white)
    canvas.box(0.035, 0.035, 0.965, 0.965, style.blue)
    canvas.polygon([(0.5, 0.1), (0.93, 0.86), (0.07, 0.86)], style.white)
    for x in (0.2, 0.34, 0.62, 0.76):
        lean = (0.5 - x) * 0.34
        stripe = [(x, 0.84), (x + lean, 0.66), (x + lean + 0.045, 0.66), (x + 0.06, 0.84)]
        canvas.polygon(stripe, style.black)
    pictograms.walker(canvas, (0.5, 0.56), 0.56 * style.pictogram, style.black)
    return canvas.finish()


def bus_stop(height_px: int, style: Style) -> Image:
    """Draw a blue square with a bus on white above the words BUS STOP."""
    canvas = _square(height_px, style.white)
    canvas.box(0.04, 0.04, 0.96, 0.96, style.blue)
    canvas.box(0.1, 0.1, 0.9, 0.6, style.white)
    pictograms.bus(canvas, (0.5, 0.36), 0.5 * style.pictogram, style.black)
    canvas.text("BUS STOP", (0.5, 0.79), 0.17, FONTS[style.font or "narrow"], style.white)
    return canvas.finish()


def parking(height_px: int, style: Style, letter: str) -> Image:
    """Draw a blue square with one white letter."""
    canvas = _square(height_px, style.white)
    canvas.box(0.04, 0.04, 0.96, 0.96, style.blue)
    canvas.text(letter, _MIDDLE, 0.6, FONTS[style.font or "bold"], style.white)
    return canvas.finish()


def prohibited(height_px: int, style: Style, pictogram: pictograms.Painter, *, on_square: bool) -> Image:
    """Draw a red ring with a bar across a black pictogram, on a white square or a disc."""
    canvas = _square(height_px, style.white) if on_square else _disc(height_px, style.white)
    radius = 0.44 if on_square else 0.5 - style.rim * 0.6
    canvas.disc(_MIDDLE, radius, style.red)
    canvas.disc(_MIDDLE, radius - 0.075, style.white)
    pictogram(canvas, _MIDDLE, 0.46 * style.pictogram, style.black)
    reach = (radius - 0.03) * 0.7071
    canvas.stroke([(0.5 - reach, 0.5 - reach), (0.5 + reach, 0.5 + reach)], 0.07, style.red)
    return canvas.finish()


def give_way(height_px: int, style: Style) -> Image:
    """Draw a white triangle on its tip with a red border."""
    width = TRIANGLE_ASPECT
    corners = [(width / 2, 1.055), (width + 0.05, 0.005), (-0.05, 0.005)]
    canvas = Canvas(height_px, width, style.red)
    canvas.outline(rounded(corners, 0.08))
    centre = (width / 2, 0.36)
    inner = [(centre[0] + (x - centre[0]) * 0.6, centre[1] + (y - centre[1]) * 0.6) for x, y in corners]
    canvas.polygon(rounded(inner, 0.03), style.white)
    return canvas.finish()


def signal(height_px: int, style: Style, lit: tuple[bool, bool, bool]) -> Image:
    """Draw a black body with three lamps: red, amber, green from the top."""
    canvas = Canvas(height_px, SIGNAL_ASPECT, style.black)
    canvas.outline(rounded([(0.005, 0.005), (0.495, 0.005), (0.495, 0.995), (0.005, 0.995)], 0.04))
    for y, colour, on in zip((0.2, 0.5, 0.8), (LAMP_RED, LAMP_AMBER, LAMP_GREEN), lit, strict=True):
        canvas.disc((0.25, y), 0.135, (70, 66, 64))
        dull: Colour = (colour[0] // 4 + 20, colour[1] // 4 + 20, colour[2] // 4 + 20)
        canvas.disc((0.25, y), 0.115, colour if on else dull)
    return canvas.finish()


def foot_signal(height_px: int, style: Style, lit: tuple[bool, bool]) -> Image:
    """Draw a yellow plate with two lamps under black visors: a standing red man, a walking green one."""
    canvas = Canvas(height_px, SIGNAL_ASPECT, style.yellow)
    canvas.outline(rounded([(0.005, 0.005), (0.495, 0.005), (0.495, 0.995), (0.005, 0.995)], 0.02))
    men = ((0.28, LAMP_RED, pictograms.stander, style.yellow), (0.74, LAMP_GREEN, pictograms.walker, (150, 250, 190)))
    for (y, colour, man, inside), on in zip(men, lit, strict=True):
        canvas.stroke(ellipse((0.25, y), (0.19, 0.19), 170, 370, 24), 0.035, style.black)
        canvas.disc((0.25, y), 0.165, style.black)
        canvas.disc((0.25, y), 0.15, colour if on else LAMP_OFF)
        man(canvas, (0.25, y), 0.24, inside if on else (96, 92, 88))
    return canvas.finish()


def back(height_px: int, face: Image, style: Style) -> Image:
    """Draw the back of a sign with the outline of `face`: plain plastic with the black clip of the pole."""
    height, width = face.shape[:2]
    aspect = width / height
    canvas = Canvas(height_px, aspect, style.back)
    half = 0.09
    canvas.box(aspect / 2 - half, 0.42, aspect / 2 + half, 1.0, style.black)
    picture = canvas.finish()
    picture[..., 3] = face[..., 3]
    return picture
