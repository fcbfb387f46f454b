"""Draws what lies beyond the rails: the room's walls and floor, furniture, and the table's top.

Textured planes under exact perspective. Knows nothing of track, signs or light effects.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.sim.layout import Layout
from edge_agent.sim.scenery import CEILING_MM, FLOOR_MM, furniture, wall, wall_colour
from edge_agent.sim.texture import Image, tone_map, wood_grain
from edge_agent.sim.view import Points, View

_TABLE_PX = 1024
_TABLE_PX_PER_MM = 0.8
_FAR_MM = 500.0
"""From here on the table is taken from a coarser texture, or its grain would glitter."""
_TABLES = (((16, 18, 22), (44, 50, 58)), ((22, 24, 26), (52, 54, 60)), ((60, 84, 110), (104, 136, 166)))
_FLOORS = (((60, 78, 96), (110, 130, 150)), ((90, 92, 94), (140, 140, 142)))


@dataclass(frozen=True, slots=True, eq=False)
class _Thing:
    """A piece of furniture: where it stands (2,), its BGRA picture and its size."""

    spot: Points
    picture: Image
    width_mm: float
    height_mm: float


class Plane:
    """A picture on a rectangle in the world; `corners` are top-left, top-right, bottom-right, bottom-left."""

    def __init__(self, picture: Image, corners: Points) -> None:
        self.picture = picture
        self.corners = corners
        height_px, width_px = picture.shape[:2]
        across, down = (corners[1] - corners[0]) / width_px, (corners[3] - corners[0]) / height_px
        # Columns turn a picture's (x, y, 1) into a world point; half a pixel moves cv2's centres to the true places.
        self._to_world = np.stack([across, down, corners[0] + (across + down) / 2], axis=1)

    def draw(self, canvas: Image, view: View) -> None:
        """Draw onto (h, w, 3) BGR; a picture of four channels is blended by its last."""
        polygon = view.polygon(self.corners)
        found = window(polygon, canvas.shape)
        if found is None:
            return
        x1, y1, x2, y2 = found
        matrix = plane_matrix(view, self._to_world, x1, y1)
        try:
            inverse = np.linalg.inv(matrix)
        except np.linalg.LinAlgError:
            return  # seen exactly edge-on
        size = (x2 - x1, y2 - y1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped: Image = cv2.warpPerspective(  # type: ignore[assignment]
            self.picture, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        mask = polygon_mask(polygon, x1, y1, size)
        target = canvas[y1:y2, x1:x2]
        if warped.shape[2] == 4:
            mask[warped[:, :, 3] < 128] = 0
            warped = np.ascontiguousarray(warped[:, :, :3])
        cv2.copyTo(warped, mask, target)


def window(polygon: Points, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return the part of a canvas that a polygon may touch: x1, y1, x2, y2; None when there is none."""
    if len(polygon) < 3:
        return None
    low = np.floor(np.maximum(polygon.min(axis=0), 0)).astype(int)
    high = np.ceil(np.minimum(polygon.max(axis=0), (shape[1], shape[0]))).astype(int)
    if high[0] - low[0] < 1 or high[1] - low[1] < 1:
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def plane_matrix(view: View, to_world: Points, x1: float, y1: float) -> Points:
    """Return the homography from a plane's own coordinates to the pixels of a canvas cut off at (x1, y1)."""
    optics = view.optics
    focal, cx, cy = optics.focal_px, optics.width / 2 - 0.5 - x1, optics.height / 2 - 0.5 - y1
    lens = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
    moved = to_world.copy()
    moved[:, 2] -= view.centre
    out: Points = lens @ view.matrix @ moved
    return out


