"""How a toy sign stands: the outlines of its face, edge, pole and base in the picture.

Knows the toy's proportions and their projection. Knows nothing of colours.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.synth.faces import Face
from edge_agent.mlops.synth.view import Points, SceneCamera

POLE_HEIGHTS = 2.05
"""Length of the pole in heights of the face, measured on photographs of the toys."""
_CLIP_DEPTH = 0.22  # of the clip behind the plate, in heights of the face


@dataclass(frozen=True)
class SignPose:
    """Where and how a sign stands. Lengths in pixels of the scene.

    Args:
        foot: (2,) pixel where the pole meets the table.
        height_px: height of the face when seen from the front.
        ahead_mm: distance from the camera.
        yaw_rad: turn about the pole; beyond a right angle the back shows.
        tilt_rad: lean of the pole in the picture.
        nod_rad: lean towards or away from the camera.
        depth: thickness in heights of the face.
        pole: length of the pole in heights of the face.
    """

    foot: Points
    height_px: float
    ahead_mm: float
    yaw_rad: float
    tilt_rad: float
    nod_rad: float
    depth: float
    pole: float = POLE_HEIGHTS

    @property
    def back(self) -> bool:
        """Whether the sign's back is seen."""
        return bool(np.cos(self.yaw_rad) < 0)


@dataclass(frozen=True)
class Outline:
    """Where a sign is in the picture: hulls of points in pixels.

    Args:
        corners: (4, 2) the rectangle of the face, or of the back where that is seen: top left, top right, bottom
            right, bottom left as seen from that side.
        hull: (N, 2) face and edge together.
        clip: (N, 2) the pole's clip behind the plate, seen from the side.
    """

    corners: Points
    hull: Points
    clip: Points

    def moved(self, by: Points) -> "Outline":
        """Shift the outline."""
        return Outline(self.corners + by, self.hull + by, self.clip + by)


def outline(face: Face, pose: SignPose, view: SceneCamera) -> Outline:
    """Project a sign's face and edge."""
    height, width = pose.height_px, pose.height_px * face.aspect
    turned = _rotation(pose)
    rise = (pose.pole + 0.5) * height
    middle = pose.foot + rise * np.array([np.sin(pose.tilt_rad), -np.cos(pose.tilt_rad)])

    def project(fractions: Points, depth: float) -> Points:
        flat = (fractions - 0.5) * np.array([width, height])
        solid = np.column_stack([flat, np.full(len(flat), depth * height)]) @ turned.T
        near_by = 1 / (1 + solid[:, 2:] / view.focal_px)
        return np.asarray(view.turn(solid[:, :2] * near_by + middle))

    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    corners = project(square, pose.depth)[[1, 0, 3, 2]] if pose.back else project(square, 0.0)
    front, rear = project(face.hull, 0.0), project(face.hull, pose.depth)
    wide = 0.1 / face.aspect
    holder = np.array([(0.5 - wide, 0.35), (0.5 + wide, 0.35), (0.5 + wide, 1.0), (0.5 - wide, 1.0)])
    block = np.vstack([project(holder, pose.depth), project(holder, pose.depth + _CLIP_DEPTH)])
    return Outline(corners, _hull(np.vstack([front, rear])), _hull(block))


def _hull(points: Points) -> Points:
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], dtype=float)


def _rotation(pose: SignPose) -> NDArray[np.float64]:
    cos, sin = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    yaw = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = np.cos(pose.nod_rad), np.sin(pose.nod_rad)
    nod = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    cos, sin = np.cos(pose.tilt_rad), np.sin(pose.tilt_rad)
    tilt = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ yaw)


def stand_polygons(pose: SignPose, view: SceneCamera) -> list[tuple[Points, str]]:
    """Outline base and pole as polygons from back to front, each with the part's name."""
    size = pose.height_px
    up = np.array([np.sin(pose.tilt_rad), -np.cos(pose.tilt_rad)]) * size
    across = np.array([np.cos(pose.tilt_rad), np.sin(pose.tilt_rad)]) * size
    squash = float(np.clip(view.camera_mm / pose.ahead_mm, 0.06, 0.9))
    angles = pose.yaw_rad + np.pi / 4 + np.arange(4) * np.pi / 2
    plate = np.stack([np.cos(angles), np.sin(angles) * squash], axis=1) * 0.74 * size
    lower, upper = pose.foot + plate, pose.foot + plate - (0.0, 0.13 * size)
    half = across * 0.085
    foot, top = pose.foot, pose.foot + up * (pose.pole + 0.04)
    pole = np.array([foot - half, foot + half, top + half * 0.9, top - half * 0.9])
    sleeve = np.array(
        [foot - half * 1.5, foot + half * 1.5, foot + up * 0.42 + half * 1.2, foot + up * 0.42 - half * 1.2]
    )
    block = cv2.convexHull(np.vstack([lower, upper]).astype(np.float32))[:, 0].astype(float)
    parts = [(block, "side"), (upper, "plate"), (pole, "pole"), (sleeve, "pole")]
    return [(view.turn(points), part) for points, part in parts]
