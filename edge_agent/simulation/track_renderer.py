"""Draw plastic track: sleepers with studs and two rails, as small prisms in perspective.

The geometry is computed once for the whole track; each picture projects and draws the part ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.simulation.texture import Colour, Image, apply_tones_to_colour
from edge_agent.simulation.track import GAUGE_MM, SLEEPER_LENGTH_MM, SLEEPER_PITCH_MM, SLEEPER_WIDTH_MM, RailTrack
from edge_agent.simulation.view import NEAR_MM, CameraView, Points

SLEEPER_MM = 3.2
"""Height of a sleeper: one plate."""
STUD_MM = 4.8
RAIL_MM = 8.6
_STUD_MM = 8.0
_GAPS_MM = 1000.0
_STUDS_MM = 520.0
_REACH_MM = 5000.0
_COARSE_MM = 80.0
_FIXED = 4  # fractional bits of cv2's drawing coordinates


@dataclass(frozen=True, slots=True)
class _Coat:
    """A colour of shapes that are drawn up to a distance of `reach_mm`."""

    colour: Colour
    reach_mm: float
    smooth: bool = True


class _Pieces:
    """Pieces of track that look alike: (pieces, coats, shapes per coat, corners, 3) world points."""

    def __init__(self, coats: Sequence[_Coat], shapes: Sequence[Points], from_mm: float = NEAR_MM) -> None:
        self._coats = tuple(coats)
        self._from_mm = from_mm
        self._shapes = np.stack([shape.reshape(len(shape), -1, *shape.shape[-2:]) for shape in shapes], axis=1)
        self._centres = self._shapes.mean(axis=(1, 2, 3))
        self._reach_mm = max(coat.reach_mm for coat in coats)

    def draw(self, canvas: Image, view: CameraView) -> None:
        """Draw coat over coat onto (h, w, 4) BGRA."""
        depth = _depth_ahead(self._centres, view)
        picked = np.flatnonzero((depth < self._reach_mm) & (depth >= self._from_mm))
        if not len(picked):
            return
        picked = picked[np.argsort(-depth[picked])]
        in_camera = view.to_camera(self._shapes[picked])
        whole = in_camera[..., 2].min(axis=(1, 2, 3)) > NEAR_MM
        depth, in_camera = depth[picked][whole], in_camera[whole]
        pixels = np.round((view.to_pixels(in_camera) - 0.5) * (1 << _FIXED)).astype(np.int32)
        for index, coat in enumerate(self._coats):
            shapes = list(pixels[depth < coat.reach_mm, index].reshape(-1, *pixels.shape[-2:]))
            if shapes:
                cv2.fillPoly(canvas, shapes, coat.colour, cv2.LINE_AA if coat.smooth else cv2.LINE_8, _FIXED)


class TrackRenderer:
    """Draws the track as polygons.

    Args:
        grey: brightness of the plastic, 0..255.
        table: mean colour of the table, for the shadow under the track.
        tones: (1, 256, 3) tone table for the plastic's colours.
    """

    def __init__(self, track: RailTrack, grey: float, table: Colour, tones: Image) -> None:
        def plastic(factor: float) -> Colour:
            return apply_tones_to_colour(_tint((grey * 1.03, grey, grey * 0.96), factor), tones)

        cells, coarse = _cells(track, SLEEPER_PITCH_MM / 2), _cells(track, _COARSE_MM)
        sleepers = _sleepers(track)
        half = SLEEPER_WIDTH_MM / 2
        # In the distance sleepers and gaps blend into one tone; nearby the gaps show the table in shadow.
        far = (
            _strip(coarse, -half, half, SLEEPER_MM),
            _strip(coarse, -GAUGE_MM / 2 - 4, -GAUGE_MM / 2, RAIL_MM),
            _strip(coarse, GAUGE_MM / 2, GAUGE_MM / 2 + 4, RAIL_MM),
        )
        far_coats = [_Coat(plastic(factor), _REACH_MM) for factor in (0.6, 1.0, 1.0)]
        bed = _strip(cells, -half, half, 0.0)
        self._pieces = [
            _Pieces(far_coats, far, from_mm=_GAPS_MM - _COARSE_MM),
            _Pieces((_Coat(_tint(table, 0.5), _GAPS_MM, smooth=False),), (bed,)),
            _Pieces(
                (_Coat(plastic(0.42), _GAPS_MM), _Coat(plastic(0.86), _GAPS_MM)),
                (_raise(sleepers, 0.0), _raise(sleepers, SLEEPER_MM)),
            ),
            _Pieces(
                (_Coat(plastic(0.52), _STUDS_MM), _Coat(plastic(1.0), _STUDS_MM)),
                (_studs(track, SLEEPER_MM), _studs(track, STUD_MM)),
            ),
        ]
        for side in (-1, 1):
            middle = side * (GAUGE_MM / 2 + 2.0)
            coats = (
                _Coat(plastic(0.62), _GAPS_MM),
                _Coat(plastic(0.48), _GAPS_MM),
                _Coat(plastic(0.48), _GAPS_MM),
                _Coat(plastic(1.02), _GAPS_MM),
                _Coat(plastic(1.35), _GAPS_MM),
            )
            shapes = (
                _strip(cells, middle - 4, middle + 4, SLEEPER_MM + 0.4),
                _side(cells, middle - 1.8, SLEEPER_MM, RAIL_MM),
                _side(cells, middle + 1.8, SLEEPER_MM, RAIL_MM),
                _strip(cells, middle - 1.8, middle + 1.8, RAIL_MM),
                _strip(cells, middle - 0.4, middle + 0.6, RAIL_MM),
            )
            self._pieces.append(_Pieces(coats, shapes))

    def draw(self, canvas: Image, view: CameraView) -> None:
        """Draw onto (h, w, 4) BGRA."""
        for pieces in self._pieces:
            pieces.draw(canvas, view)


def _depth_ahead(centres: Points, view: CameraView) -> Points:
    """Return the distance ahead of each (n, 3) point; infinite for those behind or well outside the picture."""
    relative = centres - view.centre
    depth = relative @ view.matrix[2]
    sideways = np.abs(relative @ view.matrix[0])
    slope = view.optics.width / 2 / view.optics.focal_px
    out: Points = np.where((depth > NEAR_MM) & (sideways < depth * slope + 60), depth, np.inf)
    return out


def _tint(colour: tuple[float, ...], factor: float) -> Colour:
    b, g, r = (int(min(255, max(0, part * factor))) for part in colour)
    return b, g, r


def _cells(track: RailTrack, step_mm: float) -> tuple[Points, Points]:
    """Return points of the centre line (n, 2) and unit vectors to their left (n, 2)."""
    middle = track.sample(step_mm)
    return middle, track.sample(step_mm, 1.0) - middle


def _strip(cells: tuple[Points, Points], right_mm: float, left_mm: float, z_mm: float) -> Points:
    """Return the ribbon between two offsets as (n, 4, 3) quads."""
    middle, left = cells
    low, high = middle + left * right_mm, middle + left * left_mm
    flat = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
    return _raise(flat, z_mm)


def _side(cells: tuple[Points, Points], left_mm: float, low_mm: float, high_mm: float) -> Points:
    """Return a vertical face along the line as (n, 4, 3) quads."""
    middle, left = cells
    line = middle + left * left_mm
    flat = np.stack([line[:-1], line[1:], line[1:], line[:-1]], axis=1)
    walls = _raise(flat, low_mm)
    walls[:, 2:, 2] = high_mm
    return walls


def _raise(flat: Points, z_mm: float) -> Points:
    """Return (n, k, 2) polygons as (n, k, 3) at a height."""
    return np.concatenate([flat, np.full((*flat.shape[:2], 1), z_mm)], axis=2)


def _sleeper_frames(track: RailTrack) -> list[tuple[Points, Points, Points]]:
    frames = []
    for s_mm in np.arange(SLEEPER_PITCH_MM / 2, track.length_mm, SLEEPER_PITCH_MM):
        pose = track.pose(float(s_mm))
        forward = np.array([np.cos(pose.heading_rad), np.sin(pose.heading_rad)])
        frames.append((np.array([pose.x_mm, pose.y_mm]), forward, np.array([-forward[1], forward[0]])))
    return frames


def _sleepers(track: RailTrack) -> Points:
    half, wide = SLEEPER_LENGTH_MM / 2, SLEEPER_WIDTH_MM / 2
    signs = ((-half, -wide), (half, -wide), (half, wide), (-half, wide))
    return np.array([[c + f * a + left * b for a, b in signs] for c, f, left in _sleeper_frames(track)])


def _studs(track: RailTrack, z_mm: float) -> Points:
    """Return the tops of each sleeper's studs, (n, 12, 6, 3): one row outside each rail, four between them."""
    turns = np.arange(6) * np.pi / 3
    ring = 2.45 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    places = [(a, b) for a in (-0.5, 0.5) for b in (-3.5, -1.5, -0.5, 0.5, 1.5, 3.5)]
    tops = [
        [c + f * a * _STUD_MM + left * b * _STUD_MM + ring for a, b in places] for c, f, left in _sleeper_frames(track)
    ]
    flat = np.array(tops)
    return np.concatenate([flat, np.full((*flat.shape[:3], 1), z_mm)], axis=3)
