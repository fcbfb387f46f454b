"""Whether the pixels of a detection are those of the picture before: noise and exposure are not movement."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.events import Box, Detection
from edge_agent.perception.vision.stillness import mark_still

SIGN = Detection("danger", 0.6, Box(100, 100, 120, 120))


def picture(
    seed: int, *, x: float = 100, noise: float = 3.0, gain: float = 1.0, contrast: float = 60
) -> NDArray[np.uint8]:
    """Return a noisy grey picture with a brighter square of 20 px, whose left edge is at `x`."""
    columns = np.arange(200, dtype=np.float64)
    inside = np.clip(np.minimum(columns + 1 - x, x + 20 - columns), 0, 1)
    rows = ((columns >= 100) & (columns < 120)).astype(np.float64)
    grey = 90 + contrast * rows[:, None] * inside[None, :]
    noisy = grey[..., None] * gain + np.random.default_rng(seed).normal(0, noise, (200, 200, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def still(before: NDArray[np.uint8] | None, after: NDArray[np.uint8], detection: Detection = SIGN) -> bool:
    (found,) = mark_still([detection], before, after)
    return found.still


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("noise", "gain"), [(0.0, 1.0), (3.0, 1.0), (6.0, 1.0), (3.0, 1.05), (3.0, 0.95)])
def test_same_scene_with_noise_and_another_exposure_is_still(seed: int, noise: float, gain: float) -> None:
    assert still(picture(seed, noise=noise), picture(seed + 100, noise=noise, gain=gain))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("moved_px", [1.0, -1.0, 3.0, 20.0])
def test_sign_that_moves_by_a_pixel_is_not_still(seed: int, moved_px: float) -> None:
    assert not still(picture(seed), picture(seed + 100, x=100 + moved_px))


def test_sign_that_appears_is_not_still() -> None:
    assert not still(picture(1, contrast=0), picture(2))


def test_movement_elsewhere_does_not_make_it_move() -> None:
    after = picture(2)
    after[:60] = 255
    assert still(picture(1), after)


def test_first_picture_and_one_of_another_size_are_not_still() -> None:
    assert not still(None, picture(1))
    assert not still(picture(1)[:150], picture(1))


@pytest.mark.parametrize("box", [Box(-40, -40, -10, -10), Box(210, 10, 230, 40), Box(5, 5, 5, 5)])
def test_box_outside_or_without_an_area_is_not_still(box: Box) -> None:
    assert not still(picture(1), picture(2), Detection("danger", 0.6, box))
