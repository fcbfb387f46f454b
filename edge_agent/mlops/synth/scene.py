"""One training picture: a room, a table with a track, signs on it, a camera's view of them all, and the boxes.

Knows how a scene is composed and which signs are worth a label. Knows nothing of files. A scene follows from the data
set's seed and its own index alone, so that any number of processes make the same pictures.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import photo, room, table
from edge_agent.mlops.synth.billboard import Sign, paint, random_look
from edge_agent.mlops.synth.faces import Face, Faces
from edge_agent.mlops.synth.options import SynthOptions, read_backgrounds
from edge_agent.mlops.synth.pose import Outline, Pose
from edge_agent.mlops.synth.textures import Image, Textures, make_textures
from edge_agent.mlops.synth.view import Points, View, log_uniform

_MIX = {
    "speed_limit_30": 0.13, "speed_limit_50": 0.13, "speed_limit_other": 0.09, "stop": 0.1, "no_entry": 0.1,
    "danger": 0.27, "pedestrian_crossing": 0.05, "traffic_light": 0.06, "other_sign": 0.07,
}  # fmt: skip
_MIX_LABELS, _MIX_SHARES = list(_MIX), list(_MIX.values())
_COUNTS = (0.22, 0.22, 0.19, 0.14, 0.11, 0.07, 0.05)  # of scenes with 1, 2, ... signs
_LEAST_PX = 7.0
_LEAST_CONTRAST = 5.0


@dataclass(frozen=True)
class LabelledBox:
    """A sign in a picture.

    Args:
        label: one of `signs.LABELS`.
        box: left, top, right, bottom in pixels, inside the picture.
        ignore: too small, hidden, faint or edge-on to ask for, yet not background either.
    """

    label: str
    box: tuple[float, float, float, float]
    ignore: bool = False


@dataclass(frozen=True)
class Scene:
    """A finished picture: (h, w, 3) uint8 BGR, its boxes, and the JPEG quality to store it with."""

    image: Image
    boxes: tuple[LabelledBox, ...]
    jpeg_quality: int


@dataclass(frozen=True)
class _Standing:
    """A sign already painted: its number in the map of visible signs, and its outline."""

    number: int
    sign: Sign
    outline: Outline


@dataclass(frozen=True)
class _Stage:
    """A camera, and the distance of the table's far edge from it."""

    view: View
    far_mm: float


