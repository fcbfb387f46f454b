"""One toy sign standing in the scene: face, extruded edge, pole and base, with light, wear and motion of its own.

Knows how to render a sign into a picture and where its visible outline lies. Knows nothing of what else is in the scene.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge_agent import artwork
from edge_agent.mlops.synth.faces import FACE_PX, Face
from edge_agent.mlops.synth.textures import Image, Textures
from edge_agent.mlops.synth.view import Colour, Points, View, fill, log_uniform, near, oval, shade

_POLE_HEIGHTS = 2.05  # length of the pole in heights of the face, measured on photographs of the toys


@dataclass(frozen=True)
class Pose:
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
    pole: float = _POLE_HEIGHTS


@dataclass(frozen=True)
class Look:
    """Light and wear of one sign.

    Args:
        light: brightness of the lit face.
        veil: BGR added by gloss, haze or glare (0 to 255).
        fade: how far the print has gone towards the plate's mean colour, 0 to 1.
        blur: (2,) smear in pixels by the sign's own motion.
        defocus_px: sigma of the sign's own blur.
        slope: brightness's change across the face.
    """

    light: float
    veil: tuple[float, float, float]
    fade: float
    blur: tuple[float, float]
    defocus_px: float
    slope: float


def random_look(rng: Generator, height_px: float, most_fade: float) -> Look:
    """A look: mostly plain, often dull, sometimes glossy and washed out (up to `most_fade`) or nearly dark."""
    kind = rng.random()
    light, veil, fade = float(rng.uniform(0.75, 1.1)), 0.0, 0.0
    if kind < 0.3:  # against the light
        light = log_uniform(rng, 0.3, 0.75)
        veil = float(rng.uniform(0, 35))
    elif kind < 0.48:  # gloss: the print drowns in the lamp's reflection
        light = float(rng.uniform(0.8, 1.3))
        veil = float(rng.uniform(20, 110))
        fade = float(rng.uniform(0.2, 1.0)) * most_fade
    elif kind < 0.62:  # worn print
        fade = float(rng.uniform(0.1, 0.65)) * most_fade
    tint = rng.uniform(0.6, 1.0, 3)
    tint /= tint.max()
    blur = (0.0, 0.0)
    if rng.random() < 0.14:
        length = float(rng.uniform(0.08, 0.35)) * height_px
        angle = float(rng.normal(0, 0.5))
        blur = (length * np.cos(angle), length * np.sin(angle))
    defocus = float(rng.uniform(0.3, 1.6)) if rng.random() < 0.15 else 0.0
    return Look(
        light=light,
        veil=(veil * float(tint[0]), veil * float(tint[1]), veil * float(tint[2])),
        fade=fade,
        blur=blur,
        defocus_px=defocus,
        slope=float(rng.normal(0, 0.18)),
    )


@dataclass(frozen=True)
class Outline:
    """Where a sign is in the picture: hulls of points in pixels.

    Args:
        corners: (4, 2) the face's rectangle, clockwise from top left.
        hull: (N, 2) face and edge together.
        side: (N, 2) the edge behind the face.
    """

    corners: Points
    hull: Points
    side: Points


def outline(face: Face, pose: Pose, view: View) -> Outline:
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
    front, rear = project(face.hull, 0.0), project(face.hull, pose.depth)
    both = np.vstack([front, rear]).astype(np.float32)
    return Outline(project(square, 0.0), cv2.convexHull(both)[:, 0].astype(float), rear)


def _rotation(pose: Pose) -> NDArray[np.float64]:
    cos, sin = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    yaw = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = np.cos(pose.nod_rad), np.sin(pose.nod_rad)
    nod = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    cos, sin = np.cos(pose.tilt_rad), np.sin(pose.tilt_rad)
    tilt = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ yaw)


def stand_polygons(pose: Pose, view: View) -> list[tuple[Points, str]]:
    """Base and pole as polygons from back to front, each with the part's name."""
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
    sleeve = np.array([foot - half * 1.5, foot + half * 1.5, foot + up * 0.42 + half * 1.2, foot + up * 0.42 - half * 1.2])
    block = cv2.convexHull(np.vstack([lower, upper]).astype(np.float32))[:, 0].astype(float)
    parts = [(block, "side"), (upper, "plate"), (pole, "pole"), (sleeve, "pole")]
    return [(view.turn(points), part) for points, part in parts]


