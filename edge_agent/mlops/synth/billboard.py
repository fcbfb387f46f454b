"""One toy sign in a scene: its pose and outline, and the rendering of face, edge, pole and base into the picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge_agent.mlops.synth.faces import FACE_PX, Face
from edge_agent.mlops.synth.textures import Image, Plane, Textures
from edge_agent.mlops.synth.view import Colour, Points, SceneCamera, log_uniform, near, shade
from edge_agent.simulation import artwork

POLE_HEIGHTS = 2.05
"""Length of the pole in units of the face's height, measured on photographs of the toys."""


@dataclass(frozen=True)
class SignPose:
    """Position and orientation of a sign; lengths in pixels of the scene.

    Args:
        foot: (2,) where the pole meets the table, in pixels.
        height_px: height of the face when viewed from the front.
        ahead_mm: distance from the camera.
        yaw_rad: rotation about the pole; beyond a right angle the back is visible.
        tilt_rad: lean of the pole in the picture.
        nod_rad: lean towards or away from the camera.
        depth: thickness in units of the face's height.
        pole: length of the pole in units of the face's height.
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
        """Whether the sign's back is visible."""
        return bool(np.cos(self.yaw_rad) < 0)


@dataclass(frozen=True)
class Outline:
    """A sign's outline in the picture, in pixels.

    Args:
        corners: (4, 2) rectangle of the visible side: top left, top right, bottom right, bottom left.
        hull: (N, 2) convex hull of face and edge.
        clip: (N, 2) convex hull of the pole's clip behind the plate.
    """

    corners: Points
    hull: Points
    clip: Points

    def moved(self, by: Points) -> "Outline":
        """Return the outline shifted by (2,) pixels."""
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
    # The clip behind the plate is 0.22 deep, in units of the face's height.
    block = np.vstack([project(holder, pose.depth), project(holder, pose.depth + 0.22)])
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
    """Return base and pole as polygons from back to front, each with the part's name."""
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


_PLASTIC = (168, 168, 168)


@dataclass(frozen=True)
class SignAppearance:
    """Lighting and wear of one sign.

    Args:
        light: brightness of the lit face.
        veil: BGR added by gloss, haze or glare (0 to 255).
        fade: how far the print has faded towards the plate's mean colour, 0 to 1.
        blur: (2,) motion blur in pixels by the sign's own motion.
        defocus_px: sigma of the sign's own blur.
        slope: change of brightness across the face.
        edge: brightness of the plate's edge.
        edge_grey: 1 where the edge is bare grey plastic, 0 where it has the rim's colour.
    """

    light: float
    veil: tuple[float, float, float]
    fade: float
    blur: tuple[float, float]
    defocus_px: float
    slope: float
    edge: float
    edge_grey: float = 0.0


@dataclass(frozen=True)
class PosedSign:
    """One sign of a scene: face, pose and appearance."""

    face: Face
    pose: SignPose
    appearance: SignAppearance


def random_appearance(rng: Generator, height_px: float, max_fade: float) -> SignAppearance:
    """Choose an appearance: mostly plain, often dull, sometimes glossy, faded (up to `max_fade`) or nearly dark."""
    light, veil, fade = _lighting(rng, max_fade)
    tint = rng.uniform(0.6, 1.0, 3)
    tint *= veil / tint.max()
    blur = (0.0, 0.0)
    if rng.random() < 0.18:
        length, angle = float(rng.uniform(0.08, 0.4)) * height_px, float(rng.normal(0, 0.5))
        blur = (length * float(np.cos(angle)), length * float(np.sin(angle)))
    return SignAppearance(
        light=light,
        veil=(float(tint[0]), float(tint[1]), float(tint[2])),
        fade=fade,
        blur=blur,
        defocus_px=float(rng.uniform(0.3, 1.6)) if rng.random() < 0.15 else 0.0,
        slope=float(rng.normal(0, 0.18)),
        edge=float(rng.uniform(1.0, 1.7)) if rng.random() < 0.15 else float(rng.uniform(0.45, 1.0)),
        edge_grey=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.2 else 0.0,
    )


