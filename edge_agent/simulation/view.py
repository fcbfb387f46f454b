"""Geometry of the train's camera: projection of the world, and box, visibility and distance of every sign."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box, Detection
from edge_agent.simulation import artwork
from edge_agent.simulation.layout import BASE_HEIGHT_MM, POLE_MM, CameraMount, Layout, PlacedSign
from edge_agent.simulation.track import Pose

Points = NDArray[np.float64]

NEAR_MM = 25.0
"""Distance of the near plane."""
_REACH_MM = 3000.0
_GRID = 48


@dataclass(frozen=True, slots=True)
class Optics:
    """A pinhole camera on the front of the train.

    Args:
        width, height: size of the picture in pixels.
        hfov_rad: horizontal angle of view; a webcam's 62 degrees.
        mount: how it sits on the train.
    """

    width: int = 600
    height: int = 400
    hfov_rad: float = math.radians(62)
    mount: CameraMount = field(default_factory=CameraMount)

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / math.tan(self.hfov_rad / 2)


@dataclass(frozen=True, slots=True)
class CameraView:
    """The camera at a position. The rows of `matrix` (3, 3) are its right, down and forward in the world."""

    optics: Optics
    centre: Points
    matrix: Points

    @classmethod
    def at(cls, optics: Optics, pose: Pose, extra_pitch_rad: float = 0.0, drop_mm: float = 0.0) -> "CameraView":
        """Return the view from a train at `pose`; extra pitch and drop are for a falling train."""
        pitch_rad, roll_rad = optics.mount.pitch_rad + extra_pitch_rad, optics.mount.roll_rad
        cos, sin = math.cos(pose.heading_rad), math.sin(pose.heading_rad)
        level, dip = math.cos(pitch_rad), math.sin(pitch_rad)
        right, down = np.array([sin, -cos, 0.0]), np.array([-cos * dip, -sin * dip, -level])
        turned = right * math.cos(roll_rad) + down * math.sin(roll_rad)
        down = down * math.cos(roll_rad) - right * math.sin(roll_rad)
        centre = np.array([pose.x_mm, pose.y_mm, optics.mount.height_mm - drop_mm])
        return cls(optics, centre, np.array([turned, down, (cos * level, sin * level, -dip)]))

    def to_camera(self, points: Points) -> Points:
        """Transform (..., 3) world points to camera coordinates: right, down, forward, in millimetres."""
        out: Points = (points - self.centre) @ self.matrix.T
        return out

    def to_pixels(self, in_camera: Points) -> Points:
        """Project (..., 3) camera points, all in front, to (..., 2) pixels."""
        scale = self.optics.focal_px / in_camera[..., 2:]
        offset = np.array([self.optics.width / 2, self.optics.height / 2])
        out: Points = in_camera[..., :2] * scale + offset
        return out

    def polygon(self, corners: Points) -> Points:
        """Project an (n, 3) world polygon, clipped at the near plane, to (m, 2) pixels; m is 0 when it is behind."""
        inside = clip_near(self.to_camera(corners))
        return self.to_pixels(inside) if len(inside) >= 3 else np.empty((0, 2))


def clip_near(in_camera: Points, near_mm: float = NEAR_MM) -> Points:
    """Clip an (n, 3) polygon in camera coordinates at the near plane (Sutherland-Hodgman)."""
    if in_camera[:, 2].min() >= near_mm:
        return in_camera
    out: list[Points] = []
    for here, there in zip(in_camera, np.roll(in_camera, -1, axis=0), strict=True):
        if here[2] >= near_mm:
            out.append(here)
        if (here[2] >= near_mm) != (there[2] >= near_mm):
            out.append(here + (there - here) * (near_mm - here[2]) / (there[2] - here[2]))
    return np.array(out) if out else np.empty((0, 3))


@dataclass(frozen=True, slots=True, eq=False)
class SeenSign:
    """A sign in view. `box` is the tight box of its outline, clipped to the picture; `facing` the cosine to its face.

    `visible` is the share of the head that is neither outside the picture nor hidden by nearer signs.
    """

    index: int
    sign: PlacedSign
    front: bool
    distance_mm: float
    facing: float
    box: Box
    visible: float
    outline: Points


def head_axes(layout: Layout, index: int, front: bool) -> tuple[Points, Points]:
    """Return a head's centre (3,) and its unit vector to the right (3,) as seen from that side."""
    pose = layout.sign_poses[index]
    right = np.array([-math.sin(pose.heading_rad), math.cos(pose.heading_rad), 0.0])
    centre = np.array([pose.x_mm, pose.y_mm, POLE_MM + layout.signs[index].head_mm / 2])
    return centre, right if front else -right


def head_points(layout: Layout, index: int, front: bool, uv: Points) -> Points:
    """Return (n, 2) points on a head (right, down from its centre, in units of its height) as (n, 3) world points."""
    centre, right = head_axes(layout, index, front)
    mm = uv * layout.signs[index].head_mm
    out: Points = centre + mm[:, :1] * right - mm[:, 1:] * np.array([0.0, 0.0, 1.0])
    return out


def head_back(layout: Layout, index: int, front: bool) -> Points:
    """Return the vector (3,) from the visible side of a head's plate to the other."""
    _, right = head_axes(layout, index, front)
    # Thickness of a sign's plate.
    out: Points = np.array([-right[1], right[0], 0.0]) * 1.6
    return out