def paint(
    image: Image, face: Face, pose: Pose, look: Look, view: View, rng: Generator, textures: Textures
) -> tuple[Outline, list[Points]]:
    """Render a sign into `image` (BGR, in place); returns its outline and the polygons of its stand."""
    seen = outline(face, pose, view)
    stand = stand_polygons(pose, view)
    margin = 3 + int(np.hypot(*look.blur) + 3 * look.defocus_px)
    points = np.vstack([seen.hull, *[polygon for polygon, _ in stand]])
    x0, y0 = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + margin, (view.width, view.height))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return seen, [polygon for polygon, _ in stand]
    origin = np.array([x0, y0], dtype=float)
    patch = np.zeros((y1 - y0, x1 - x0, 4), dtype=np.uint8)
    _paint_stand(patch, stand, origin, look, rng)
    layer = patch.astype(np.float32)
    _lay_face(layer, face, pose, look, seen, origin, textures, rng)
    layer = _smear(layer, look)
    alpha = layer[..., 3:] / 255
    behind = image[y0:y1, x0:x1].astype(np.float32)
    image[y0:y1, x0:x1] = np.clip(layer[..., :3] + behind * (1 - alpha), 0, 255).astype(np.uint8)
    return seen, [polygon for polygon, _ in stand]


def _paint_stand(
    patch: Image, stand: list[tuple[Points, str]], origin: Points, look: Look, rng: Generator
) -> None:
    """Base and pole into a transparent patch (premultiplied)."""
    base, pole = near(rng, artwork.BASE_BGR, 14), near(rng, artwork.POLE_BGR, 5)
    light = 0.4 + 0.6 * look.light
    colours: dict[str, Colour] = {"side": shade(base, 0.55 * light), "plate": shade(base, light), "pole": pole}
    for polygon, part in stand:
        b, g, r = colours[part]
        fill4(patch, polygon - origin, (b, g, r, 255))
    if rng.random() < 0.6:  # a highlight along the round pole
        spine = stand[2][0] - origin
        middle = (spine[[0, 3]] + spine[[1, 2]]) / 2
        width = float(np.linalg.norm(spine[1] - spine[0]))
        side = (spine[1] - spine[0]) * rng.uniform(-0.2, 0.2)
        if width > 4:
            strip = np.vstack([middle + side - (width * 0.08, 0), (middle + side + (width * 0.08, 0))[::-1]])
            b, g, r = shade(pole, float(rng.uniform(1.4, 3.0)))
            fill4(patch, strip, (b, g, r, 255))