def _lighting(rng: Generator, max_fade: float) -> tuple[float, float, float]:
    kind = rng.random()
    if kind < 0.3:  # against the light
        return log_uniform(rng, 0.3, 0.75), float(rng.uniform(0, 35)), 0.0
    if kind < 0.48:  # gloss: a lamp's reflection outshines the print
        return log_uniform(rng, 0.75, 1.7), float(rng.uniform(20, 120)), float(rng.uniform(0.2, 1.0)) * max_fade
    fade = float(rng.uniform(0.1, 0.65)) * max_fade if kind < 0.62 else 0.0
    return float(rng.uniform(0.75, 1.1)), 0.0, fade


def paint(
    image: Image, sign: PosedSign, view: SceneCamera, rng: Generator, textures: Textures
) -> tuple[Outline, list[Points]]:
    """Render a sign into `image`, BGR, in place; return its outline and the polygons of its stand."""
    visible, stand = outline(sign.face, sign.pose, view), stand_polygons(sign.pose, view)
    polygons = [polygon for polygon, _ in stand]
    points = np.vstack([visible.hull, *polygons])
    margin = 3 + int(np.hypot(*sign.appearance.blur) + 3 * sign.appearance.defocus_px)
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + margin, (view.width, view.height))
    if (high - low < 2).any():
        return visible, polygons
    patch = np.zeros((high[1] - low[1], high[0] - low[0], 4), dtype=np.uint8)
    _paint_stand(patch, [(polygon - low, part) for polygon, part in stand], sign.appearance, rng)
    if not sign.pose.back:
        _fill(patch, visible.clip - low, shade(artwork.POLE_BGR, float(rng.uniform(0.8, 1.6))))
    layer = patch.astype(np.float32)
    uneven = textures.smooth[int(rng.integers(len(textures.smooth)))]
    _render_face(layer, sign, visible.moved(-low), uneven)
    layer = _motion_blur(layer, sign.appearance)
    area = image[low[1] : high[1], low[0] : high[0]]
    area[:] = np.clip(layer[..., :3] + area * (1 - layer[..., 3:] / 255), 0, 255).astype(np.uint8)
    return visible, polygons


def _paint_stand(patch: Image, stand: list[tuple[Points, str]], appearance: SignAppearance, rng: Generator) -> None:
    """Paint base and pole into a transparent patch (premultiplied)."""
    base, pole = near(rng, artwork.BASE_BGR, 14), near(rng, artwork.POLE_BGR, 5)
    light = 0.4 + 0.6 * appearance.light
    colours: dict[str, Colour] = {"side": shade(base, 0.55 * light), "plate": shade(base, light), "pole": pole}
    for polygon, part in stand:
        _fill(patch, polygon, colours[part])
    spine = stand[2][0]
    across = spine[1] - spine[0]
    width = float(np.linalg.norm(across))
    if width > 4 and rng.random() < 0.6:  # a highlight along the round pole
        middle = (spine[[0, 3]] + spine[[1, 2]]) / 2 + across * rng.uniform(-0.2, 0.2)
        half = np.array([width * 0.08, 0.0])
        _fill(patch, np.vstack([middle - half, (middle + half)[::-1]]), shade(pole, float(rng.uniform(1.4, 3.0))))


