"""The table top with its grain, and the brick track on it: sleepers with studs, rails, curving away.

Knows tables and tracks. Knows nothing of rooms or signs.
"""

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth.textures import GROUND_PX, Textures
from edge_agent.mlops.synth.view import Colour, Image, Points, View, fill, fill_all, line, log_uniform, near, oval, shade

_TABLES: tuple[tuple[Colour, float], ...] = (
    ((50, 48, 47), 0.5),  # black-brown wood, as on the real track
    ((38, 44, 52), 0.2),
    ((66, 78, 92), 0.1),
    ((120, 150, 180), 0.09),
    ((150, 155, 160), 0.06),
    ((205, 210, 212), 0.05),
)
_MM_PER_TEXEL = 3.0


def paint_table(image: Image, view: View, rng: Generator, textures: Textures, far_mm: float) -> None:
    """Paint the table over the lower part of the picture, from just before the lens to `far_mm` ahead."""
    base = _TABLES[int(rng.choice(len(_TABLES), p=[p for _, p in _TABLES]))][0]
    colour = near(rng, base, 6)
    corners = _table_corners(rng, far_mm)
    outline = view.ground(corners)
    mask = np.zeros(image.shape[:2], dtype=np.uint8)
    fill(mask, outline, 255)
    top = int(np.clip(outline[:, 1].min() - 1, 0, view.height - 1))
    texture = textures.grounds[int(rng.integers(len(textures.grounds)))]
    grain = _ground_picture(view, texture, rng)[top:]
    rows = np.linspace(0, 1, view.height - top, dtype=np.float32)[:, None]
    sheen = float(rng.choice([0, 14, 40]) * rng.random()) * (1 - rows) ** 2  # glossy boards mirror the room far away
    level = 1 + grain * log_uniform(rng, 0.012, 0.16)
    body = level[..., None] * np.asarray(colour, dtype=np.float32) + sheen[..., None]
    alpha = mask[top:, :, None].astype(np.float32) / 255
    image[top:] = np.clip(body * alpha + image[top:] * (1 - alpha), 0, 255).astype(np.uint8)
    line(image, outline[1:3], shade(colour, float(rng.uniform(0.5, 1.6))), 1)


def _table_corners(rng: Generator, far_mm: float) -> Points:
    """Near left, far left, far right, near right; a corner of the table is often in sight."""
    skew = float(rng.normal(0, 0.12)) * far_mm
    left = -float(rng.uniform(0.3, 2.5)) * far_mm if rng.random() < 0.6 else -9 * far_mm
    right = float(rng.uniform(0.4, 2.5)) * far_mm if rng.random() < 0.35 else 9 * far_mm
    near_left = left * float(rng.uniform(0.2, 0.9)) if left > -4 * far_mm else left
    return np.array([(near_left, 40.0), (left, far_mm + skew), (right, far_mm - skew), (right, 40.0)])


