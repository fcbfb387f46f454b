"""Draw detections into a picture."""

import colorsys
import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box, Detection
from edge_agent.signs import CLASS_IDS, Sign

Colour = tuple[int, int, int]
"""Blue, green, red; 0..255 each."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)


def draw(image: NDArray[np.uint8], detections: Sequence[Detection]) -> NDArray[np.uint8]:
    """Return a copy of a (height, width, 3) uint8 BGR picture with a labelled box for each detection, best on top."""
    drawn = image.copy()
    unit = max(1, round(min(image.shape[:2]) / 400))
    for detection in reversed(detections):
        _draw_box(drawn, detection.box, colour_of(detection.label), unit)
    for detection in reversed(detections):
        _draw_label(drawn, detection, unit)
    return drawn


def colour_of(label: str) -> Colour:
    """Return the colour of a label: always the same, and well apart from those of the other known signs."""
    if label in CLASS_IDS:
        red, green, blue = bytes.fromhex(Sign(label).facts.colour[1:])
        return blue, green, red
    hue = zlib.crc32(label.encode()) / 2**32
    blue, green, red = (round(255 * part) for part in reversed(colorsys.hsv_to_rgb(hue, 0.85, 1.0)))
    return blue, green, red


def _draw_box(image: NDArray[np.uint8], box: Box, colour: Colour, unit: int) -> None:
    """Draw a rectangle just outside the box, with a dark edge so that it is visible on any background."""
    first = (round(box.x1) - unit, round(box.y1) - unit)
    second = (round(box.x2) + unit, round(box.y2) + unit)
    cv2.rectangle(image, first, second, _BLACK, 4 * unit)
    cv2.rectangle(image, first, second, colour, 2 * unit)


def _draw_label(image: NDArray[np.uint8], detection: Detection, unit: int) -> None:
    """Draw label and score on a plate above the box, or below where there is no room, always inside the picture."""
    text = f"{detection.label.replace('_', ' ')} {detection.score:.2f}"
    scale = 0.45 * unit
    (width, height), below = cv2.getTextSize(text, _FONT, scale, unit)
    pad = 3 * unit
    plate_width, plate_height = width + 2 * pad, height + below + 2 * pad
    left = max(0, min(round(detection.box.x1) - unit, image.shape[1] - plate_width))
    top = round(detection.box.y1) - 3 * unit - plate_height
    if top < 0:
        top = min(round(detection.box.y2) + 3 * unit, image.shape[0] - plate_height)
    colour = colour_of(detection.label)
    cv2.rectangle(image, (left, top), (left + plate_width - 1, top + plate_height - 1), colour, cv2.FILLED)
    cv2.putText(image, text, (left + pad, top + pad + height), _FONT, scale, _text_colour(colour), unit, cv2.LINE_AA)


def _text_colour(background: Colour) -> Colour:
    """Return black or white, whichever has more contrast to `background` (luma weights of ITU-R BT.601)."""
    blue, green, red = background
    return _BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else _WHITE