def _fill(patch: Image, points: Points, colour: Colour) -> None:
    """Fill a polygon of a four-channel patch with an opaque colour, blending its edge."""
    fixed = np.round((points.clip(-3000, 3000) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(patch, [fixed], (*colour, 255), cv2.LINE_AA, 4)


def _render_face(layer: NDArray[np.float32], sign: PosedSign, visible: Outline, uneven: Plane) -> None:
    """Render face and edge, finer than the scene, onto the layer (premultiplied BGRA, 0 to 255)."""
    height, width = layer.shape[:2]
    low = np.maximum(np.floor(visible.hull.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(visible.hull.max(axis=0)).astype(int) + 1, (width, height))
    span = high - low
    if (span < 1).any():
        return
    oversampling = 4 if sign.pose.height_px < 28 else 3 if sign.pose.height_px < 70 else 2
    plate = _plate(sign, visible.moved(-low), (int(span[0]), int(span[1])), oversampling)
    small = cv2.resize(plate, (int(span[0]), int(span[1])), interpolation=cv2.INTER_AREA).astype(np.float32)
    _light(small, sign, uneven)
    target = layer[low[1] : high[1], low[0] : high[0]]
    target[:] = small + target * (1 - small[..., 3:] / 255)


def _plate(sign: PosedSign, visible: Outline, size: tuple[int, int], oversampling: int) -> Image:
    """Return edge and face, `oversampling` times larger than `size` (width, height): (h, w, 4) premultiplied BGRA."""
    plate = np.zeros((size[1] * oversampling, size[0] * oversampling, 4), dtype=np.uint8)
    edge_colour = (
        np.asarray(sign.face.edge) * (1 - sign.appearance.edge_grey) + np.array(_PLASTIC) * sign.appearance.edge_grey
    )
    _fill(plate, visible.hull * oversampling, shade(edge_colour, sign.appearance.edge))
    picture = sign.face.back if sign.pose.back else _level(sign.face, sign.pose.height_px * oversampling)
    rows, columns = picture.shape[:2]
    texels = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], dtype=np.float32) - 0.5
    corners = (visible.corners * oversampling - 0.5).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(texels, corners)
    warped = cv2.warpPerspective(picture, matrix, (plate.shape[1], plate.shape[0]), flags=cv2.INTER_LINEAR)
    cover = cv2.merge([warped[..., 3]] * 4)
    warped[..., 3] = 255
    kept = cv2.multiply(plate, cv2.bitwise_not(cover), scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.multiply(warped, cover, scale=1 / 255)), dtype=np.uint8)


def _level(face: Face, size_px: float) -> Image:
    """Return the smallest stored picture that is at least `size_px` high, or the largest."""
    index = int(np.clip(np.floor(np.log2(max(1.0, FACE_PX / max(size_px, 1.0)))), 0, len(face.levels) - 1))
    return face.levels[index]


def _light(small: NDArray[np.float32], sign: PosedSign, uneven: Plane) -> None:
    """Apply fade, light and veil to a rendered plate in place; premultiplied BGRA, 0 to 255."""
    face, appearance = sign.face, sign.appearance
    cover = small[..., 3:] / 255
    colour = small[..., :3]
    washed = face.plain * 0.5 + np.asarray(face.edge, np.float32) * 0.5
    colour += (washed * cover - colour) * appearance.fade
    rows = np.linspace(-0.5, 0.5, small.shape[0], dtype=np.float32)[:, None, None]
    gloss = cv2.resize(uneven, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_LINEAR)[..., None]
    colour *= appearance.light * (1 + appearance.slope * 2 * rows)
    colour += np.asarray(appearance.veil, np.float32) * (0.75 + 0.5 * gloss) * cover
    np.minimum(colour, 255 * cover, out=small[..., :3])
    np.maximum(small, 0, out=small)


def _motion_blur(layer: NDArray[np.float32], appearance: SignAppearance) -> NDArray[np.float32]:
    if appearance.defocus_px:
        layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), appearance.defocus_px), dtype=np.float32)
    if appearance.blur != (0.0, 0.0):
        layer = np.asarray(cv2.filter2D(layer, -1, motion_kernel(appearance.blur)), dtype=np.float32)
    return layer


def motion_kernel(blur: tuple[float, float]) -> NDArray[np.float32]:
    """Return a motion blur kernel: a line of extent `blur`, (odd, odd) float32, with the sum 1."""
    reach = int(np.ceil(max(abs(blur[0]), abs(blur[1])) / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    half = np.asarray(blur) / 2
    ends = np.round((reach + np.array([-half, half])) * 16).astype(np.int32)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, 4)
    return kernel / np.float32(max(float(kernel.sum()), 1e-6))