def _ground_picture(view: View, texture: Image | np.ndarray, rng: Generator) -> np.ndarray:
    """The table's grain in perspective: (h, w) float32."""
    turn, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, GROUND_PX, 2)
    ground = np.array([(-200.0, 200.0), (200.0, 200.0), (300.0, 900.0), (-300.0, 900.0)])
    spun = ground @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / _MM_PER_TEXEL + shift
    to_texture = cv2.getPerspectiveTransform(view.ground(ground).astype(np.float32), spun.astype(np.float32))
    return cv2.warpPerspective(
        texture,
        to_texture,
        (view.width, view.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )


def paint_track(image: Image, view: View, rng: Generator, far_mm: float) -> None:
    """Paint one length of track: straight, then curving away, from before the camera towards the far edge."""
    path = _track_path(rng, far_mm)
    colour = near(rng, (118, 114, 112), 12) if rng.random() < 0.75 else near(rng, (60, 58, 58), 8)
    if rng.random() < 0.12:
        colour = near(rng, (190, 175, 160), 12)
    heading = np.gradient(path, axis=0)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    side = np.stack([heading[:, 1], -heading[:, 0]], axis=1)
    _sleepers(image, view, rng, (path, heading, side), colour)
    _rails(image, view, rng, (path, side), colour)


def _track_path(rng: Generator, far_mm: float) -> Points:
    """Points 32 mm apart along the middle of the track, all ahead of the camera."""
    straight = float(rng.uniform(0, 0.8)) * far_mm
    bend = float(rng.choice([-1, 1])) / float(rng.uniform(250, 900))
    angle, at = float(rng.normal(0, 0.15)), np.array([float(rng.normal(0, 50)), 70.0])
    if rng.random() < 0.15:  # a track that crosses in front
        angle, at = float(rng.choice([-1, 1])) * float(rng.uniform(0.9, 1.6)), np.array([0.0, rng.uniform(150, far_mm)])
        at[0] = -np.sin(angle) * 500
    points = []
    for step in range(90):
        points.append(at)
        if step * 32 > straight:
            angle += bend * 32
        at = at + 32 * np.array([np.sin(angle), np.cos(angle)])
        if not 60 < at[1] < far_mm * 0.97:
            break
    return np.array(points if len(points) > 2 else [(0.0, 100.0), (0.0, 132.0), (0.0, 164.0)])


def _sleepers(image: Image, view: View, rng: Generator, track: tuple[Points, Points, Points], colour: Colour) -> None:
    light, dark = float(rng.uniform(1.0, 1.3)), float(rng.uniform(0.4, 0.75))
    for at, ahead, side in sorted(zip(*track, strict=True), key=lambda item: -item[0][1]):
        quad = np.stack([at + u * side * 32 + v * ahead * 8 for u, v in ((-1, -1), (-1, 1), (1, 1), (1, -1))])
        if quad[:, 1].min() < 45:
            continue
        scale = view.focal_px / at[1]
        rise = np.array([0.0, -6.0 * scale])
        ground = view.ground(quad)
        if ground[:, 1].min() > view.height + 4 or ground[:, 0].max() < -4 or ground[:, 0].min() > view.width + 4:
            continue
        fill(image, cv2.convexHull(np.vstack([ground, ground + rise]).astype(np.float32))[:, 0], shade(colour, dark))
        fill(image, ground + rise, shade(colour, light))
        if scale > 0.35:
            _studs(image, view, (at, ahead, side), rise, shade(colour, light * 1.2))


def _studs(image: Image, view: View, place: tuple[Points, Points, Points], rise: Points, colour: Colour) -> None:
    at, ahead, side = place
    spots = np.stack([at + u * side + v * ahead for v in (4.0, -4.0) for u in (-28.0, -12.0, -4.0, 4.0, 12.0, 28.0)])
    scale = view.focal_px / at[1]
    squash = view.camera_mm / at[1]
    radius = 2.4 * scale
    middles = view.ground(spots) + rise
    flat = max(0.15, min(1.0, squash)) * radius
    for row in (middles[:6], middles[6:]):
        lower = row[:, None] + oval((0.0, 0.0), (radius, flat + 0.6 * scale), steps=10)
        fill_all(image, lower, shade(colour, 0.6))
        fill_all(image, row[:, None] + oval((0.0, -1.6 * scale), (radius, flat), steps=10), colour)


def _rails(image: Image, view: View, rng: Generator, track: tuple[Points, Points], colour: Colour) -> None:
    path, side = track
    shine = shade(colour, float(rng.uniform(1.1, 1.9)))
    for offset in (-20.0, 20.0):
        edges = []
        for inner in (-4.0, 4.0):
            run = path + side * (offset + inner)
            scale = view.focal_px / run[:, 1]
            edges.append(view.ground(run) - np.stack([np.zeros_like(scale), 9 * scale], axis=1))
        for index in range(len(path) - 1, 0, -1):
            quad = np.stack([edges[0][index - 1], edges[0][index], edges[1][index], edges[1][index - 1]])
            drop = np.array([0.0, 8.0 * view.focal_px / path[index, 1]])
            fill(image, np.vstack([quad[:2], quad[:2][::-1] + drop]), shade(colour, 0.55))
            fill(image, quad, colour)
        line(image, edges[0], shine, int(max(1, view.focal_px / 400)))
