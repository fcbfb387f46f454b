"""Draws plastic track: sleepers with studs and two rails, as small prisms under exact perspective.

Geometry is laid out once for the whole line; each picture projects and paints what lies ahead. Knows nothing of trains,
signs or the room.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.sim.texture import Colour, Image
from edge_agent.sim.track import GAUGE_MM, SLEEPER_LENGTH_MM, SLEEPER_PITCH_MM, SLEEPER_WIDTH_MM, Track
from edge_agent.sim.view import NEAR_MM, Points, View

SLEEPER_MM = 3.2
"""Height of a sleeper: one plate."""
STUD_MM = 4.8
RAIL_MM = 8.6
_STUD_MM = 8.0
_DETAIL_MM = 1500.0
_STUDS_MM = 620.0
_REACH_MM = 5000.0
_FIXED = 4
"""Bits behind the point in cv2's drawing coordinates."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """Polygons of one colour: (n, k, 3) world points, shown while their centre is nearer than `reach_mm`."""

    shapes: Points
    colour: Colour
    reach_mm: float
    smooth: bool = True


class TrackArt:
    """The line as polygons.

    Args:
        track: the line.
        grey: brightness of the plastic, 0..255.
        table: mean colour of the table, for the shadow under the track.
    """

    def __init__(self, track: Track, grey: float, table: NDArray[np.uint8]) -> None:
        cells = _cells(track, SLEEPER_PITCH_MM / 2)
        half = SLEEPER_WIDTH_MM / 2
        shadow = _tint(table, 0.55)
        plastic = (grey * 1.03, grey, grey * 0.96)
        sleepers = _sleepers(track)
        self._layers = [
            _Layer(_strip(cells, -half, half, 0.0), shadow, _REACH_MM, smooth=False),
            _Layer(_raise(sleepers, 0.0), _tint(plastic, 0.42), _DETAIL_MM),
            _Layer(_raise(sleepers, SLEEPER_MM), _tint(plastic, 0.86), _DETAIL_MM),
            _Layer(_studs(track, SLEEPER_MM), _tint(plastic, 0.52), _STUDS_MM),
            _Layer(_studs(track, STUD_MM), _tint(plastic, 1.0), _STUDS_MM),
        ]
        for side in (-1, 1):
            middle = side * (GAUGE_MM / 2 + 2.0)
            self._layers += [
                _Layer(_strip(cells, middle - 4, middle + 4, SLEEPER_MM + 0.4), _tint(plastic, 0.62), _REACH_MM),
                _Layer(_side(cells, middle - 1.8, SLEEPER_MM, RAIL_MM), _tint(plastic, 0.48), _DETAIL_MM),
                _Layer(_side(cells, middle + 1.8, SLEEPER_MM, RAIL_MM), _tint(plastic, 0.48), _DETAIL_MM),
                _Layer(_strip(cells, middle - 1.8, middle + 1.8, RAIL_MM), _tint(plastic, 1.02), _REACH_MM),
                _Layer(_strip(cells, middle - 0.4, middle + 0.6, RAIL_MM), _tint(plastic, 1.35), 900.0),
            ]
        self._centres = [layer.shapes.mean(axis=1) for layer in self._layers]

    def draw(self, canvas: Image, view: View) -> None:
        """Paint onto (h, w, 3) BGR."""
        for layer, centres in zip(self._layers, self._centres, strict=True):
            shapes = layer.shapes[_ahead(centres, view, layer.reach_mm)]
            if not len(shapes):
                continue
            in_camera = view.to_camera(shapes)
            in_camera = in_camera[in_camera[:, :, 2].min(axis=1) > NEAR_MM]
            pixels = (view.to_pixels(in_camera) - 0.5) * (1 << _FIXED)
            quads = list(np.round(pixels).astype(np.int32))
            kind = cv2.LINE_AA if layer.smooth else cv2.LINE_8
            if quads:
                cv2.fillPoly(canvas, quads, layer.colour, kind, _FIXED)


def _ahead(centres: Points, view: View, reach_mm: float) -> NDArray[np.bool_]:
    """Pick what lies within reach and within the picture's width, roughly."""
    relative = centres - view.centre
    depth = relative @ view.matrix[2]
    sideways = np.abs(relative @ view.matrix[0])
    slope = view.optics.width / 2 / view.optics.focal_px
    picked: NDArray[np.bool_] = (depth > NEAR_MM) & (depth < reach_mm) & (sideways < depth * slope + 60)
    return picked


def _tint(colour: "tuple[float, ...] | NDArray[np.uint8]", factor: float) -> Colour:
    b, g, r = (int(min(255, max(0, float(part) * factor))) for part in colour)
    return b, g, r


def _cells(track: Track, step_mm: float) -> tuple[Points, Points]:
    """Return the line's points (n, 2) and unit vectors to their left (n, 2)."""
    middle = track.sample(step_mm)
    return middle, track.sample(step_mm, 1.0) - middle


def _strip(cells: tuple[Points, Points], right_mm: float, left_mm: float, z_mm: float) -> Points:
    """Return the ribbon between two offsets as (n, 4, 3) quads."""
    middle, left = cells
    low, high = middle + left * right_mm, middle + left * left_mm
    flat = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
    return _raise(flat, z_mm)


def _side(cells: tuple[Points, Points], left_mm: float, low_mm: float, high_mm: float) -> Points:
    """Return a wall along the line as (n, 4, 3) quads."""
    middle, left = cells
    line = middle + left * left_mm
    flat = np.stack([line[:-1], line[1:], line[1:], line[:-1]], axis=1)
    walls = _raise(flat, low_mm)
    walls[:, 2:, 2] = high_mm
    return walls


def _raise(flat: Points, z_mm: float) -> Points:
    """Put (n, k, 2) polygons at a height."""
    return np.concatenate([flat, np.full((*flat.shape[:2], 1), z_mm)], axis=2)


def _sleeper_frames(track: Track) -> list[tuple[Points, Points, Points]]:
    """Return the centre, forward and left vector of every sleeper."""
    frames = []
    for s_mm in np.arange(SLEEPER_PITCH_MM / 2, track.length_mm, SLEEPER_PITCH_MM):
        pose = track.pose(float(s_mm))
        forward = np.array([np.cos(pose.heading_rad), np.sin(pose.heading_rad)])
        frames.append((np.array([pose.x_mm, pose.y_mm]), forward, np.array([-forward[1], forward[0]])))
    return frames


def _sleepers(track: Track) -> Points:
    """Return every sleeper's outline, (n, 4, 2)."""
    half, wide = SLEEPER_LENGTH_MM / 2, SLEEPER_WIDTH_MM / 2
    signs = ((-half, -wide), (half, -wide), (half, wide), (-half, wide))
    return np.array([[c + f * a + left * b for a, b in signs] for c, f, left in _sleeper_frames(track)])


def _studs(track: Track, z_mm: float) -> Points:
    """Return every stud's top as an octagon, (n, 8, 3): one row outside each rail, four between them."""
    turns = np.arange(8) * np.pi / 4 + np.pi / 8
    ring = 2.45 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    places = [(a, b) for a in (-0.5, 0.5) for b in (-3.5, -1.5, -0.5, 0.5, 1.5, 3.5)]
    tops = [
        c + f * a * _STUD_MM + left * b * _STUD_MM + ring for c, f, left in _sleeper_frames(track) for a, b in places
    ]
    return _raise(np.array(tops), z_mm)
