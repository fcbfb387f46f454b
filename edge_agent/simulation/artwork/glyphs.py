"""Digits and a few capitals as strokes, in several weights and widths; own shapes, not taken from a font."""

import math
from dataclasses import dataclass

Path = list[tuple[float, float]]


@dataclass(frozen=True)
class Font:
    """Parameters of a lettering, in fractions of the letters' height.

    Args:
        weight: thickness of a stroke.
        width: width of a letter, strokes included.
        gap: free space between letters.
        slant: how far the top leans to the right.
        blunt: square stroke ends instead of round ones.
    """

    weight: float = 0.15
    width: float = 0.58
    gap: float = 0.1
    slant: float = 0.0
    blunt: bool = True


FONTS: dict[str, Font] = {
    "plain": Font(),
    "thin": Font(weight=0.105, width=0.56, gap=0.12),
    "bold": Font(weight=0.21, width=0.6, gap=0.08),
    "narrow": Font(weight=0.16, width=0.46, gap=0.08),
    "tall": Font(weight=0.2, width=0.54, gap=0.1),
    "heavy": Font(weight=0.23, width=0.52, gap=0.06),
    "round": Font(weight=0.17, width=0.6, gap=0.1, blunt=False),
    "wide": Font(weight=0.16, width=0.72, gap=0.1),
    "slanted": Font(weight=0.16, width=0.56, slant=0.14),
}
"""All letterings, by name."""


def _arc(cx: float, cy: float, rx: float, ry: float, *degrees: float) -> Path:
    """Return points along an ellipse from the first of two angles to the second; 0 points right, 90 down."""
    start_deg, end_deg = degrees
    steps = max(4, int(abs(end_deg - start_deg) / 12))
    angles = [math.radians(start_deg + (end_deg - start_deg) * i / steps) for i in range(steps + 1)]
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


# Centre lines in a box of 1 x 1 (y down), which is scaled so that the strokes just fit the letter.
_GLYPHS: dict[str, list[Path]] = {
    "0": [_arc(0.5, 0.32, 0.5, 0.32, 180, 360) + _arc(0.5, 0.68, 0.5, 0.32, 0, 180) + [(0.0, 0.32)]],
    "1": [[(0.12, 0.24), (0.58, 0.0), (0.58, 1.0)]],
    "2": [[*_arc(0.5, 0.28, 0.48, 0.28, 190, 385), (0.0, 1.0), (1.0, 1.0)]],
    "3": [_arc(0.46, 0.26, 0.44, 0.26, 200, 450), _arc(0.46, 0.74, 0.52, 0.26, 270, 520)],
    "4": [[(0.74, 1.0), (0.74, 0.0), (0.0, 0.68), (1.0, 0.68)]],
    "5": [[(0.92, 0.0), (0.16, 0.0), (0.1, 0.46), *_arc(0.48, 0.68, 0.5, 0.32, 220, 505)]],
    "6": [_arc(0.5, 0.68, 0.5, 0.32, 0, 360), [*_arc(0.92, 0.62, 0.92, 0.62, 260, 180), (0.0, 0.68)]],
    "7": [[(0.0, 0.0), (1.0, 0.0), (0.36, 1.0)]],
    "8": [_arc(0.5, 0.24, 0.42, 0.24, 0, 360), _arc(0.5, 0.73, 0.5, 0.27, 0, 360)],
    "9": [_arc(0.5, 0.32, 0.5, 0.32, 0, 360), [*_arc(0.08, 0.38, 0.92, 0.62, 80, 0), (1.0, 0.32)]],
    "B": [
        [(0.0, 0.0), (0.0, 1.0), (0.55, 1.0), *_arc(0.55, 0.74, 0.45, 0.26, 90, -90), (0.0, 0.48)],
        [(0.0, 0.0), (0.5, 0.0), *_arc(0.5, 0.24, 0.42, 0.24, -90, 90)],
    ],
    "H": [[(0.0, 0.0), (0.0, 1.0)], [(1.0, 0.0), (1.0, 1.0)], [(0.0, 0.5), (1.0, 0.5)]],
    "O": [_arc(0.5, 0.34, 0.5, 0.34, 180, 360) + _arc(0.5, 0.66, 0.5, 0.34, 0, 180) + [(0.0, 0.34)]],
    "P": [[(0.0, 1.0), (0.0, 0.0), (0.5, 0.0), *_arc(0.55, 0.28, 0.45, 0.28, -90, 90), (0.0, 0.56)]],
    "S": [[*_arc(0.5, 0.26, 0.48, 0.26, -20, -270), *_arc(0.5, 0.74, 0.5, 0.26, -90, 160)]],
    "T": [[(0.0, 0.0), (1.0, 0.0)], [(0.5, 0.0), (0.5, 1.0)]],
    "U": [[(0.0, 0.0), (0.0, 0.68), *_arc(0.5, 0.68, 0.5, 0.32, 180, 0), (1.0, 0.0)]],
    " ": [],
}


def text_strokes(words: str, font: Font) -> list[Path]:
    """Return the centre lines of a line of text, centred on (0, 0) with a height of 1; strokes are `font.weight` thick.

    Raises:
        KeyError: a character that no sign of ours uses.
    """
    advance = font.width + font.gap
    total = len(words) * advance - font.gap
    inner_w, inner_h = font.width - font.weight, 1.0 - font.weight
    paths: list[Path] = []
    for index, character in enumerate(words):
        left = index * advance - total / 2 + font.weight / 2
        for path in _GLYPHS[character]:
            placed = [(left + x * inner_w, y * inner_h - inner_h / 2) for x, y in path]
            paths.append([(x - y * font.slant, y) for x, y in placed])
    return paths