@lru_cache(maxsize=128)
def _outline(name: str) -> Points:
    """Return the convex hull of a sign's shape, (n, 2) from its centre in units of its height."""
    alpha = artwork.draw(name, 128)[:, :, 3]
    solid = alpha > 127
    ys = np.flatnonzero(solid.any(axis=1))
    first, last = solid[ys].argmax(axis=1), alpha.shape[1] - solid[ys, ::-1].argmax(axis=1)
    # The hull of the pixels' corners, not of their centres, is the exact edge.
    corners = np.concatenate([np.stack([xs, ys + dy], axis=1) for xs in (first, last) for dy in (0, 1)])
    hull = cv2.convexHull(corners.astype(np.float32)).reshape(-1, 2)
    out: Points = (hull - (alpha.shape[1] / 2, alpha.shape[0] / 2)) / alpha.shape[0]
    return out


def _facing(pose: Pose, centre: Points) -> float:
    """Return the cosine between a sign's normal and the line to the camera; negative for its back."""
    x_mm, y_mm = float(centre[0]) - pose.x_mm, float(centre[1]) - pose.y_mm
    toward = x_mm * math.cos(pose.heading_rad) + y_mm * math.sin(pose.heading_rad)
    return toward / max(1e-6, math.hypot(x_mm, y_mm))


def see(layout: Layout, view: CameraView) -> list[SeenSign]:
    """Return the signs whose heads are in the picture, farthest first."""
    seen = [one for index in range(len(layout.signs)) if (one := _see_one(layout, view, index)) is not None]
    seen.sort(key=lambda one: -one.distance_mm)
    return [_with_occlusion(layout, view, seen, place) for place in range(len(seen))]


def _see_one(layout: Layout, view: CameraView, index: int) -> SeenSign | None:
    sign, pose = layout.signs[index], layout.sign_poses[index]
    ahead = view.matrix[2]
    depth_mm = (pose.x_mm - view.centre[0]) * ahead[0] + (pose.y_mm - view.centre[1]) * ahead[1]
    aside_mm = abs((pose.x_mm - view.centre[0]) * ahead[1] - (pose.y_mm - view.centre[1]) * ahead[0])
    if not -50 < depth_mm < _REACH_MM + 100 or aside_mm > depth_mm + 100:  # most signs, most of the time
        return None
    facing = _facing(pose, view.centre)
    in_camera = view.to_camera(head_points(layout, index, facing > 0, _outline(sign.name)))
    behind = view.matrix @ head_back(layout, index, facing > 0)
    in_camera = np.concatenate([in_camera, in_camera + behind])
    if in_camera[:, 2].min() < NEAR_MM or in_camera[:, 2].max() > _REACH_MM:
        return None
    outline = cv2.convexHull(view.to_pixels(in_camera).astype(np.float32)).reshape(-1, 2).astype(np.float64)
    (x1, y1), (x2, y2) = outline.min(axis=0), outline.max(axis=0)
    size = view.optics
    box = Box(max(0.0, x1), max(0.0, y1), min(float(size.width), x2), min(float(size.height), y2))
    if box.width <= 0 or box.height <= 0:
        return None
    distance_mm = float(np.linalg.norm(in_camera.mean(axis=0)))
    return SeenSign(index, sign, facing > 0, distance_mm, abs(facing), box, 1.0, outline)


def _with_occlusion(layout: Layout, view: CameraView, seen: list[SeenSign], place: int) -> SeenSign:
    """Return a sign with its visible share, measured on a small grid over its outline."""
    own = seen[place]
    low, high = own.outline.min(axis=0), own.outline.max(axis=0)
    scale = _GRID / np.maximum(high - low, 1e-6)
    mask = np.zeros((_GRID, _GRID), np.uint8)
    cv2.fillConvexPoly(mask, _on_grid(own.outline, low, scale), 1)
    whole = max(1, int(mask.sum()))
    for nearer in seen[place + 1 :]:
        for shape in (nearer.outline, pole_polygon(layout, view, nearer)):
            if len(shape) >= 3:
                cv2.fillConvexPoly(mask, _on_grid(shape, low, scale), 0)
    size = np.array([view.optics.width, view.optics.height])
    first, last = np.ceil((0 - low) * scale).astype(int), np.floor((size - low) * scale).astype(int)
    inside = mask[max(0, first[1]) : max(0, last[1]), max(0, first[0]) : max(0, last[0])]
    visible = float(inside.sum()) / whole
    return SeenSign(own.index, own.sign, own.front, own.distance_mm, own.facing, own.box, visible, own.outline)


def _on_grid(shape: Points, low: Points, scale: Points) -> NDArray[np.int32]:
    return np.clip(np.round((shape - low) * scale), -10_000, 10_000).astype(np.int32)


def pole_polygon(layout: Layout, view: CameraView, one: SeenSign, width_mm: float = 3.6) -> Points:
    """Project the pole of a sign, from base to head, to (4, 2) pixels; empty when it is too near."""
    pose = layout.sign_poses[one.index]
    side = view.matrix[0] * width_mm / 2
    foot, top = (np.array([pose.x_mm, pose.y_mm, z]) for z in (BASE_HEIGHT_MM, POLE_MM + 1))
    return view.polygon(np.array([foot - side, foot + side, top + side, top - side]))


def truth(seen: list[SeenSign], *, min_px: float = 6.0, min_visible: float = 0.4) -> tuple[Detection, ...]:
    """Return what a perfect detector would detect: fronts large enough, not too oblique and not hidden."""
    return tuple(
        Detection(one.sign.label, 1.0, one.box)
        for one in seen
        if one.front and one.facing > 0.2 and one.visible >= min_visible and one.box.height >= min_px
        if one.box.width >= min_px / 2
    )
