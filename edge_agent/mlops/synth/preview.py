"""A contact sheet: the first pictures of a data set with their boxes drawn in, for a person to look at.

Knows how to draw boxes and tile pictures. Knows nothing of where they come from.
"""

import cv2
import numpy as np

from edge_agent.mlops.synth.labels import LabelledBox
from edge_agent.mlops.synth.textures import Image
from edge_agent.signs import CLASS_IDS, LABELS

COLUMNS = 6
MOST = 36
_IGNORED = (150, 150, 150)


def _colour(label: str) -> tuple[int, int, int]:
    hue = np.array([[[int(179 * CLASS_IDS[label] / len(LABELS)), 255, 255]]], dtype=np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0]
    return (int(blue), int(green), int(red))


def annotate(image: Image, boxes: tuple[LabelledBox, ...]) -> Image:
    """Copy the picture (BGR) with boxes and labels drawn in; ignored boxes are grey."""
    drawn = image.copy()
    for item in boxes:
        colour = _IGNORED if item.ignore else _colour(item.label)
        left, top, right, bottom = (round(value) for value in item.box)
        cv2.rectangle(drawn, (left - 1, top - 1), (right, bottom), colour, 1)
        at = (left, top - 3 if top > 10 else bottom + 9)
        cv2.putText(drawn, item.label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.3, colour, 1, cv2.LINE_AA)
    return drawn


def sheet(tiles: list[Image]) -> Image:
    """Pictures of one size side by side, `COLUMNS` a row; BGR."""
    columns = min(COLUMNS, len(tiles))
    empty = [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    padded = tiles + empty
    rows = [np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)]
    return np.vstack(rows)
