"""Draw the surroundings of the track: walls, floor, furniture and table top, as textured planes in perspective."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.simulation.layout import Layout
from edge_agent.simulation.scenery import CEILING_MM, FLOOR_MM, furniture, wall, wall_colour
from edge_agent.simulation.texture import (
    Colour,
    Image,
    apply_tones,
    apply_tones_to_colour,
    composite,
    premultiplied,
    tone_map,
    wood_grain,
)
from edge_agent.simulation.view import CameraView, Optics, Points

Window = tuple[int, int, int, int]
"""Part of a canvas: x1, y1, x2, y2 in pixels."""


class Plane:
    """A picture on a rectangle in the world; `corners` are top-left, top-right, bottom-right, bottom-left."""

    # Pictures and canvases have four channels because OpenCV warps four twice as fast as three.

    def __init__(self, picture: Image, corners: Points, *, opaque: bool = True) -> None:
        self._opaque = opaque
        self.corners = corners
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        self.outward = _unit_normal(across, down)
        self._mips = [_mip(picture, across, down, corners[0])]
        while opaque and min(self._mips[-1][0].shape[:2]) > 200:
            half = cv2.resize(self._mips[-1][0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            self._mips.append(_mip(half.astype(np.uint8), across, down, corners[0]))

    def draw(self, canvas: Image, view: CameraView) -> None:
        """Draw onto (h, w, 4) BGRA; a picture that is not opaque has premultiplied alpha."""
        polygon = view.polygon(self.corners)
        found = window(polygon, canvas.shape)
        if found is None:
            return
        x1, y1, x2, y2 = found
        picture, to_world = self._at_distance(view)
        matrix = plane_matrix(view, to_world, x1, y1)
        try:
            inverse = np.linalg.inv(matrix)
        except np.linalg.LinAlgError:
            return  # seen exactly edge-on
        size = (x2 - x1, y2 - y1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(picture, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        mask = polygon_mask(polygon, x1, y1, size)
        target = canvas[y1:y2, x1:x2]
        if self._opaque:
            cv2.copyTo(warped, mask, target)
        else:
            composite(target, cv2.copyTo(warped, mask).astype(np.uint8))

    def _at_distance(self, view: CameraView) -> tuple[Image, Points]:
        """Return the smallest mipmap level that is sharp at this distance, with its matrix."""
        distance_mm = max(1.0, abs(float((self.corners[0] - view.centre) @ self.outward)))
        need_mm = 0.8 * distance_mm / view.optics.focal_px
        fitting = [mip for mip in self._mips if np.linalg.norm(mip[1][:, 0]) <= need_mm]
        return fitting[-1] if fitting else self._mips[0]


def _unit_normal(a: Points, b: Points) -> Points:
    """Return the unit vector perpendicular to both."""
    # numpy's cross product takes ten times as long for two vectors.
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return np.array([x, y, z]) / math.sqrt(x * x + y * y + z * z)


def _mip(picture: Image, across: Points, down: Points, corner: Points) -> tuple[Image, Points]:
    """Return a picture with the matrix that maps its (x, y, 1) to a world point."""
    step_x, step_y = across / picture.shape[1], down / picture.shape[0]
    # Half a pixel corrects for cv2's pixel centres at integers.
    return picture, np.stack([step_x, step_y, corner + (step_x + step_y) / 2], axis=1)


def window(polygon: Points, shape: tuple[int, ...]) -> Window | None:
    """Return the bounding box of a polygon within a canvas; None when it is outside."""
    if len(polygon) < 3:
        return None
    low = np.floor(np.maximum(polygon.min(axis=0), 0)).astype(int)
    high = np.ceil(np.minimum(polygon.max(axis=0), (shape[1], shape[0]))).astype(int)
    if high[0] - low[0] < 1 or high[1] - low[1] < 1:
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def plane_matrix(view: CameraView, to_world: Points, x1: float, y1: float) -> Points:
    """Return the homography from a plane's coordinates to the pixels of a canvas cropped at (x1, y1)."""
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
    # Corners of clipped polygons can be millions of pixels away, beyond cv2's fixed-point range.
    inside = np.clip(polygon - (x1 + 0.5, y1 + 0.5), -30_000, 30_000)
    cv2.fillConvexPoly(mask, np.round(inside * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    return mask


_TABLE_PX = 1024
_TABLE_PX_PER_MM = 0.8
_TABLES = (((16, 18, 22), (44, 50, 58)), ((22, 24, 26), (52, 54, 60)), ((60, 84, 110), (104, 136, 166)))
_FLOORS = ((104, 122, 142), (140, 140, 142), (70, 96, 128))


@dataclass(frozen=True, slots=True, eq=False)
class _Furniture:
    """A piece of furniture: position (2,), BGRA picture and size."""

    spot: Points
    picture: Image
    width_mm: float
    height_mm: float


class Room:
    """The surroundings of the track: built once, drawn for each picture."""

    def __init__(self, layout: Layout, tones: Image, optics: Optics) -> None:
        rng = np.random.default_rng([layout.look.seed, 2])
        corners = np.array(layout.table)
        self._corners = np.column_stack([corners, np.zeros(4)])
        along, across = _unit(corners[1] - corners[0]), _unit(corners[3] - corners[0])
        paint = wall_colour(rng)
        self._walls = _walls(rng, corners, paint, tones)
        self._things = [_place(rng, corners, tones) for _ in range(9)]
        grain = wood_grain(rng, _TABLE_PX)
        # Doubled in both directions, so that the near table never crosses an edge: wrapping would cost twice as much.
        self._grain = np.tile(grain, (2, 2))
        self._coarse = _cover(cv2.GaussianBlur(grain, (0, 0), 5)[::4, ::4].astype(np.uint8), corners)
        self._axes = (along, across, corners[0])
        dark, light = _TABLES[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
        self._tones = apply_tones(tone_map(dark, light), tones)
        self._ceiling, self._floor = (
            np.full((optics.height, optics.width, 4), (*apply_tones_to_colour(colour, tones), 0), np.uint8)
            for colour in ((235, 238, 240), _FLOORS[int(rng.integers(len(_FLOORS)))])
        )
        self._sheen = _sheen(rng, optics)
        self._lamp_rad = float(rng.uniform(-math.pi, math.pi))

    @property
    def table_bgr(self) -> Colour:
        """Mean colour of the table."""
        b, g, r = (int(part) for part in self._tones[128, 0])
        return b, g, r

    def draw(self, canvas: Image, view: CameraView) -> None:
        """Fill the whole (h, w, 4) BGRA canvas."""
        self._draw_empty(canvas, view)
        polygon = view.polygon(self._corners)
        found = window(polygon, canvas.shape)
        mask = None if found is None else polygon_mask(polygon, *found[:2], (found[2] - found[0], found[3] - found[1]))
        above = canvas[: _covered_from(mask, found, canvas.shape)]
        for plane in self._walls:
            if (plane.corners[0] - view.centre) @ plane.outward > 0:
                plane.draw(above, view)
        for thing in self._things:
            self._stand(above, view, thing)
        if found is not None and mask is not None:
            self._draw_table(canvas, view, polygon, found, mask)

    def _draw_empty(self, canvas: Image, view: CameraView) -> None:
        """Fill with ceiling above the horizon and floor below."""
        optics, (right_z, down_z, ahead_z) = view.optics, view.matrix[:, 2]
        # The horizon is where a ray neither rises nor falls; a camera that is rolled sees it slanting.
        across = np.array([-optics.width / 2, optics.width / 2])
        left, right = optics.height / 2 - (ahead_z * optics.focal_px + right_z * across) / min(down_z, -1e-3)
        low, high = (int(np.clip(row, 0, optics.height)) for row in (min(left, right), max(left, right)))
        canvas[:low], canvas[low:] = self._ceiling[:low], self._floor[low:]
        if high > low:
            sky = np.array([(0, low), (optics.width, low), (optics.width, right), (0, left)])
            cv2.fillConvexPoly(canvas, np.round(sky).astype(np.int32), self._ceiling[0, 0].tolist())

    def _stand(self, canvas: Image, view: CameraView, thing: _Furniture) -> None:
        to_camera = view.centre[:2] - thing.spot
        if -to_camera @ view.matrix[2, :2] < 0.3 * np.linalg.norm(to_camera):
            return
        side = _unit(np.array([-to_camera[1], to_camera[0]])) * thing.width_mm / 2
        low, high = FLOOR_MM, FLOOR_MM + thing.height_mm
        left, right = thing.spot - side, thing.spot + side
        corners = np.array([[*left, high], [*right, high], [*right, low], [*left, low]])
        Plane(thing.picture, corners, opaque=False).draw(canvas, view)

    def _draw_table(self, canvas: Image, view: CameraView, polygon: Points, found: Window, mask: Image) -> None:
        x1, y1, x2, y2 = found
        warped = cv2.applyColorMap(self._table_grey(view, found), self._tones)
        warped = cv2.cvtColor(warped, cv2.COLOR_BGR2BGRA)
        cv2.copyTo(warped, mask, canvas[y1:y2, x1:x2])
        rim = np.clip(polygon - 0.5, -30_000, 30_000)
        tone = tuple(int(part) for part in self._tones[96, 0])
        cv2.polylines(canvas, [np.round(rim * 16).astype(np.int32)], True, tone, 1, cv2.LINE_AA, 4)

    def _table_grey(self, view: CameraView, found: Window) -> Image:
        """Return the table's grain in perspective, coarse in the distance, with its sheen."""
        x1, y1, x2, y2 = found
        optics = view.optics
        # Beyond it the table has a coarser texture, or its grain would alias.
        mount = optics.mount
        far_row = optics.height / 2 + optics.focal_px * (mount.height_mm / 500.0 - math.tan(mount.pitch_rad))
        split = int(np.clip(far_row, y1, y2))
        grey = np.empty((y2 - y1, x2 - x1), np.uint8)
        bands = (
            (self._coarse, self._texture_to_world(4.0, self._axes[2]), y1, split),
            (self._grain, self._texture_to_world(1.0, self._near_origin(view)), split, y2),
        )
        for texture, to_world, top, bottom in bands:
            if bottom > top:
                inverse = np.linalg.inv(plane_matrix(view, to_world, x1, top))
                grey[top - y1 : bottom - y1] = cv2.warpPerspective(
                    texture,
                    inverse,
                    (x2 - x1, bottom - top),
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                )
        out: Image = cv2.add(grey, self._sheen_at(view)[y1:y2, x1:x2])  # type: ignore[assignment]
        return out

    def _near_origin(self, view: CameraView) -> Points:
        """Return the tile corner from which the doubled tile surrounds the point below the camera."""
        along, across, origin = self._axes
        tile_mm = _TABLE_PX / _TABLE_PX_PER_MM
        foot = view.centre[:2] - origin
        steps = [math.floor(foot @ axis / tile_mm - 0.5) * tile_mm for axis in (along, across)]
        out: Points = origin + along * steps[0] + across * steps[1]
        return out

    def _texture_to_world(self, scale: float, origin: Points) -> Points:
        along, across, _ = self._axes
        step = scale / _TABLE_PX_PER_MM
        return np.array(
            [[along[0] * step, across[0] * step, origin[0]], [along[1] * step, across[1] * step, origin[1]], [0, 0, 0]]
        )

    def _sheen_at(self, view: CameraView) -> Image:
        """Return the part of the sheen's panorama that is in view, (height, width)."""
        turn = (self._lamp_rad - math.atan2(view.matrix[2, 1], view.matrix[2, 0])) % (2 * math.pi)
        start = round(turn * view.optics.focal_px)
        return self._sheen[:, start : start + view.optics.width]


def _cover(tile: Image, corners: Points) -> Image:
    """Return the coarse tile repeated over the whole table."""
    px_per_mm = _TABLE_PX_PER_MM / 4
    sides = np.linalg.norm(corners[[1, 3]] - corners[0], axis=1) * px_per_mm
    across, down = (math.ceil(side / tile.shape[0]) for side in sides)
    return np.tile(tile, (down, across))


def _sheen(rng: np.random.Generator, optics: Optics) -> Image:
    """Return the table's sheen, grey values to add: stronger at a low angle and towards the lamp.

    A panorama, (height, all bearings clockwise from the lamp's, plus the width of one picture).
    """
    below = np.maximum(0, np.arange(optics.height) - optics.height / 2 + 10)
    low_angle = np.exp(-below / (0.14 * optics.height))
    around = np.arange(math.ceil(2 * math.pi * optics.focal_px) + optics.width + 1)
    bearing = (around - optics.width / 2) / optics.focal_px
    toward = 0.35 + 0.65 * np.exp(-2.5 * (1 - np.cos(bearing)))
    out: Image = (rng.uniform(10, 60) * np.outer(low_angle + 0.12, toward)).astype(np.uint8)
    return out


def _covered_from(mask: Image | None, found: Window | None, shape: tuple[int, ...]) -> int:
    """Return the first row from which on the table covers the full width."""
    if mask is None or found is None or found[0] > 0 or found[2] < shape[1] or found[3] < shape[0]:
        return shape[0]
    bare = np.flatnonzero(mask[:, [0, -1]].min(axis=1) == 0)  # convex: a row is covered when both its ends are
    return found[1] + (int(bare[-1]) + 1 if len(bare) else 0)


def _unit(vector: Points) -> Points:
    out: Points = vector / np.linalg.norm(vector)
    return out


def _walls(rng: np.random.Generator, corners: Points, paint: Colour, tones: Image) -> list[Plane]:
    """Return four walls around the table, at some distance."""
    along, across = _unit(corners[1] - corners[0]), _unit(corners[3] - corners[0])
    gaps = rng.uniform(450, 1500, 4)
    low = corners[0] - along * gaps[0] - across * gaps[1]
    lengths = (
        np.linalg.norm(corners[1] - corners[0]) + gaps[0] + gaps[2],
        np.linalg.norm(corners[3] - corners[0]) + gaps[1] + gaps[3],
    )
    feet = [low, low + along * lengths[0], low + along * lengths[0] + across * lengths[1], low + across * lengths[1]]
    planes = []
    for here, there in zip(feet, feet[1:] + feet[:1], strict=True):
        # From inside, with the room to the left of here -> there, `there` is on the right-hand side.
        left, right = there, here
        quad = np.array([[*left, CEILING_MM], [*right, CEILING_MM], [*right, FLOOR_MM], [*left, FLOOR_MM]])
        picture = wall(rng, float(np.linalg.norm(there - here)), paint)
        planes.append(Plane(cv2.cvtColor(apply_tones(picture, tones), cv2.COLOR_BGR2BGRA).astype(np.uint8), quad))
    return planes


def _place(rng: np.random.Generator, corners: Points, tones: Image) -> _Furniture:
    """Return a piece of furniture beside a random side of the table."""
    side = int(rng.integers(4))
    here, there = corners[side], corners[(side + 1) % 4]
    outward = _unit(np.array([there[1] - here[1], here[0] - there[0]]))
    picture, width_mm, height_mm = furniture(rng)
    spot = here + (there - here) * rng.uniform(0.02, 0.98) + outward * (width_mm / 2 + rng.uniform(20, 250))
    return _Furniture(spot, premultiplied(apply_tones(picture, tones)), width_mm, height_mm)
