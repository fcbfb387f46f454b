"""The renderer of the simulated camera: room, table, track and signs, with motion blur, lens, light and noise.

Deterministic: the same layout, moment and frame number give the same bytes.
"""

import math

import cv2
import numpy as np

from edge_agent.simulation.layout import Layout, RenderStyle
from edge_agent.simulation.room import Room
from edge_agent.simulation.sign_renderer import SignRenderer
from edge_agent.simulation.texture import Image
from edge_agent.simulation.track_renderer import TrackRenderer
from edge_agent.simulation.view import CameraView, Optics, SeenSign, see
from edge_agent.simulation.world import Snapshot, view_of

# How much larger than the picture the noise is; each frame uses another part of it.
_NOISE_PX = 96


class Renderer:
    """Renders one layout, by default in 600x400 pixels; construction takes tenths of a second."""

    def __init__(self, layout: Layout, optics: Optics | None = None) -> None:
        self._layout = layout
        self._optics = optics or Optics(mount=layout.mount)
        rng = np.random.default_rng([layout.look.seed, 3])
        size = self._optics
        tones = _tone_table(layout.look)
        self._room = Room(layout, tones, size)
        self._track = TrackRenderer(layout.track, float(rng.uniform(80, 150)), self._room.table_bgr, tones)
        self._signs = SignRenderer(layout, tones)
        self._vignette = _vignette(size, float(rng.uniform(0.1, 0.32)))
        noise = rng.normal(0, float(rng.uniform(1.5, 4.0)), (size.height + _NOISE_PX, size.width + _NOISE_PX, 3))
        # Demosaicing correlates the noise of a sensor.
        self._noise = np.round(cv2.GaussianBlur(noise, (0, 0), 0.6) * 1.6).astype(np.int16)
        self._softness = float(rng.uniform(0.45, 0.8))

    def render(self, moment: Snapshot, frame: int) -> tuple[Image, list[SeenSign]]:
        """Render a moment: (height, width, 3) uint8 BGR, and the visible signs, farthest first."""
        view = view_of(self._optics, moment)
        earlier = self._shutter_opens(view, moment)
        canvas = np.empty((self._optics.height, self._optics.width, 4), np.uint8)
        self._room.draw(canvas, view)
        self._track.draw(canvas, view)
        canvas = self._blur_ground(canvas, view, moment)
        canvas = cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR).astype(np.uint8)
        seen = see(self._layout, view)
        for one in seen:
            self._signs.draw(canvas, view, one, earlier)
        return self._develop(canvas, moment, frame), seen

    def _shutter_opens(self, view: CameraView, moment: Snapshot) -> CameraView:
        """Return the camera at the shutter's opening, without its rotation, which blurs the picture as a whole."""
        back_mm = moment.speed_mm_s * self._layout.look.shutter_s
        pose = moment.pose
        shift = np.array([math.cos(pose.heading_rad), math.sin(pose.heading_rad), 0.0]) * back_mm
        return CameraView(view.optics, view.centre - shift, view.matrix)

    def _blur_ground(self, canvas: Image, view: CameraView, moment: Snapshot) -> Image:
        """Apply the motion blur of driving forward to table and track: strongest at the lower edge."""
        optics = self._optics
        travel_mm = moment.speed_mm_s * self._layout.look.shutter_s
        if travel_mm < 0.5 or moment.fallen_s > 0:
            return canvas
        # A point y below the horizon moves by y * y * travel / (focal * height): blur where that is a pixel.
        horizon = optics.height / 2 - optics.focal_px * math.tan(optics.mount.pitch_rad)
        top = int(horizon + math.sqrt(optics.focal_px * optics.mount.height_mm / travel_mm))
        if top > optics.height - 4:
            return canvas
        ground = canvas[top:]
        size = (optics.width, optics.height - top)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        total = ground
        for share, weight in ((-0.5, 1 / 2), (0.5, 1 / 3)):
            moved = cv2.warpPerspective(
                ground, _ground_shift(view, share * travel_mm, top), size, flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            total = cv2.addWeighted(total, 1 - weight, moved, weight, 0).astype(np.uint8)
        canvas[top:] = total
        return canvas

    def _develop(self, canvas: Image, moment: Snapshot, frame: int) -> Image:
        """Apply the effects of lens, sensor and camera software."""
        turn_px = abs(self._layout.track.curvature_per_mm(moment.s_mm)) * moment.speed_mm_s
        turn_px *= self._layout.look.shutter_s * self._optics.focal_px
        if turn_px >= 2:
            canvas = cv2.blur(canvas, (min(31, round(turn_px)), 1)).astype(np.uint8)
        canvas = cv2.GaussianBlur(canvas, (3, 3), self._softness).astype(np.uint8)
        canvas = cv2.multiply(canvas, self._vignette, scale=1 / 255).astype(np.uint8)
        rng = np.random.default_rng([self._layout.look.seed, 4, frame])
        dy, dx = rng.integers(0, _NOISE_PX, 2)
        noise = self._noise[dy : dy + canvas.shape[0], dx : dx + canvas.shape[1]]
        return cv2.add(canvas, noise, dtype=cv2.CV_8U).astype(np.uint8)


def _ground_shift(view: CameraView, forward_mm: float, top: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the homography of the table in the picture for a forward motion of the camera."""
    optics = view.optics
    cx, cy = optics.width / 2 - 0.5, optics.height / 2 - 0.5 - top
    lens = np.array([[optics.focal_px, 0, cx], [0, optics.focal_px, cy], [0, 0, 1]])
    # In camera coordinates the table is normal . x = height, and moving forward shifts it by -step.
    normal = -view.matrix[:, 2]
    step = view.matrix @ np.array([*_level(view.matrix[2]), 0.0]) * forward_mm
    moved = np.eye(3) - np.outer(step, normal) / optics.mount.height_mm
    return lens @ moved @ np.linalg.inv(lens)


def _level(forward: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    length = math.hypot(forward[0], forward[1])
    return forward[0] / length, forward[1] / length


def _tone_table(look: RenderStyle) -> Image:
    """Return a (1, 256, 3) lookup table of exposure, white balance, haze and a film-like curve."""
    grey = np.arange(256)[:, None] / 255
    balance = np.array([1 - 0.22 * look.warmth, 1.0, 1 + 0.14 * look.warmth])
    light = grey * look.exposure * balance
    curved = light / (1 + 0.25 * np.maximum(0, light - 0.6) ** 2)
    veil = look.haze * np.array([0.72, 0.76, 0.8]) * balance
    out: Image = np.clip(255 * (curved * (1 - look.haze) + veil), 0, 255).astype(np.uint8)[None]
    return out


def _vignette(optics: Optics, depth: float) -> Image:
    """Return (height, width, 3) uint8 brightness factors, 255 in the centre."""
    y = (np.arange(optics.height) / optics.height - 0.5) * 2
    x = (np.arange(optics.width) / optics.width - 0.5) * 2
    falloff = 1 - depth * np.clip((y[:, None] ** 2 + x[None] ** 2) / 2, 0, 1)
    return np.repeat((255 * falloff)[:, :, None], 3, axis=2).astype(np.uint8)
