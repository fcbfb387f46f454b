"""Scenes: boxes against masks that do not use the geometry, labels worth learning, and reproducibility."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.mlops.synth.billboard import PosedSign, SignAppearance, SignPose, paint, random_appearance
from edge_agent.mlops.synth.faces import Faces
from edge_agent.mlops.synth.options import SynthOptions
from edge_agent.mlops.synth.scene import Scene, SceneGenerator
from edge_agent.mlops.synth.textures import Textures, make_textures
from edge_agent.mlops.synth.view import SceneCamera
from edge_agent.signs import LABELS

VIEW = SceneCamera(width=160, height=160, focal_px=400, centre_px=80, horizon_px=40, camera_mm=100, roll_rad=0.03)
PLAIN = SignAppearance(light=1.0, veil=(0, 0, 0), fade=0.0, blur=(0.0, 0.0), defocus_px=0.0, slope=0.0, edge=0.8)


@pytest.fixture(scope="module")
def textures() -> Textures:
    return make_textures(5)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    studio = SceneGenerator(SynthOptions(count=40, seed=5))
    return [studio.scene(index) for index in range(40)]


@pytest.fixture
def magenta(tmp_path: Path) -> Faces:
    """Return a disc of a colour that nothing else in a scene has."""
    picture = np.zeros((100, 100, 4), dtype=np.uint8)
    cv2.circle(picture, (50, 50), 46, (255, 0, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "stop__magenta.png"), picture)
    return Faces(1, tmp_path)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -1.2])
@pytest.mark.parametrize("height", [9.0, 21.3, 58.7])
def test_outline_encloses_exactly_the_painted_sign(
    yaw: float, height: float, magenta: Faces, textures: Textures
) -> None:
    rng = np.random.default_rng(3)
    pose = SignPose(np.array([80.3, 150.6]), height, 400.0, yaw, 0.04, 0.05, 0.1, pole=1.2)
    image = np.zeros((160, 160, 3), dtype=np.uint8)
    seen, _ = paint(image, PosedSign(magenta.pick(rng, "stop"), pose, PLAIN), VIEW, rng, textures)
    cover = (image[..., 2].astype(float) - image[..., 1]) / 255 / PLAIN.edge  # poles and bases are grey
    rows, columns = np.nonzero(cover > 0.5)
    drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    box = np.concatenate([seen.hull.min(axis=0), seen.hull.max(axis=0)])
    assert np.abs(drawn - box).max() < 0.9


def test_boxes_lie_inside_their_pictures_and_are_not_empty(scenes: list[Scene]) -> None:
    boxes = [(scene, item) for scene in scenes for item in scene.boxes]
    assert len(boxes) > 40
    for scene, item in boxes:
        left, top, right, bottom = item.box
        assert 0 <= left < right <= scene.image.shape[1]
        assert 0 <= top < bottom <= scene.image.shape[0]
        assert item.label in LABELS


def test_boxes_to_learn_are_large_enough_to_see(scenes: list[Scene]) -> None:
    sizes = [
        (box.box[2] - box.box[0], box.box[3] - box.box[1]) for scene in scenes for box in scene.boxes if not box.ignore
    ]
    assert min(max(size) for size in sizes) >= 7
    assert sum(max(size) < 40 for size in sizes) > len(sizes) / 2


def test_every_scene_differs(scenes: list[Scene]) -> None:
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)


def test_some_pictures_contain_no_sign_and_some_contain_several(scenes: list[Scene]) -> None:
    counts = [len(scene.boxes) for scene in scenes]
    assert min(counts) == 0
    assert max(counts) >= 4


def test_same_seed_and_index_give_the_same_picture_whatever_came_before(scenes: list[Scene]) -> None:
    alone = SceneGenerator(SynthOptions(count=1, seed=5)).scene(37)
    assert alone.image.tobytes() == scenes[37].image.tobytes()
    assert alone.boxes == scenes[37].boxes


def test_another_seed_gives_another_picture(scenes: list[Scene]) -> None:
    assert SceneGenerator(SynthOptions(count=1, seed=6)).scene(0).image.tobytes() != scenes[0].image.tobytes()


def test_only_negatives_give_no_box() -> None:
    studio = SceneGenerator(SynthOptions(count=12, seed=1, negatives=1.0))
    assert not any(studio.scene(index).boxes for index in range(12))


def test_crowded_negatives_give_no_box_and_other_pictures() -> None:
    plain, crowded = (
        SceneGenerator(SynthOptions(count=12, seed=1, negatives=1.0, clutter=share)) for share in (0.0, 1.0)
    )
    changed = 0
    for index in range(12):
        scene = crowded.scene(index)
        assert not scene.boxes
        changed += scene.image.tobytes() != plain.scene(index).image.tobytes()
    assert changed >= 10  # a table that fills the picture may hold none


def test_clutter_is_the_share_of_crowded_scenes_and_leaves_the_others_alone() -> None:
    none, half = (
        SceneGenerator(SynthOptions(count=24, seed=2, width=96, height=96, clutter=share)) for share in (0.0, 0.5)
    )
    same = sum(none.scene(index).image.tobytes() == half.scene(index).image.tobytes() for index in range(24))
    assert 7 <= same <= 17


def test_look_alikes_hide_no_sign() -> None:
    none, full = (SceneGenerator(SynthOptions(count=10, seed=9, negatives=0.0, clutter=share)) for share in (0.0, 1.0))
    for index in range(10):
        before, after = none.scene(index).boxes, full.scene(index).boxes
        assert [item.label for item in after] == [item.label for item in before]
        assert [item.box for item in after] == [item.box for item in before]


def test_back_of_a_sign_shows_no_print(textures: Textures, magenta: Faces) -> None:
    rng = np.random.default_rng(1)
    pose = SignPose(np.array([80.0, 150.0]), 40.0, 400.0, np.pi, 0.0, 0.0, 0.1, pole=1.2)
    face = Faces(1).pick(rng, "stop")
    image = np.zeros((160, 160, 3), dtype=np.uint8)
    paint(image, PosedSign(face, pose, PLAIN), VIEW, rng, textures)
    centre = image[75:90, 70:76].astype(int)
    assert centre.max() > 20
    assert np.ptp(centre, axis=2).max() < 30


def test_appearances_range_from_dark_to_faded() -> None:
    rng = np.random.default_rng(0)
    looks = [random_appearance(rng, 30.0, 0.9) for _ in range(300)]
    assert min(look.light for look in looks) < 0.4
    assert max(look.fade for look in looks) > 0.8
    assert sum(look.blur != (0.0, 0.0) for look in looks) > 15
