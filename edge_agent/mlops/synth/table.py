"""The table top with its grain, and the brick track on it: sleepers with studs, and rails."""

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth.textures import GROUND_PX, Textures
from edge_agent.mlops.synth.view import (
    Colour,
    Image,
    Points,
    SceneCamera,
    fill,
    fill_all,
    line,
    log_uniform,
    near,
    oval,
    shade,
)

_TABLES: tuple[tuple[Colour, float], ...] = (
    ((50, 48, 47), 0.5),  # black-brown wood, as on the real track
    ((38, 44, 52), 0.2),
    ((66, 78, 92), 0.1),
    ((120, 150, 180), 0.09),
    ((150, 155, 160), 0.06),
    ((205, 210, 212), 0.05),
)
_MM_PER_TEXEL = 3.0


def paint_table(image: Image, view: SceneCamera, rng: Generator, textures: Textures, far_mm: float) -> None:
    """Paint the table over the lower part of the picture, from just in front of the lens to `far_mm` ahead."""
    base = _TABLES[int(rng.choice(len(_TABLES), p=[p for _, p in _TABLES]))][0]
    colour = near(rng, base, 6)
    corners = _table_corners(rng, far_mm)
    outline = view.ground(corners)
    mask = np.zeros(image.shape[:2], dtype=np.uint8)
    fill(mask, outline, 255)
    top = int(np.clip(outline[:, 1].min() - 1, 0, view.height - 1))
    texture = textures.grounds[int(rng.integers(len(textures.grounds)))]
    grain = _ground_picture(view, texture, rng)[top:]
    body = cv2.LUT(cv2.merge([grain] * 3), _grain_tones(colour, log_uniform(rng, 0.012, 0.16)))
    if rng.random() < 0.6:  # glossy boards reflect the room in the distance
        fall = np.linspace(1, 0, view.height - top, dtype=np.float32)[:, None] ** 2 * float(rng.uniform(4, 40))
        body = cv2.add(body, cv2.merge([np.repeat(fall, view.width, axis=1).astype(np.uint8)] * 3))
    cv2.copyTo(body, mask[top:], image[top:])
    line(image, outline[1:3], shade(colour, float(rng.uniform(0.5, 1.6))), 1)


def _grain_tones(colour: Colour, strength: float) -> Image:
    """Return (1, 256, 3) uint8: the table's colour for each value of a grain map with mean 128 and deviation 40."""
    level = 1 + (np.arange(256) - 128)[:, None] / 40 * strength
    return np.asarray(np.clip(level * np.array(colour), 0, 255).astype(np.uint8)[None])


def _table_corners(rng: Generator, far_mm: float) -> Points:
    """Return near left, far left, far right and near right corner in millimetres; a corner is often in view."""
    skew = float(rng.normal(0, 0.12)) * far_mm
    left = -float(rng.uniform(0.3, 2.5)) * far_mm if rng.random() < 0.6 else -5 * far_mm
    right = float(rng.uniform(0.4, 2.5)) * far_mm if rng.random() < 0.35 else 5 * far_mm
    near_left = left * float(rng.uniform(0.2, 0.9)) if left > -4 * far_mm else left
    return np.array([(near_left, 40.0), (left, far_mm + skew), (right, far_mm - skew), (right, 40.0)])