class Studio:
    """Makes the scenes of one data set.

    Args:
        options: the data set's parameters; its photographs are used in a third of the scenes.

    Raises:
        UsageError: a folder of artwork or backgrounds that cannot be used.
    """

    def __init__(self, options: SynthOptions) -> None:
        self._options = options
        self._textures: Textures = make_textures(options.seed)
        self._faces = Faces(options.seed, options.artwork_dir)
        self._backgrounds = read_backgrounds(options.backgrounds_dir)

    def scene(self, index: int) -> Scene:
        """Render picture number `index`."""
        options = self._options
        rng = np.random.default_rng([options.seed, 3, index])
        stage = _random_stage(rng, options.width, options.height)
        image = np.zeros((options.height, options.width, 3), dtype=np.uint8)
        self._paint_surroundings(image, stage, rng)
        count = 0 if rng.random() < options.negatives else int(rng.choice([1, 2, 3, 4, 5, 6, 7], p=_COUNTS))
        seen_by = np.zeros(image.shape[:2], dtype=np.uint8)
        planned = self._plan_signs(stage, rng, count)
        signs = self._paint_signs(image, seen_by, stage.view, rng, planned)
        if rng.random() < 0.1:
            before = image.copy()
            room.paint_near(image, rng, self._textures, 1)
            seen_by[np.any(image != before, axis=2)] = 0
        exposure = photo.random_exposure(rng, self._textures)
        final = photo.expose(image, exposure, self._textures, rng)
        return Scene(final, _boxes(final, seen_by, signs, exposure.spread_px()), exposure.jpeg_quality)

    def _paint_surroundings(self, image: Image, stage: _Stage, rng: Generator) -> None:
        view, far_mm = stage.view, stage.far_mm
        far_px = view.horizon_px + view.camera_mm * view.focal_px / far_mm
        if self._backgrounds and rng.random() < 0.33:
            image[:] = _crop(rng, self._backgrounds[int(rng.integers(len(self._backgrounds)))], image.shape)
            if rng.random() < 0.5:
                return
        else:
            room.paint_room(image, rng, self._textures, float(np.clip(far_px, 0, view.height)))
        if rng.random() < 0.93:
            table.paint_table(image, view, rng, self._textures, far_mm)
            if rng.random() < 0.85:
                table.paint_track(image, view, rng, far_mm)
        if rng.random() < 0.45:
            room.paint_near(image, rng, self._textures, 2)

    def _plan_signs(self, stage: _Stage, rng: Generator, count: int) -> list[Sign]:
        """Choose signs and places, the farthest first; few overlap."""
        planned: list[Sign] = []
        line_up = _line_up(rng, stage.view) if rng.random() < 0.05 else None
        shared = random_look(rng, 30.0, 1.0) if rng.random() < 0.25 else None  # one lamp shines on all signs alike
        for place in range(count):
            face = self._faces.pick(rng, str(rng.choice(_MIX_LABELS, p=_MIX_SHARES)))
            pose = _random_pose(rng, stage, face)
            if line_up:
                height, x, step, foot_y = line_up
                foot = np.array([x + place * step, foot_y])
                pose = replace(pose, height_px=height, foot=foot, ahead_mm=300.0 + place)
            fade = _most_fade(face)
            look = random_look(rng, pose.height_px, fade)
            if shared:
                look = replace(look, light=shared.light, veil=shared.veil, fade=shared.fade * fade)
            if line_up or all(_apart(pose, other.pose) or rng.random() < 0.25 for other in planned):
                planned.append(Sign(face, pose, look))
        return sorted(planned, key=lambda sign: -sign.pose.ahead_mm)

    def _paint_signs(
        self, image: Image, seen_by: Image, view: View, rng: Generator, planned: list[Sign]
    ) -> list[_Standing]:
        """Paint signs in order, so that near ones hide far ones; `seen_by` gets each visible sign's number."""
        painted = []
        for number, sign in enumerate(planned, start=1):
            seen, stand = paint(image, sign, view, rng, self._textures)
            for polygon in stand:
                _mark(seen_by, polygon, 0)
            _mark(seen_by, seen.hull, number)
            painted.append(_Standing(number, sign, seen))
        return painted


def _most_fade(face: Face) -> float:
    """How far a print may wash out and its sign still be told: a yellow triangle needs no pictogram."""
    return 0.95 if face.label == "danger" else 0.72 if face.label.startswith("speed_limit") else 0.45


