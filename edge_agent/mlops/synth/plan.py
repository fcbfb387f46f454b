"""Choose the camera and the signs of a scene before anything is painted: their mix, sizes, rotations and overlaps."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth.billboard import POLE_HEIGHTS, PosedSign, SignAppearance, SignPose, random_appearance
from edge_agent.mlops.synth.faces import Face, Faces
from edge_agent.mlops.synth.view import SceneCamera, log_uniform
from edge_agent.signs import LABELS, Sign

_SHARES = [sign.facts.share for sign in Sign]
_COUNTS = (0.22, 0.22, 0.19, 0.14, 0.11, 0.07, 0.05)  # of scenes with 1, 2, ... signs


@dataclass(frozen=True)
class CameraSetup:
    """A camera, the distance of the table's far edge from it, and the outward lean of poles at the sides."""

    view: SceneCamera
    far_mm: float
    lean_rad: float


def random_camera_setup(rng: Generator, width: int, height: int) -> CameraSetup:
    """Choose a camera at train height, or higher as a phone's, and the depth of the table."""
    focal = log_uniform(rng, 230, 800) * width / 320
    camera = log_uniform(rng, 30, 165)
    far = float(np.clip(focal * 17.5 / rng.uniform(6, 20), 275, 1420))  # where a round sign is 6 to 20 px high
    edge = float(rng.uniform(-0.1, 0.75)) * height  # where the far edge of the table appears
    # A camera that hangs askew: beyond 0.45 rad a triangle is no longer that of a warning.
    roll = float(np.clip(rng.normal(0, 0.22 if rng.random() < 0.2 else 0.035), -0.45, 0.45))
    view = SceneCamera(
        width=width,
        height=height,
        focal_px=focal,
        centre_px=float(rng.uniform(-0.4, 1.4)) * width,
        horizon_px=edge - camera * focal / far,
        camera_mm=camera,
        roll_rad=roll,
    )
    lean = abs(float(rng.normal(0, 0.3))) if rng.random() < 0.4 else 0.0  # a wide lens that looks down
    return CameraSetup(view, far, lean)


def random_count(rng: Generator, negatives: float) -> int:
    """Choose the number of signs of a scene; 0 in a share of `negatives`."""
    return 0 if rng.random() < negatives else 1 + int(rng.choice(len(_COUNTS), p=_COUNTS))


def plan_signs(setup: CameraSetup, faces: Faces, rng: Generator, count: int) -> list[PosedSign]:
    """Choose signs and poses, the farthest first; some stand behind others, few overlap otherwise."""
    planned: list[PosedSign] = []
    line_up = _line_up(rng, setup.view) if rng.random() < 0.05 else None
    shared = random_appearance(rng, 30.0, 1.0) if rng.random() < 0.25 else None  # one lamp lights all signs alike
    for place in range(count):
        face = faces.pick(rng, str(rng.choice(LABELS, p=_SHARES)))
        pose = _random_pose(rng, setup, face)
        free = False
        if line_up:
            pose = replace(pose, height_px=line_up[0], foot=line_up[1] + place * line_up[2], ahead_mm=300.0 + place)
            free = True
        elif planned and rng.random() < 0.12:
            pose = _behind(rng, planned[-1].pose, pose)
            free = True
        # Share of chance overlaps that may stay.
        if free or all(_apart(pose, other.pose) or rng.random() < 0.25 for other in planned):
            planned.append(PosedSign(face, pose, _appearance(rng, face, pose, shared)))
    return sorted(planned, key=lambda sign: -sign.pose.ahead_mm)


def _appearance(rng: Generator, face: Face, pose: SignPose, shared: SignAppearance | None) -> SignAppearance:
    # A faded yellow triangle is recognisable without its pictogram; other prints must stay legible.
    speed = face.label.startswith("speed_limit")
    max_fade = 0.95 if face.label == Sign.DANGER else 0.72 if speed else 0.45
    appearance = random_appearance(rng, pose.height_px, max_fade)
    if shared:
        appearance = replace(appearance, light=shared.light, veil=shared.veil, fade=shared.fade * max_fade)
    return appearance


