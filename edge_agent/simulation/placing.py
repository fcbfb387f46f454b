"""Place the signs of a generated world: before, in and after curves, in pairs, one behind another, turned aside.

A sign that must be obeyed stands where a train can read it in time (legible.py). Others are shown and do not count:
those on the wrong side of a curve, half hidden, turned away, and backs.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from edge_agent.signs import Sign
from edge_agent.simulation import artwork
from edge_agent.simulation.layout import Layout, PlacedSign
from edge_agent.simulation.legible import legible

OBEYED = frozenset((Sign.SPEED_LIMIT_30, Sign.SPEED_LIMIT_50, Sign.STOP, Sign.PEDESTRIAN_CROSSING, Sign.DANGER))
_DISTRACTORS = tuple(name for name in artwork.names() if artwork.sign_of(name) in {Sign.OTHER_SIGN})
_DANGERS = tuple(name for name in artwork.names() if artwork.sign_of(name) is Sign.DANGER)
_TURN_RAD = math.radians(40)
_TRIES = 30
_SHARE_OF_PAIRS, _SHARE_OF_OTHERS = 0.45, 0.7
_NEIGHBOURHOOD_MM = 1000.0
"""A sign may be read from this far along the track; from other parts of it it must not be."""
_READABLE_MM = 600.0
_BETWEEN_MM = 620.0
"""From one sign, or pair, that must be obeyed to the next: a limit is kept some way behind its sign."""
_SAME_KIND_MM = 700.0
"""Two signs of a kind stand at least this far apart, so that each action belongs to one of them."""

Spot = Callable[[Generator], float]
"""Draws an arc length in mm."""


def place_signs(bare: Layout, rng: Generator) -> Layout | None:
    """Return the layout with signs; None where one that must be obeyed finds no place."""
    stretches = _stretches(bare)
    last_mm = stretches[-1][0]
    order = [
        "speed_limit_30",
        "speed_limit_50",
        "stop",
        str(rng.choice(["speed_limit_30", "stop", "pedestrian_crossing"])),
    ]
    curves = sorted(rng.choice(len(stretches) - 1, len(order), replace=False).tolist())
    layout: Layout | None = bare
    for name, curve in zip(order, curves, strict=True):
        if layout is not None:
            layout = _obeyed(layout, name, list(_spots(stretches[curve], rng)), rng)
        if layout is not None and rng.random() < _SHARE_OF_PAIRS:
            layout = _with_companion(layout, rng)
    if layout is not None:
        layout = _with_danger(layout, last_mm, rng)
    if layout is None:
        return None
    for curve in sorted(set(range(len(stretches) - 1)) - set(curves)):
        layout = _with_others(layout, stretches[curve], rng)
    return layout


def _stretches(layout: Layout) -> list[tuple[float, float, float]]:
    """Return start of each straight, start of the curve behind it and that curve's end, in mm; at the last its end."""
    joints = [at_mm for at_mm, _ in layout.track.joints]
    return [(joints[n], joints[n + 1], joints[min(n + 2, len(joints) - 1)]) for n in range(0, len(joints) - 1, 2)]


def _spots(stretch: tuple[float, float, float], rng: Generator) -> Iterator[Spot]:
    """Yield the kinds of place around one curve in the order in which they are tried."""
    start_mm, curve_mm, end_mm = stretch
    kinds: list[Spot] = [
        lambda rng: curve_mm - float(rng.uniform(0, 200)),
        lambda rng: curve_mm + float(rng.uniform(0.2, 0.8)) * (end_mm - curve_mm),
        lambda rng: end_mm + float(rng.uniform(20, 300)),
        lambda rng: end_mm + float(rng.uniform(300, 700)),
    ]
    for index in rng.permutation(len(kinds)):
        yield kinds[int(index)]
    yield lambda rng: start_mm + float(rng.uniform(600, 850))


def _obeyed(layout: Layout, name: str, spots: list[Spot], rng: Generator) -> Layout | None:
    """Add a sign that must be obeyed, at the first kind of place where one stands in time and is not in the way."""
    for spot in spots:
        for _ in range(_TRIES):
            found = _added(layout, _beside(name, spot(rng), rng))
            if _stands_alone(found) and _fits(found):
                return found
    return None


def _stands_alone(layout: Layout) -> bool:
    """Return whether the last sign is far enough from the others for each to be obeyed in turn."""
    at_mm = layout.signs[-1].s_mm
    return all(abs(sign.s_mm - at_mm) >= _BETWEEN_MM for sign in layout.signs[:-1])


def _with_danger(layout: Layout, last_mm: float, rng: Generator) -> Layout | None:
    """Add the danger sign before the end of the rails, behind all that must be obeyed before it."""
    from_mm = max(last_mm + 250, max(sign.s_mm for sign in layout.signs) + _BETWEEN_MM)
    if from_mm > layout.cliff_mm - 500:
        return None
    name = str(rng.choice(_DANGERS))
    return _obeyed(layout, name, [lambda rng: float(rng.uniform(from_mm, layout.cliff_mm - 450))], rng)


