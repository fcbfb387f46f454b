"""Draw toy signs in the world: shadow, base, pole and head, with motion blur.

Each sign is drawn on a small transparent patch, blurred there, and composited onto the picture.
"""

import math

import cv2
import numpy as np

from edge_agent.simulation import artwork
from edge_agent.simulation.layout import BASE_HEIGHT_MM, BASE_MM, Layout
from edge_agent.simulation.texture import Colour, Image, apply_tones, apply_tones_to_colour, composite, premultiplied
from edge_agent.simulation.view import NEAR_MM, CameraView, Points, SeenSign, head_axes, head_points, pole_polygon

_MIPS = (12, 24, 48, 96, 192)
_FIXED = 4


class SignRenderer:
    """Draws a layout's signs; holds their faces and backs as mipmaps with premultiplied alpha."""

    def __init__(self, layout: Layout, tones: Image) -> None:
        self._layout = layout
        light = layout.look.sign_light
        self._faces: dict[tuple[str, bool, int], Image] = {}
        for name in {sign.name for sign in layout.signs}:
            for front in (True, False):
                # Drawn large and averaged down: a small drawing would lose thin strokes.
                large = artwork.draw(name, 2 * _MIPS[-1]) if front else artwork.draw_back(name, _MIPS[-1])
                lit = cv2.convertScaleAbs(large, alpha=min(light, 1.1)).astype(np.uint8)
                lit[:, :, 3] = large[:, :, 3]
                large = premultiplied(apply_tones(lit, tones))
                for height_px in _MIPS:
                    self._faces[name, front, height_px] = _shrunk(large, height_px)
        self._light = light
        self._tones = tones

    def draw(self, canvas: Image, view: CameraView, one: SeenSign, earlier: CameraView) -> None:
        """Draw one sign onto (h, w, 3) BGR; `earlier` is the camera when the shutter opened."""
        flow = self._flow(view, earlier, one)
        corners = [one.outline, *self._solid(view, one.index)[0], pole_polygon(self._layout, view, one)]
        around = np.concatenate([corner for corner in corners if len(corner)])
        margin = 3 + np.abs(flow)
        low = np.floor(np.maximum(around.min(axis=0) - margin, 0)).astype(int)
        high = np.ceil(np.minimum(around.max(axis=0) + margin, canvas.shape[1::-1])).astype(int)
        if np.any(high - low < 2):
            return
        patch = np.zeros((high[1] - low[1], high[0] - low[0], 4), np.uint8)
        self._paint(patch, view, one, low)
        if math.hypot(*flow) > 1.0:
            patch = cv2.filter2D(patch, -1, _line_kernel(flow), borderType=cv2.BORDER_REPLICATE).astype(np.uint8)
        composite(canvas[low[1] : high[1], low[0] : high[0]], patch)

    def _paint(self, patch: Image, view: CameraView, one: SeenSign, low: Points) -> None:
        outlines, colours = self._solid(view, one.index)
        for outline, colour in zip(outlines, colours, strict=True):
            _fill(patch, outline - low, colour)
        pole = pole_polygon(self._layout, view, one)
        _fill(patch, pole - low if len(pole) else pole, self._lit(artwork.POLE_BGR))
        if len(pole):
            shine = pole[[0, 1, 2, 3]] * 0.62 + pole[[1, 0, 3, 2]] * 0.38 + (pole[1] - pole[0]) * 0.08
            _fill(patch, shine - low, self._lit((70, 66, 64)))
        self._head(patch, view, one, low)

    def _solid(self, view: CameraView, index: int) -> tuple[list[Points], list[tuple[int, ...]]]:
        """Return shadow, sides and top of the base as pixel polygons with premultiplied BGRA colours."""
        pose = self._layout.sign_poses[index]
        ahead = np.array([math.cos(pose.heading_rad), math.sin(pose.heading_rad)])
        left = np.array([-ahead[1], ahead[0]])
        centre = np.array([pose.x_mm, pose.y_mm])
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) @ np.stack([ahead, left]) * BASE_MM / 2
        turns = np.arange(12) * math.pi / 6
        blob = np.stack([np.cos(turns), np.sin(turns)], axis=1) * BASE_MM * 0.85
        rings = ((blob, 0.0), (corners, 0.0), (corners, BASE_HEIGHT_MM))
        outlines = [view.polygon(np.column_stack([centre + ring, np.full(len(ring), z)])) for ring, z in rings]
        colours: list[tuple[int, ...]] = [(0, 0, 0, 110), self._lit(artwork.BASE_BGR, 0.5), self._lit(artwork.BASE_BGR)]
        return outlines, colours

    def _lit(self, colour: Colour, factor: float = 1.0) -> tuple[int, ...]:
        """Return a colour through the tone table, as opaque BGRA."""
        b, g, r = colour
        return (*apply_tones_to_colour((round(b * factor), round(g * factor), round(r * factor)), self._tones), 255)

    def _head(self, patch: Image, view: CameraView, one: SeenSign, low: Points) -> None:
        layout, sign = self._layout, one.sign
        size_px = one.outline[:, 1].max() - one.outline[:, 1].min()
        height_px = next((mip for mip in _MIPS if mip >= size_px), _MIPS[-1])
        face = self._faces[sign.name, one.front, height_px]
        half_width = face.shape[1] / face.shape[0] / 2
        uv = np.array([(-half_width, -0.5), (half_width, -0.5), (half_width, 0.5), (-half_width, 0.5)])
        world = head_points(layout, one.index, one.front, uv)
        in_camera = view.to_camera(world)
        if in_camera[:, 2].min() < NEAR_MM:
            return
        quad = (view.to_pixels(in_camera) - low - 0.5).astype(np.float32)
        _fill(patch, one.outline - low, self._lit((122, 124, 124), self._light))
        height, width = face.shape[:2]
        source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - np.float32(0.5)
        matrix = cv2.getPerspectiveTransform(source, quad)
        head: Image = cv2.warpPerspective(  # type: ignore[assignment]
            face, matrix, patch.shape[1::-1], flags=cv2.INTER_LINEAR
        )
        composite(patch, head)

    def _flow(self, view: CameraView, earlier: CameraView, one: SeenSign) -> Points:
        """Return the motion of the head in pixels while the shutter was open."""
        centre, _ = head_axes(self._layout, one.index, one.front)
        now, then = view.to_camera(centre), earlier.to_camera(centre)
        if min(now[2], then[2]) < NEAR_MM:
            return np.zeros(2)
        flow: Points = np.clip(view.to_pixels(now) - earlier.to_pixels(then), -25, 25)
        return flow


def _shrunk(large: Image, height_px: int) -> Image:
    width_px = max(1, round(large.shape[1] * height_px / large.shape[0]))
    return cv2.resize(large, (width_px, height_px), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _fill(patch: Image, outline: Points, colour: tuple[int, ...]) -> None:
    if len(outline) < 3:
        return
    pixels = np.clip((outline - 0.5) * (1 << _FIXED), -400_000, 400_000)
    cv2.fillConvexPoly(patch, np.round(pixels).astype(np.int32), colour, cv2.LINE_AA, _FIXED)


def _line_kernel(flow: Points) -> Points:
    """Return a motion blur kernel along `flow`."""
    half = math.ceil(max(abs(flow)) / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    ends = [np.round((half + sign * flow / 2) * 16).astype(int) for sign in (-1, 1)]
    cv2.line(kernel, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 1.0, 1, cv2.LINE_AA, 4)
    out: Points = kernel / max(1e-6, float(kernel.sum()))
    return out
