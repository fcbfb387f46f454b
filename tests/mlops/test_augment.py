"""Training views: boxes stay on their signs, and randomness comes from the seed alone."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from edge_agent.mlops.augment import AugmentOptions, TrainingView, bars, clip, crop
from edge_agent.mlops.coco import IGNORE, read_split
from edge_agent.mlops.sampler import Sampler, stream
from edge_agent.mlops.synth.dead_leaves import dead_leaves


def _scene() -> TrainingView:
    image = np.zeros((100, 120, 3), np.uint8)
    image[40:60, 50:80] = 255
    return TrainingView(image, np.array([[50, 40, 80, 60]], np.float32), np.array([3]))


def test_crop_any_scale_keeps_box_tight_around_sign() -> None:
    found = 0
    for seed in range(40):
        made = crop(_scene(), 96, 80, AugmentOptions(), np.random.default_rng(seed))
        if list(made.labels) != [3]:
            continue
        found += 1
        rows, columns = np.nonzero(made.image[..., 0] > 127)
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(made.boxes[0] - seen).max() <= 1.0
    assert found > 10


def test_clip_sign_cut_in_half_is_ignored_and_gone_sign_is_dropped() -> None:
    scene = TrainingView(_scene().image, np.array([[50, 40, 80, 60], [0, 0, 10, 10]], np.float32), np.array([3, 4]))
    made = clip(scene, (65, 0, 120, 100))
    assert made.labels.tolist() == [IGNORE]
    assert made.boxes.tolist() == [[65, 40, 80, 60]]


def test_clip_tiny_sign_is_ignored() -> None:
    scene = TrainingView(_scene().image, np.array([[50, 40, 55, 46]], np.float32), np.array([3]))
    assert clip(scene, (0, 0, 120, 100)).labels.tolist() == [IGNORE]


def test_bars_leave_the_source_picture_alone() -> None:
    scene = _scene()
    before = scene.image.copy()
    bars(scene, np.random.default_rng(0))
    assert np.array_equal(scene.image, before)


def test_sampler_same_seed_and_index_gives_same_view(toy: Path) -> None:
    pictures = read_split(toy, "train")
    views = [Sampler((pictures,), (1.0,), 64, 64, 7).batch(32, 8).pixels for _ in range(2)]
    assert np.array_equal(views[0], views[1])
    other = Sampler((pictures,), (1.0,), 64, 64, 8).batch(32, 8).pixels
    assert not np.array_equal(views[0], other)


def test_stream_reader_that_leaves_ends_the_thread(toy: Path) -> None:
    batches = stream(Sampler((read_split(toy, "train"),), (1.0,), 64, 64, 0), 0, 400, 8, 400)
    assert next(batches).pixels.shape == (8, 3, 64, 64)
    batches.close()


def test_stream_covers_the_run_and_ends(toy: Path) -> None:
    sampler = Sampler((read_split(toy, "train"),), (1.0,), 64, 64, 0)
    assert [len(batch.pixels) for batch in stream(sampler, 0, 20, 8, 20)] == [8, 8, 4]


def test_sampler_empty_views_have_no_boxes_and_all_classes_known(toy: Path) -> None:
    only = AugmentOptions(empty=1.0)
    view, known = Sampler((read_split(toy, "train"),), (1.0,), 64, 64, 0, only).view(0)
    assert view.image.shape == (64, 64, 3)
    assert len(view.boxes) == 0
    assert known.all()


def test_dead_leaves_same_seed_gives_same_picture_that_is_not_plain() -> None:
    first, second = (dead_leaves(80, 60, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.std() > 5