def _random_pose(rng: Generator, setup: CameraSetup, face: Face) -> SignPose:
    """Place a sign in view: on the table if it fits there, else in the air."""
    view = setup.view
    # The size of a narrower plate is that of its height.
    height = _random_size(rng, face) * view.width / 320 / max(face.aspect, 0.75)
    ahead = view.ahead_mm(height, face.height_mm)
    pole = POLE_HEIGHTS * float(rng.uniform(0.85, 1.15))
    foot_y = view.horizon_px + view.camera_mm * view.focal_px / ahead
    middle_y = foot_y - (pole + 0.5) * height
    if ahead > setup.far_mm or not 0.02 < middle_y / view.height < 0.98:
        middle_y = float(rng.uniform(0.1, 0.85)) * view.height
        foot_y = middle_y + (pole + 0.5) * height
    aside = float(rng.uniform(-0.03, 1.03))
    tilt = float(rng.normal(0, 0.16 if rng.random() < 0.15 else 0.05))
    return SignPose(
        foot=np.array([aside * view.width, foot_y]),
        height_px=height,
        ahead_mm=ahead,
        yaw_rad=_random_yaw(rng),
        tilt_rad=tilt + setup.lean_rad * (aside - 0.5),
        nod_rad=float(rng.normal(0, 0.08)),
        depth=float(rng.uniform(0.07, 0.16)),
        pole=pole,
    )


def _random_size(rng: Generator, face: Face) -> float:
    """Choose a width in pixels at a picture width of 320: log-uniform, with more speed limits that are just legible."""
    chance = rng.random()
    if chance < 0.08:
        return log_uniform(rng, 75, 160)
    if chance < 0.45 and face.label.startswith("speed_limit"):
        return log_uniform(rng, 17, 36)
    return log_uniform(rng, 9, 75)


def _random_yaw(rng: Generator) -> float:
    """Choose a yaw: mostly facing the camera, a quarter strongly rotated, a few from behind."""
    chance = rng.random()
    if chance < 0.07:
        return np.pi + float(rng.uniform(-1.1, 1.1))
    if chance < 0.3:
        return float(rng.choice([-1, 1]) * rng.uniform(0.75, 1.42))
    return float(np.clip(rng.normal(0, 0.45), -1.25, 1.25))


def _behind(rng: Generator, front: SignPose, pose: SignPose) -> SignPose:
    """Return the pose of a sign that is partly hidden by another one."""
    height = front.height_px * float(rng.uniform(0.6, 0.95))
    away = front.height_px * np.array([rng.uniform(-0.7, 0.7), rng.uniform(-1.0, -0.3)])
    foot = front.foot + away + (0, (pose.pole + 0.5) * height - (front.pole + 0.5) * front.height_px)
    return replace(pose, foot=foot, height_px=height, ahead_mm=front.ahead_mm * front.height_px / height)


def _line_up(rng: Generator, view: SceneCamera) -> tuple[float, np.ndarray, np.ndarray]:
    """Choose a row of signs, as on a photograph of a set: height, first foot, step to the next foot."""
    height = log_uniform(rng, 22, 110) * view.width / 320
    foot = (float(rng.uniform(0, 0.5)) * view.width, float(rng.uniform(0.2, 0.75)) * view.height + 2.55 * height)
    return height, np.array(foot), np.array([float(rng.uniform(1.3, 2.2)) * height, 0.0])


def _apart(one: SignPose, other: SignPose) -> bool:
    """Return whether two faces hardly overlap."""
    reach = (one.height_px + other.height_px) * 0.5
    return bool(np.abs(one.foot[0] - other.foot[0]) > reach or np.abs(_face_y(one) - _face_y(other)) > reach)


def _face_y(pose: SignPose) -> float:
    return float(pose.foot[1]) - (pose.pole + 0.5) * pose.height_px
