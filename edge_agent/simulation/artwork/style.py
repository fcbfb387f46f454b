"""The looks of a toy sign that may vary from one maker or print to another: colours, fonts, widths of rims.

Knows default colours, which follow a common set of brick-compatible toy signs. Knows no shape.
"""

from dataclasses import dataclass

Colour = tuple[int, int, int]

BLACK: Colour = (22, 20, 20)
WHITE: Colour = (240, 240, 240)
POLE_BGR: Colour = (26, 24, 24)
"""Colour of the thin pole under every toy sign."""
BASE_BGR: Colour = (128, 122, 118)
"""Colour of the square plate that the pole stands in."""
BACK_BGR: Colour = (92, 88, 86)
"""Colour of a sign's back."""


@dataclass(frozen=True)
class Style:
    """One print run of the toy signs. Colours are BGR; lengths are fractions of the sign's height.

    Args:
        font: name of a font in `glyphs.FONTS` for digits and words; empty: the one this artwork usually has.
        rim: width of the white rim outside a disc's ring.
        ring: width of a red ring.
        digits: height of a speed limit's digits.
        border: width of a triangle's black border.
        pictogram: size of a pictogram against its usual one.
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
"""The usual print."""