def polygon_mask(polygon: Points, x1: int, y1: int, size: tuple[int, int]) -> Image:
    """Return a (height, width) mask, 255 inside the polygon."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    # Far corners of clipped polygons can lie millions of pixels away; cv2's fixed point wants them nearer.
    inside = np.clip(polygon - (x1 + 0.5, y1 + 0.5), -30_000, 30_000)
    cv2.fillConvexPoly(mask, np.round(inside * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    return mask


class Room:
    """Everything around the track: built once, drawn for each picture."""

    def __init__(self, layout: Layout) -> None:
        rng = np.random.default_rng([layout.look.seed, 2])
        corners = np.array(layout.table)
        self._corners = np.column_stack([corners, np.zeros(4)])
        along, across = _unit(corners[1] - corners[0]), _unit(corners[3] - corners[0])
        self._walls = _walls(rng, corners, along, across)
        self._things = [_place(rng, corners) for _ in range(9)]
        grain = wood_grain(rng, _TABLE_PX)
        self._grain = grain
        self._coarse = cv2.GaussianBlur(grain, (0, 0), 5)[::4, ::4].copy()
        self._axes = (along, across, corners[0])
        dark, light = _TABLES[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
        self._tones = tone_map(dark, light)
        self._floor = np.array(_FLOORS[int(rng.integers(2))][1], np.uint8)
        self._sheen = float(rng.uniform(10, 60))
        self._lamp_rad = float(rng.uniform(-math.pi, math.pi))

    @property
    def table_bgr(self) -> NDArray[np.uint8]:
        """The table's mean colour, (3,)."""
        out: NDArray[np.uint8] = self._tones[128, 0]
        return out

    def draw(self, canvas: Image, view: View) -> None:
        """Fill the whole (h, w, 3) canvas."""
        canvas[:] = self._floor
        for plane in self._walls:
            if (plane.corners.mean(axis=0) - view.centre) @ np.cross(*_edges(plane)) > 0:
                plane.draw(canvas, view)
        for thing in self._things:
            self._stand(canvas, view, thing)
        self._draw_table(canvas, view)

    def _stand(self, canvas: Image, view: View, thing: _Thing) -> None:
        to_camera = view.centre[:2] - thing.spot
        if -to_camera @ view.matrix[2, :2] < 0.3 * np.linalg.norm(to_camera):
            return
        side = _unit(np.array([-to_camera[1], to_camera[0]])) * thing.width_mm / 2
        low, high = FLOOR_MM, FLOOR_MM + thing.height_mm
        left, right = thing.spot - side, thing.spot + side
        corners = np.array([[*left, high], [*right, high], [*right, low], [*left, low]])
        Plane(thing.picture, corners).draw(canvas, view)

    def _draw_table(self, canvas: Image, view: View) -> None:
        polygon = view.polygon(self._corners)
        found = window(polygon, canvas.shape)
        if found is None:
            return
        x1, y1, x2, y2 = found
        grey = self._table_grey(view, x1, y1, x2, y2)
        warped = cv2.applyColorMap(grey, self._tones)
        cv2.copyTo(warped, polygon_mask(polygon, x1, y1, (x2 - x1, y2 - y1)), canvas[y1:y2, x1:x2])

    def _table_grey(self, view: View, x1: int, y1: int, x2: int, y2: int) -> Image:
        """Return the table's grain in perspective, coarse where it is far, with the sheen of a low angle."""
        optics = view.optics
        far_row = optics.height / 2 + optics.focal_px * (optics.height_mm / _FAR_MM - math.tan(optics.pitch_rad))
        split = int(np.clip(far_row, y1, y2))
        grey = np.empty((y2 - y1, x2 - x1), np.uint8)
        for texture, scale, top, bottom in ((self._coarse, 4.0, y1, split), (self._grain, 1.0, split, y2)):
            if bottom > top:
                matrix = plane_matrix(view, self._texture_to_world(scale), x1, top)
                flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
                size = (x2 - x1, bottom - top)
                inverse = np.linalg.inv(matrix)
                grey[top - y1 : bottom - y1] = cv2.warpPerspective(
                    texture, inverse, size, flags=flags, borderMode=cv2.BORDER_WRAP
                )
        return cv2.add(grey, self._sheen_at(view, x1, y1, x2, y2)).astype(np.uint8)

    def _texture_to_world(self, scale: float) -> Points:
        along, across, origin = self._axes
        step = scale / _TABLE_PX_PER_MM
        return np.array(
            [[along[0] * step, across[0] * step, origin[0]], [along[1] * step, across[1] * step, origin[1]], [0, 0, 0]]
        )

    def _sheen_at(self, view: View, x1: int, y1: int, x2: int, y2: int) -> Image:
        """Return what the table mirrors of the room: more at a low angle and towards the lamp."""
        optics = view.optics
        below = np.maximum(0, np.arange(y1, y2) - optics.height / 2 + 10)
        low_angle = np.exp(-below / (0.14 * optics.height))
        heading = math.atan2(view.matrix[2, 1], view.matrix[2, 0])
        bearing = heading - np.arctan((np.arange(x1, x2) - optics.width / 2) / optics.focal_px)
        toward = 0.35 + 0.65 * np.exp(-2.5 * (1 - np.cos(bearing - self._lamp_rad)))
        return (self._sheen * np.outer(low_angle + 0.12, toward)).astype(np.uint8)


def _unit(vector: Points) -> Points:
    out: Points = vector / np.linalg.norm(vector)
    return out


def _edges(plane: Plane) -> tuple[Points, Points]:
    return plane.corners[1] - plane.corners[0], plane.corners[3] - plane.corners[0]


def _walls(rng: np.random.Generator, corners: Points, along: Points, across: Points) -> list[Plane]:
    """Build four walls around the table, each some way off."""
    gaps = rng.uniform(450, 1500, 4)
    low = corners[0] - along * gaps[0] - across * gaps[1]
    lengths = (
        np.linalg.norm(corners[1] - corners[0]) + gaps[0] + gaps[2],
        (np.linalg.norm(corners[3] - corners[0]) + gaps[1] + gaps[3]),
    )
    feet = [low, low + along * lengths[0], low + along * lengths[0] + across * lengths[1], low + across * lengths[1]]
    colour = wall_colour(rng)
    planes = []
    for here, there in zip(feet, feet[1:] + feet[:1], strict=True):
        # From inside, with the room to the left of here -> there, `there` is on the right-hand side.
        left, right = there, here
        quad = np.array([[*left, CEILING_MM], [*right, CEILING_MM], [*right, FLOOR_MM], [*left, FLOOR_MM]])
        planes.append(Plane(wall(rng, float(np.linalg.norm(there - here)), colour), quad))
    return planes


def _place(rng: np.random.Generator, corners: Points) -> _Thing:
    """Stand a piece of furniture outside a random side of the table."""
    side = int(rng.integers(4))
    here, there = corners[side], corners[(side + 1) % 4]
    outward = _unit(np.array([there[1] - here[1], here[0] - there[0]]))
    picture, width_mm, height_mm = furniture(rng)
    spot = here + (there - here) * rng.uniform(0.02, 0.98) + outward * (width_mm / 2 + rng.uniform(20, 250))
    return _Thing(spot, picture, width_mm, height_mm)
