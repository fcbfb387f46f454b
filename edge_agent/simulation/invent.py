"""Generate the layout of a mission from a seed: a track that does not cross itself, signs, light and a camera.

At least four signs must be obeyed: a 30 sign, a 50 sign that lifts the limit, STOP, and danger before the end of the
rails, wherever a train can read them in time (placing.py).
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from edge_agent.errors import FatalError
from edge_agent.simulation.layout import CameraMount, Layout, RenderStyle
from edge_agent.simulation.placing import place_signs
from edge_agent.simulation.track import RailTrack, Segment, curve, straight

_STRAIGHTS = 8
_TRIES = 4000
_CHOICE = 16
_GAP_MM = 420.0  # minimum distance between parts of the track that are not neighbours
_OWN_MM = 1000.0  # parts of the track within this arc length are neighbours


def default_layout(seed: int) -> Layout:
    """Return a random layout, the same for the same seed: about 12 m of track, 30 to 70 s for an obedient train.

    Raises FatalError for a seed that yields no layout.
    """
    rng = np.random.default_rng([seed, 1])
    look, mount = _look(seed, rng), _mount(rng)
    tracks = _tracks(rng)
    while chosen := list(itertools.islice(tracks, _CHOICE)):
        bare = [Layout(track, (), look, side_mm=float(rng.uniform(170, 380)), mount=mount) for track in chosen]
        for layout in sorted(bare, key=_table_area):
            placed = place_signs(layout, rng)
            if placed is not None:
                return placed
    raise FatalError(f"no layout found for seed {seed}", remedy="choose another seed", seed=seed)


def _look(seed: int, rng: Generator) -> RenderStyle:
    return RenderStyle(
        seed=seed,
        exposure=float(rng.uniform(0.75, 1.15)),
        warmth=float(rng.uniform(-0.5, 0.7)),
        haze=float(rng.uniform(0.0, 0.12)),
        shutter_s=float(rng.choice([1 / 120, 1 / 60, 1 / 40])),
        sign_light=float(rng.uniform(0.7, 1.1)),
    )


def _mount(rng: Generator) -> CameraMount:
    """Return how a camera is fixed by hand: a little higher or lower, tilted and rolled."""
    pitch_rad, roll_rad = np.radians([rng.uniform(0.0, 3.5), rng.uniform(-3.0, 3.0)])
    return CameraMount(float(rng.uniform(85, 110)), float(pitch_rad), float(roll_rad))


def _tracks(rng: Generator) -> Iterator[RailTrack]:
    """Yield tracks that do not cross themselves and end at the table's far side: straights and curves in turns."""
    for _ in range(_TRIES):
        segments: list[Segment] = []
        for index in range(_STRAIGHTS):
            segments.append(straight(int(rng.integers(10, 12) if index == _STRAIGHTS - 1 else rng.integers(8, 11))))
            if index < _STRAIGHTS - 1:
                segments.append(curve(int(rng.integers(2, 7)) * int(rng.choice((-1, 1)))))
        track = RailTrack(tuple(segments))
        if _is_feasible(track):
            yield track


def _is_feasible(track: RailTrack) -> bool:
    """Return whether no two parts are close and all of the track is behind the line where the rails end."""
    step_mm = 80.0
    points = track.sample(step_mm)
    end = track.pose(track.length_mm)
    behind = (points - (end.x_mm, end.y_mm)) @ (math.cos(end.heading_rad), math.sin(end.heading_rad))
    if behind[: -int(_OWN_MM / step_mm)].max() > -150.0:
        return False
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    apart = np.abs(np.subtract.outer(np.arange(len(points)), np.arange(len(points)))) > _OWN_MM / step_mm
    return bool(gaps[apart].min() > _GAP_MM)


def _table_area(layout: Layout) -> float:
    (x0, y0), (x1, y1), (x2, y2), _ = layout.table
    return math.hypot(x1 - x0, y1 - y0) * math.hypot(x2 - x1, y2 - y1)