def fill4(patch: Image, points: Points, colour: tuple[int, int, int, int]) -> None:
    """Fill a polygon of a four-channel patch, blending its edge."""
    fixed = np.round((np.clip(points, -3000, 3000) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(patch, [fixed], colour, cv2.LINE_AA, 4)


def _lay_face(
    layer: NDArray[np.float32], face: Face, pose: Pose, look: Look, seen: Outline, origin: Points,
    textures: Textures, rng: Generator,
) -> None:  # fmt: skip
    """Warp the face, finer than the scene, onto its edge, and both onto the layer (premultiplied BGRA, 0 to 255)."""
    fine = 4 if pose.height_px < 28 else 3 if pose.height_px < 70 else 2
    low = np.clip(np.floor(seen.hull.min(axis=0)).astype(int) - 1, origin.astype(int), None)
    size = np.array([layer.shape[1], layer.shape[0]])
    high = np.minimum(np.ceil(seen.hull.max(axis=0)).astype(int) + 1, origin.astype(int) + size)
    span = high - low
    if (span < 1).any():
        return
    sign = np.zeros((int(span[1]) * fine, int(span[0]) * fine, 4), dtype=np.uint8)
    picture = face.back if np.cos(pose.yaw_rad) < 0 else _level(face, pose.height_px * fine)
    edge = shade(face.edge if np.cos(pose.yaw_rad) > 0 or rng.random() < 0.3 else (60, 58, 58), float(rng.uniform(0.45, 1.0)))
    fill4(sign, (seen.hull - low) * fine, (*edge, 255))
    rows, columns = picture.shape[:2]
    texels = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], dtype=np.float32) - 0.5
    corners = ((seen.corners - low) * fine - 0.5).astype(np.float32)
    if np.cos(pose.yaw_rad) < 0:
        corners = corners[[1, 0, 3, 2]]
    warped = cv2.warpPerspective(
        picture, cv2.getPerspectiveTransform(texels, corners), (sign.shape[1], sign.shape[0]), flags=cv2.INTER_LINEAR
    )
    cover = warped[..., 3:].astype(np.float32) / 255
    both = sign.astype(np.float32)
    lit = warped[..., :3].astype(np.float32)
    both[..., :3] += (lit - both[..., :3]) * cover
    both[..., 3:] = np.maximum(both[..., 3:], cover * 255)
    small = cv2.resize(both, (int(span[0]), int(span[1])), interpolation=cv2.INTER_AREA)
    _light(small, face, look, textures, rng)
    x, y = low - origin.astype(int)
    target = layer[y : y + span[1], x : x + span[0]]
    alpha = small[..., 3:] / 255
    target[..., :3] = small[..., :3] * alpha + target[..., :3] * (1 - alpha)
    target[..., 3:] = small[..., 3:] + target[..., 3:] * (1 - alpha)


def _level(face: Face, size_px: float) -> Image:
    """The smallest stored picture that is at least as fine as wanted."""
    index = int(np.clip(np.floor(np.log2(max(1.0, FACE_PX / max(size_px, 1.0)))), 0, len(face.levels) - 1))
    return face.levels[index]


def _light(small: NDArray[np.float32], face: Face, look: Look, textures: Textures, rng: Generator) -> None:
    """Fade, light and veil a rendered face in place; `small` is BGRA, not premultiplied except at its soft edge."""
    alpha = np.maximum(small[..., 3:], 1.0) / 255
    colour = small[..., :3] / alpha
    colour += (face.plain * 0.5 + np.asarray(face.edge, np.float32) * 0.5 - colour) * look.fade
    rows = np.linspace(-0.5, 0.5, small.shape[0], dtype=np.float32)[:, None, None]
    smooth = textures.smooth[int(rng.integers(len(textures.smooth)))]
    uneven = cv2.resize(smooth, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_LINEAR)[..., None]
    colour *= look.light * (1 + look.slope * 2 * rows)
    colour += np.asarray(look.veil, np.float32) * (0.75 + 0.5 * uneven)
    np.clip(colour, 0, 255, out=small[..., :3])


def _smear(layer: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    if look.defocus_px:
        layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), look.defocus_px), dtype=np.float32)
    if look.blur != (0.0, 0.0):
        layer = np.asarray(cv2.filter2D(layer, -1, smear_kernel(look.blur)), dtype=np.float32)
    return layer


def smear_kernel(blur: tuple[float, float]) -> NDArray[np.float32]:
    """A normalised line of the given run, (odd, odd) float32."""
    reach = int(np.ceil(max(abs(blur[0]), abs(blur[1])) / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    half = np.asarray(blur) / 2
    ends = np.round((reach + np.array([-half, half])) * 16).astype(np.int32)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, 4)
    return kernel / max(float(kernel.sum()), 1e-6)


__all__ = ["Look", "Outline", "Pose", "oval", "outline", "paint", "random_look", "smear_kernel"]