def _mark(seen_by: Image, polygon: Points, value: int) -> None:
    fixed = np.round((np.clip(polygon, -3000, 3000) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(seen_by, [fixed], (value,), cv2.LINE_8, 4)


def _random_stage(rng: Generator, width: int, height: int) -> _Stage:
    """Choose a camera at train height, or a phone's higher up, and how far the table reaches."""
    focal = log_uniform(rng, 230, 800) * width / 320
    camera = log_uniform(rng, 55, 300)
    far = float(np.clip(focal * 32 / rng.uniform(6, 20), 500, 2600))
    edge = float(rng.uniform(-0.1, 0.75)) * height  # where the far edge of the table is to appear
    view = View(
        width=width,
        height=height,
        focal_px=focal,
        centre_px=float(rng.uniform(-0.4, 1.4)) * width,
        horizon_px=edge - camera * focal / far,
        camera_mm=camera,
        roll_rad=float(rng.normal(0, 0.035)),
    )
    return _Stage(view, far)


def _random_pose(rng: Generator, stage: _Stage, face: Face) -> Pose:
    """Stand a sign somewhere in sight: on the table if it fits there, else held anywhere in the picture."""
    view = stage.view
    unit = view.width / 320
    size = log_uniform(rng, 75, 160) * unit if rng.random() < 0.07 else log_uniform(rng, 9, 75) * unit
    height = size / max(face.aspect, 0.75)
    ahead = view.ahead_mm(height, face.height_mm)
    pole = 2.05 * float(rng.uniform(0.85, 1.15))
    foot_y = view.horizon_px + view.camera_mm * view.focal_px / ahead
    middle_y = foot_y - (pole + 0.5) * height
    if ahead > stage.far_mm or not 0.02 < middle_y / view.height < 0.98:
        middle_y = float(rng.uniform(0.1, 0.85)) * view.height
        foot_y = middle_y + (pole + 0.5) * height
    yaw = float(np.clip(rng.normal(0, 0.45), -1.25, 1.25))
    if rng.random() < 0.2:
        yaw = float(rng.choice([-1, 1]) * rng.uniform(0.75, 1.4))
    if rng.random() < 0.05:
        yaw = np.pi + float(rng.uniform(-1.1, 1.1))
    return Pose(
        foot=np.array([float(rng.uniform(-0.03, 1.03)) * view.width, foot_y]),
        height_px=height,
        ahead_mm=ahead,
        yaw_rad=yaw,
        tilt_rad=float(rng.normal(0, 0.16 if rng.random() < 0.15 else 0.05)),
        nod_rad=float(rng.normal(0, 0.08)),
        depth=float(rng.uniform(0.07, 0.16)),
        pole=pole,
    )


def _line_up(rng: Generator, view: View) -> tuple[float, float, float, float]:
    """Signs side by side, as on a photograph of a set: height, first x, step, y of the feet."""
    height = log_uniform(rng, 22, 110) * view.width / 320
    foot_y = float(rng.uniform(0.2, 0.75)) * view.height + 2.55 * height
    return height, float(rng.uniform(0, 0.5)) * view.width, float(rng.uniform(1.3, 2.2)) * height, foot_y


def _apart(one: Pose, other: Pose) -> bool:
    """Whether two faces hardly overlap."""
    reach = (one.height_px + other.height_px) * 0.5
    return bool(np.abs(one.foot[0] - other.foot[0]) > reach or np.abs(_face_y(one) - _face_y(other)) > reach)


def _face_y(pose: Pose) -> float:
    return float(pose.foot[1]) - (pose.pole + 0.5) * pose.height_px


def _boxes(
    final: Image, seen_by: Image, signs: list[_Standing], spread: tuple[float, float]
) -> tuple[LabelledBox, ...]:
    soft = cv2.GaussianBlur(final, (0, 0), 1.0).astype(np.float32)
    boxes = [_box(soft, seen_by, sign, spread) for sign in signs if not sign.sign.pose.back]
    return tuple(box for box in boxes if box)


def _box(soft: np.ndarray, seen_by: Image, sign: _Standing, spread: tuple[float, float]) -> LabelledBox | None:
    """Label a painted sign, or None where nothing worth a label is left of it."""
    height, width = seen_by.shape
    hull = sign.outline.hull
    whole = float(cv2.contourArea(hull.astype(np.float32)))
    rows, columns = np.nonzero(seen_by == sign.number)
    share = len(rows) / max(whole, 1.0)
    if len(rows) < 6 or share < 0.25:
        return None
    low, high = hull.min(axis=0), hull.max(axis=0)
    if share < 0.93:
        low = np.maximum(low, (columns.min(), rows.min()))
        high = np.minimum(high, (columns.max() + 1, rows.max() + 1))
    low, high = np.maximum(low - spread, 0), np.minimum(high + spread, (width, height))
    size = high - low
    if size.max() < _LEAST_PX - 2 or size.min() < 3:
        return None
    contrast = _contrast(soft, low, high)
    if contrast < _LEAST_CONTRAST / 2:
        return None
    ignore = size.max() < _LEAST_PX or share < 0.45 or contrast < _LEAST_CONTRAST or abs(sign.sign.pose.yaw_rad) > 1.33
    return LabelledBox(
        sign.sign.face.label, (float(low[0]), float(low[1]), float(high[0]), float(high[1])), bool(ignore)
    )


def _contrast(soft: np.ndarray, low: Points, high: Points) -> float:
    """Greatest standard deviation of a channel in the box and a little around it."""
    around = (high - low) * 0.15
    x0, y0 = np.maximum(low - around, 0).astype(int)
    x1, y1 = np.ceil(high + around).astype(int)
    return float(cv2.meanStdDev(soft[y0:y1, x0:x1])[1].max())


def _crop(rng: Generator, photograph: Image, shape: tuple[int, ...]) -> Image:
    """Cut a random part of a photograph, as large as the scene."""
    height, width = shape[:2]
    zoom = max(height / photograph.shape[0], width / photograph.shape[1]) * float(rng.uniform(1.0, 2.0))
    rows, columns = int(height / zoom), int(width / zoom)
    y, x = int(rng.integers(photograph.shape[0] - rows + 1)), int(rng.integers(photograph.shape[1] - columns + 1))
    part = photograph[y : y + rows, x : x + columns]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


__all__ = ["LabelledBox", "Scene", "Studio"]