def _with_companion(layout: Layout, rng: Generator) -> Layout:
    """Add a second sign to obey in the same view, across the track or behind the last one, where it finds a place."""
    first = layout.signs[-1]
    label = artwork.sign_of(first.name)
    names = ["pedestrian_crossing"] if label in {Sign.SPEED_LIMIT_30, Sign.SPEED_LIMIT_50} else ["speed_limit_30"]
    for _ in range(_TRIES):
        across = rng.random() < 0.5
        at_mm = first.s_mm + float(rng.uniform(0, 120) if across else rng.uniform(110, 260))
        second = _beside(str(rng.choice(names)), at_mm, rng)
        left_mm = math.copysign(second.left_mm, -first.left_mm if across else first.left_mm)
        found = _added(layout, replace(second, left_mm=left_mm))
        if _fits(found):
            return found
    return layout


def _with_others(layout: Layout, stretch: tuple[float, float, float], rng: Generator) -> Layout:
    """Add what is shown and does not count: blue signs, backs, and signs that cannot be read in time."""
    start_mm, curve_mm, end_mm = stretch
    at_mm = float(rng.uniform(start_mm + 250, end_mm))
    if rng.random() < 0.3:
        extra = _beside(str(rng.choice(artwork.names())), at_mm, rng)
        return _added(layout, replace(extra, back=True, counts=False))
    if rng.random() > _SHARE_OF_OTHERS:
        return _added(layout, replace(_beside(str(rng.choice(_DISTRACTORS)), at_mm, rng), counts=False))
    name = str(rng.choice(["speed_limit_30", "speed_limit_50", "stop", "pedestrian_crossing"]))
    if rng.random() < 0.5:  # half hidden by a blue one
        front = replace(_beside(str(rng.choice(_DISTRACTORS)), at_mm, rng), counts=False, yaw_rad=0.0)
        behind = replace(front, name=name, s_mm=at_mm + 25, left_mm=front.left_mm + float(rng.uniform(-9, 9)))
        found = _added(_added(layout, front), behind)
    else:  # on the inside of the curve, turned away from the train
        inside = math.copysign(float(rng.uniform(60, 120)), layout.track.curvature_per_mm((curve_mm + end_mm) / 2))
        turned = float(rng.uniform(0.9, 1.3)) * float(rng.choice((-1, 1)))
        found = _added(layout, PlacedSign(name, float(rng.uniform(curve_mm, end_mm)), inside, turned, counts=False))
    last = len(found.signs) - 1
    keeps = all(legible(found, n).enough for n, sign in enumerate(found.signs) if sign.counts and _near(sign, found))
    return found if keeps and not legible(found, last).enough and not _crowds(found, last) else layout


def _near(sign: PlacedSign, layout: Layout) -> bool:
    return abs(sign.s_mm - layout.signs[-1].s_mm) < 2 * _SAME_KIND_MM


def _added(layout: Layout, sign: PlacedSign) -> Layout:
    return replace(layout, signs=(*layout.signs, sign))


def _beside(name: str, s_mm: float, rng: Generator) -> PlacedSign:
    left_mm = float(rng.uniform(56, 95)) * float(rng.choice((-1, 1)))
    return PlacedSign(name, s_mm, left_mm, float(rng.uniform(-_TURN_RAD, _TURN_RAD)))


def _fits(layout: Layout) -> bool:
    """Return whether the last sign can be obeyed, the others still can, and none is read from where it is not meant."""
    last = len(layout.signs) - 1
    if layout.signs[last].s_mm >= layout.cliff_mm - 250 or _crowds(layout, last) or _is_ambiguous(layout, last):
        return False
    near = [n for n, sign in enumerate(layout.signs) if sign.counts and _near(sign, layout)]
    return all(legible(layout, n).enough for n in reversed(near))


def _crowds(layout: Layout, index: int) -> bool:
    """Return whether a sign stands too near another one of its kind."""
    sign = layout.signs[index]
    others = (other for n, other in enumerate(layout.signs) if n != index)
    return any(other.label == sign.label and abs(other.s_mm - sign.s_mm) < _SAME_KIND_MM for other in others)


def _is_ambiguous(layout: Layout, index: int) -> bool:
    """Return whether a sign is readable from a part of the track for which it is not meant."""
    sign, pose = layout.signs[index], layout.sign_poses[index]
    s_mm = np.arange(0.0, layout.cliff_mm, 60.0)
    poses = [layout.track.pose(float(s)) for s in s_mm]
    spots = np.array([(pose.x_mm, pose.y_mm) for pose in poses])
    ahead = np.array([(math.cos(pose.heading_rad), math.sin(pose.heading_rad)) for pose in poses])
    to_sign = np.array([pose.x_mm, pose.y_mm]) - spots
    distance = np.linalg.norm(to_sign, axis=1)
    in_view = (to_sign * ahead).sum(axis=1) > 0.8 * distance
    facing = -(to_sign @ (math.cos(pose.heading_rad), math.sin(pose.heading_rad))) > 0.35 * distance
    elsewhere = (s_mm < sign.s_mm - _NEIGHBOURHOOD_MM) | (s_mm > sign.s_mm)
    return bool(np.any(in_view & facing & elsewhere & (distance < _READABLE_MM)))
