"""Look-alikes: each paints at its place, at any size and place, and the same for the same seed."""

import numpy as np
import pytest

from edge_agent.mlops.synth import false_alarms, lookalikes, patterns
from edge_agent.mlops.synth.props import Painter
from edge_agent.mlops.synth.textures import Textures, make_textures
from edge_agent.mlops.synth.view import Image

PAINTERS: tuple[Painter, ...] = (
    lookalikes.lamp, lookalikes.neck, lookalikes.framed, lookalikes.armchair, lookalikes.wedge, lookalikes.pennants,
    lookalikes.red_round, lookalikes.red_block, lookalikes.plain_disc, lookalikes.rings, lookalikes.clock,
    lookalikes.books, lookalikes.stack, lookalikes.fitting, lookalikes.bare_pole, lookalikes.brick,
    false_alarms.triangle, false_alarms.tessellation, false_alarms.cushion, false_alarms.glare, false_alarms.coins,
    false_alarms.panes,
)  # fmt: skip
GREY = 117


@pytest.fixture(scope="module")
def textures() -> Textures:
    return make_textures(1)


def _painted(painter: Painter, textures: Textures, at: tuple[float, float], size: float, seed: int = 0) -> Image:
    image = np.full((120, 160, 3), GREY, dtype=np.uint8)
    painter(image, np.random.default_rng(seed), textures, at, size)
    return image


@pytest.mark.parametrize("painter", PAINTERS)
def test_painter_marks_the_picture_at_its_place(painter: Painter, textures: Textures) -> None:
    for seed in range(4):
        image = _painted(painter, textures, (80.0, 60.0), 30.0, seed).astype(int)
        changed = np.abs(image - GREY).max(axis=2) > 12
        assert changed[30:91, 50:111].sum() > 40
        assert changed.mean() < 0.8


@pytest.mark.parametrize("painter", PAINTERS)
@pytest.mark.parametrize("at", [(-30.0, 60.0), (159.0, 0.0), (80.0, 300.0), (80.0, -300.0)])
@pytest.mark.parametrize("size", [3.0, 150.0])
def test_painter_takes_places_at_and_beyond_the_edge(
    painter: Painter, at: tuple[float, float], size: float, textures: Textures
) -> None:
    for seed in range(2):
        assert _painted(painter, textures, at, size, seed).shape == (120, 160, 3)


@pytest.mark.parametrize("painter", PAINTERS)
def test_same_seed_paints_the_same(painter: Painter, textures: Textures) -> None:
    once, again = (_painted(painter, textures, (70.0, 50.0), 30.0, seed=3) for _ in range(2))
    assert once.tobytes() == again.tobytes()


def test_wedge_never_points_up_like_a_sign(textures: Textures) -> None:
    """A triangle that points up has seven times as much of it in its lowest quarter as in its highest."""
    heavy = 0
    for seed in range(60):
        changed = np.any(_painted(lookalikes.wedge, textures, (80.0, 60.0), 60.0, seed) != GREY, axis=2)
        rows = np.nonzero(changed.any(axis=1))[0]
        top, bottom = rows.min(), rows.max()
        quarter = (bottom - top + 1) // 4
        upper, lower = changed[top : top + quarter].sum(), changed[bottom - quarter + 1 : bottom + 1].sum()
        heavy += lower > 4 * upper
    assert heavy <= 6


def test_triangle_is_never_a_yellow_one_that_points_up(textures: Textures) -> None:
    """A faded warning sign is one: taking it for background would teach the detector to pass signs."""
    yellow = upright = 0
    for seed in range(200):
        image = _painted(false_alarms.triangle, textures, (80.0, 60.0), 60.0, seed).astype(int)
        is_yellow = (image[..., 2] > 150) & (image[..., 1] > 120) & (image[..., 0] < image[..., 1] - 60)
        if is_yellow.sum() < 300:
            continue
        yellow += 1
        rows = np.nonzero(is_yellow.any(axis=1))[0]
        quarter = (rows.max() - rows.min() + 1) // 4
        lower = is_yellow[rows.max() - quarter + 1 : rows.max() + 1].sum()
        upright += lower > 4 * is_yellow[rows.min() : rows.min() + quarter].sum()
    assert yellow > 20
    assert upright <= yellow // 10


def test_cards_differ_and_are_loud() -> None:
    rng = np.random.default_rng(5)
    cards = [patterns.card(rng) for _ in range(30)]
    assert len({sheet.tobytes() for sheet in cards}) == len(cards)
    assert sum(float(sheet.std()) > 25 for sheet in cards) > 20


def test_card_is_laid_inside_its_outline_only() -> None:
    image = np.full((60, 60, 3), GREY, dtype=np.uint8)
    sheet = np.full((patterns.CARD_PX, patterns.CARD_PX, 3), (0, 0, 255), dtype=np.uint8)
    outline = np.array([(20.0, 10.0), (50.0, 10.0), (50.0, 40.0), (20.0, 40.0)])
    patterns.lay(image, np.random.default_rng(0), sheet, outline)
    red = image[..., 2].astype(int) - image[..., 1] > 60
    rows, columns = np.nonzero(red)
    extent = np.array([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1])
    assert np.abs(extent - (10, 40, 20, 50)).max() <= 1
    assert np.all(image[:9] == GREY)
    assert np.all(image[42:] == GREY)
    assert np.all(image[:, :19] == GREY)
    assert np.all(image[:, 52:] == GREY)