def _ground_picture(view: SceneCamera, texture: Image, rng: Generator) -> Image:
    """Return the table's grain in perspective, (h, w) uint8."""
    turn, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, GROUND_PX, 2)
    ground = np.array([(-200.0, 200.0), (200.0, 200.0), (300.0, 900.0), (-300.0, 900.0)])
    spun = ground @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / _MM_PER_TEXEL + shift
    to_texture = cv2.getPerspectiveTransform(view.ground(ground).astype(np.float32), spun.astype(np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (view.width, view.height)
    return np.asarray(
        cv2.warpPerspective(texture, to_texture, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def paint_track(image: Image, view: SceneCamera, rng: Generator, far_mm: float) -> None:
    """Paint a track, straight and then curved, from in front of the camera towards the far edge."""
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
    """Return points 32 mm apart along the centre line of the track, all ahead of the camera."""
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


def _sleepers(
    image: Image, view: SceneCamera, rng: Generator, track: tuple[Points, Points, Points], colour: Colour
) -> None:
    light, dark = float(rng.uniform(1.0, 1.3)), float(rng.uniform(0.4, 0.75))
    path, ahead, side = track
    corners = ((-32, -8), (-32, 8), (32, 8), (32, -8))
    quads = np.stack([path + u * side + v * ahead for u, v in corners], axis=1)
    scales = view.focal_px / path[:, 1]
    rises = np.stack([np.zeros_like(scales), -6.0 * scales], axis=1)[:, None]
    quads[..., 1] = np.maximum(quads[..., 1], 20)
    lower = view.ground(quads.reshape(-1, 2)).reshape(-1, 4, 2)
    upper = lower + rises
    studs = _studs(view, track, rises)
    low, high = lower.min(axis=1), lower.max(axis=1)
    seen = (low[:, 1] < view.height + 4) & (high[:, 0] > -4) & (low[:, 0] < view.width + 4) & (path[:, 1] > 55)
    colours = shade(colour, dark), shade(colour, light), shade(colour, light * 0.7), shade(colour, light * 1.2)
    for index in np.argsort(-path[:, 1]):
        if not seen[index]:
            continue
        block = np.vstack([lower[index], upper[index]]).astype(np.float32)
        fill(image, cv2.convexHull(block)[:, 0].astype(float), colours[0])
        fill(image, upper[index], colours[1])
        if scales[index] > 0.35:
            shape, shift = _stud_shape(view, path[index, 1], scales[index])
            for row in studs[index]:
                fill_all(image, row[:, None] + shape + (0, 0.3 * shift), colours[2])
                fill_all(image, row[:, None] + shape - (0, 0.7 * shift), colours[3])


def _stud_shape(view: SceneCamera, ahead_mm: float, scale: float) -> tuple[Points, float]:
    """Return a stud's outline around (0, 0), and its height in pixels."""
    radius = max(0.5, 2.4 * scale)
    flat = max(0.15, min(1.0, view.camera_mm / ahead_mm)) * radius
    return oval((0.0, 0.0), (radius, flat), steps=10), 1.7 * scale


def _studs(view: SceneCamera, track: tuple[Points, Points, Points], rises: Points) -> Points:
    """Return the centres of the studs, (sleepers, 2 rows, 6, 2), the far row first."""
    path, ahead, side = (part[:, None] for part in track)
    across, along = np.array([-28.0, -12.0, -4.0, 4.0, 12.0, 28.0]), (4.0, -4.0)
    spots = np.stack([path + across[:, None] * side + v * ahead for v in along], axis=1)
    flat = spots.reshape(-1, 2)
    flat[:, 1] = np.maximum(flat[:, 1], 20)
    return view.ground(flat).reshape(spots.shape) + rises[:, None]


def _rails(image: Image, view: SceneCamera, rng: Generator, track: tuple[Points, Points], colour: Colour) -> None:
    path, side = track
    shine = shade(colour, float(rng.uniform(1.1, 1.9)))
    scales = view.focal_px / path[:, 1:]
    rise = np.concatenate([np.zeros_like(scales), scales], axis=1)
    for offset in (-20.0, 20.0):
        left, right = (view.ground(path + side * (offset + inner)) - 9 * rise for inner in (-3.5, 3.5))
        for edge in (left, right):  # the rail's upright sides, then its top
            fill(image, np.vstack([edge, (edge + 8 * rise)[::-1]]), shade(colour, 0.55))
        fill(image, np.vstack([left, right[::-1]]), colour)
        line(image, left, shine, int(max(1, view.focal_px / 400)))
