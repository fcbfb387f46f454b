"""Whether a sign can be obeyed at all: over how much of the track it can be read, and whether in time.

By geometry and blur alone, whatever a detector or a policy makes of the pictures.
"""

import math
from dataclasses import dataclass

import numpy as np

from edge_agent.simulation.layout import Layout
from edge_agent.simulation.view import CameraView, Optics, SeenSign, see

READ_PX = 16.0
"""A face is read from this height on: the digits of a speed limit are 4 px high."""
_FACING = math.cos(math.radians(52))  # a face turned further away is not read
_VISIBLE = 0.85
_BLUR = 0.35  # of the face's width; more, and digits run into each other
_SPEED_MM_S = 400.0  # a train at full cruise
_FROM_MM, _UNTIL_MM = 700.0, 170.0  # before the sign: later, a train at full cruise stops behind it
_NEAR_MM = 270.0
_STEP_MM = 10.0
_LEAST_MM, _LEAST_NEAR_MM = 240.0, 70.0  # six pictures at full cruise, two of them near


@dataclass(frozen=True, slots=True)
class Legible:
    """Over how many mm of the track a sign can be read before it is too late: in all, and near enough to act on."""

    total_mm: float
    near_mm: float

    @property
    def enough(self) -> bool:
        """Whether the sign can be obeyed."""
        return self.total_mm >= _LEAST_MM and self.near_mm >= _LEAST_NEAR_MM


def legible(layout: Layout, index: int) -> Legible:
    """Return where a train at full cruise can read the sign with this index, hidden by the others as it is."""
    sign_mm, optics = layout.signs[index].s_mm, Optics(mount=layout.mount)
    ahead_mm = np.arange(_UNTIL_MM, min(_FROM_MM, sign_mm - layout.start_mm), _STEP_MM)
    read_mm = [away_mm for away_mm in ahead_mm if _reads(layout, optics, index, sign_mm - float(away_mm))]
    return Legible(len(read_mm) * _STEP_MM, sum(away_mm <= _NEAR_MM for away_mm in read_mm) * _STEP_MM)


def _reads(layout: Layout, optics: Optics, index: int, s_mm: float) -> bool:
    found = [one for one in see(layout, CameraView.at(optics, layout.track.pose(s_mm))) if one.index == index]
    blur_px = abs(layout.track.curvature_per_mm(s_mm)) * _SPEED_MM_S * layout.look.shutter_s * optics.focal_px
    return bool(found) and _is_read(found[0], optics, blur_px)


def _is_read(one: SeenSign, optics: Optics, blur_px: float) -> bool:
    box = one.box
    whole = box.x1 > 0 and box.y1 > 0 and box.x2 < optics.width and box.y2 < optics.height
    plain = one.front and one.facing >= _FACING and one.visible >= _VISIBLE
    return whole and plain and box.height >= READ_PX and blur_px <= _BLUR * box.width
