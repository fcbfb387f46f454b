"""Generate the layout of the default mission from a seed: a track that does not cross itself, signs, and a style.

The mission needs a 30 sign, a 50 sign that lifts the limit, a STOP sign, danger before the end of the rails, and
others; no sign may be readable from another part of the track.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from edge_agent.errors import FatalError
from edge_agent.signs import Sign
from edge_agent.simulation import artwork
from edge_agent.simulation.layout import Layout, PlacedSign, RenderStyle
from edge_agent.simulation.track import RailTrack, Segment, curve, straight

_STRAIGHTS = 8
_LIMIT_AT, _LIFT_AT, _STOP_AT, _DANGER_AT = 1, 3, 4, 7
_OBEYED = frozenset((Sign.SPEED_LIMIT_30, Sign.SPEED_LIMIT_50, Sign.STOP, Sign.DANGER))
_TRIES = 4000
_CHOICE = 16
_GAP_MM = 420.0  # minimum distance between parts of the track that are not neighbours
_OWN_MM = 1000.0  # parts of the track within this arc length are neighbours; a sign may be read from there
_READABLE_MM = 600.0
_DISTRACTORS = tuple(name for name in artwork.names() if artwork.sign_of(name) in {Sign.OTHER_SIGN})


def default_layout(seed: int) -> Layout:
    """Return a random layout, the same for the same seed: about 12 m of track, 30 to 60 s for an obedient train.

    Raises FatalError for a seed that yields no layout.
    """
    rng = np.random.default_rng([seed, 1])
    tracks = _tracks(rng)
    look = _look(seed, rng)
    fitting: list[Layout] = []
    for track, starts in tracks:
        layout = Layout(track, _signs(track, starts, rng), look, side_mm=float(rng.uniform(170, 380)))
        if not _is_ambiguous(layout):
            fitting.append(layout)
        if len(fitting) == _CHOICE:
            return min(fitting, key=_table_area)
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


def _tracks(rng: Generator) -> Iterator[tuple[RailTrack, tuple[float, ...]]]:
    """Yield tracks that do not cross themselves and end at the table's far side, with the start of each straight."""
    for _ in range(_TRIES):
        segments: list[Segment] = []
        starts: list[float] = []
        for index in range(_STRAIGHTS):
            starts.append(sum(segment.length_mm for segment in segments))
            segments.append(straight(int(rng.integers(10, 12) if index == _DANGER_AT else rng.integers(8, 11))))
            if index < _STRAIGHTS - 1:
                segments.append(curve(int(rng.integers(2, 7)) * int(rng.choice((-1, 1)))))
        track = RailTrack(tuple(segments))
        if _is_feasible(track):
            yield track, tuple(starts)


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


def _signs(track: RailTrack, starts: tuple[float, ...], rng: Generator) -> tuple[PlacedSign, ...]:
    """Place signs; those to be obeyed stand late on their straight, where the train has long had them in view."""
    must = {
        _LIMIT_AT: "speed_limit_30",
        _LIFT_AT: "speed_limit_50",
        _STOP_AT: "stop",
        _DANGER_AT: str(rng.choice([name for name in artwork.names() if artwork.sign_of(name) is Sign.DANGER])),
    }
    signs: list[PlacedSign] = []
    for index, start_mm in enumerate(starts):
        if index in must:
            at_mm = start_mm + float(rng.uniform(480, 620) if index == _LIFT_AT else rng.uniform(720, 850))
            signs.append(_beside(must[index], at_mm, rng))
            if index != _DANGER_AT and rng.random() < 0.5:
                other_side = _beside(str(rng.choice(_DISTRACTORS)), at_mm + float(rng.uniform(60, 160)), rng)
                signs.append(_opposite(other_side, signs[-1]))
        else:
            for _ in range(int(rng.integers(1, 3))):
                signs.append(_distractor(start_mm, rng))
    return tuple(signs)


def _distractor(start_mm: float, rng: Generator) -> PlacedSign:
    """Return a sign that must have no effect: a blue one, no horn, or the back of any."""
    at_mm = start_mm + float(rng.uniform(300, 900))
    if rng.random() < 0.3:
        return _beside(str(rng.choice(artwork.names())), at_mm, rng, back=True)
    return _beside(str(rng.choice(_DISTRACTORS)), at_mm, rng)


def _beside(name: str, s_mm: float, rng: Generator, *, back: bool = False) -> PlacedSign:
    left_mm = float(rng.uniform(56, 95)) * float(rng.choice((-1, 1)))
    toward_track = 0.12 if left_mm > 0 else -0.12
    return PlacedSign(name, s_mm, left_mm, toward_track + float(rng.uniform(-0.3, 0.3)), back)


def _opposite(sign: PlacedSign, to: PlacedSign) -> PlacedSign:
    left_mm = -math.copysign(abs(sign.left_mm), to.left_mm)
    return PlacedSign(sign.name, sign.s_mm, left_mm, sign.yaw_rad, sign.back)


def _is_ambiguous(layout: Layout) -> bool:
    """Return whether a sign to be obeyed is readable from a part of the track for which it is not meant."""
    s_mm = np.arange(0.0, layout.cliff_mm, 60.0)
    poses = [layout.track.pose(float(s)) for s in s_mm]
    spots = np.array([(pose.x_mm, pose.y_mm) for pose in poses])
    ahead = np.array([(math.cos(pose.heading_rad), math.sin(pose.heading_rad)) for pose in poses])
    for sign, pose in zip(layout.signs, layout.sign_poses, strict=True):
        if artwork.sign_of(sign.name) not in _OBEYED and not sign.back:
            continue
        to_sign = np.array([pose.x_mm, pose.y_mm]) - spots
        distance = np.linalg.norm(to_sign, axis=1)
        in_view = (to_sign * ahead).sum(axis=1) > 0.8 * distance
        facing = -(to_sign @ (math.cos(pose.heading_rad), math.sin(pose.heading_rad))) > 0.35 * distance
        elsewhere = (s_mm < sign.s_mm - _OWN_MM) | (s_mm > sign.s_mm)
        if np.any(in_view & facing & elsewhere & (distance < _READABLE_MM)):
            return True
    return False


def _table_area(layout: Layout) -> float:
    (x0, y0), (x1, y1), (x2, y2), _ = layout.table
    return math.hypot(x1 - x0, y1 - y0) * math.hypot(x2 - x1, y2 - y1)
