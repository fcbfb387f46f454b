"""From a picture to a network's input and back."""

import cv2
import numpy as np
import pytest

from edge_agent.perception.vision import Letterbox, resize
from edge_agent.perception.vision.letterbox import PAD_GREY, place

RED_BGR = (0, 0, 255)


@pytest.mark.parametrize(
    ("picture", "network"),
    [((600, 400), (608, 416)), ((640, 480), (608, 416)), ((4032, 3024), (640, 640)), ((50, 400), (320, 224))],
)
def test_place_any_picture_fits_centred_and_maps_back(picture: tuple[int, int], network: tuple[int, int]) -> None:
    spot = place(*picture, *network)
    assert 0 <= spot.left <= network[0] - spot.width
    assert 0 <= spot.top <= network[1] - spot.height
    assert abs(network[0] - spot.width - 2 * spot.left) <= 1
    assert abs(network[1] - spot.height - 2 * spot.top) <= 1
    assert spot.width / spot.scale_x == pytest.approx(picture[0])
    assert spot.height / spot.scale_y == pytest.approx(picture[1])
    assert spot.scale_x == pytest.approx(spot.scale_y, rel=0.05)


def test_place_picture_hardly_smaller_than_input_is_padded_not_resampled() -> None:
    spot = place(600, 400, 608, 416)
    assert (spot.scale_x, spot.scale_y, spot.left, spot.top) == (1.0, 1.0, 4, 8)


def test_place_one_pixel_wide_picture_keeps_a_pixel() -> None:
    assert place(1, 5000, 608, 416).width == 1


@pytest.mark.parametrize(
    ("dtype", "full", "tolerance"), [(np.float32, 1.0, 1e-6), (np.float16, 1.0, 1e-3), (np.uint8, 255, 0)]
)
def test_letterbox_red_picture_fills_the_first_plane(dtype: type, full: float, tolerance: float) -> None:
    box = Letterbox(64, 32, dtype)
    blob, spot = box.fill(np.full((32, 32, 3), RED_BGR, np.uint8))
    assert blob.shape == (1, 3, 32, 64)
    assert blob.dtype == dtype
    inside = blob[0, :, :, spot.left : spot.left + spot.width].astype(np.float64)
    assert inside[0].min() == pytest.approx(full, abs=tolerance)
    assert inside[1:].max() == 0
    border = blob[0, :, :, : spot.left].astype(np.float64)
    assert border == pytest.approx(np.full(border.shape, full * PAD_GREY / 255), abs=tolerance or 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_letterbox_every_value_is_its_share_of_255(dtype: type) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (4, 1, 3))
    blob, _ = Letterbox(256, 4, dtype).fill(ramp)
    assert blob[0, 1, 2] == pytest.approx(np.arange(256) / 255, abs=1e-6 if dtype is np.float32 else 3e-4)


def test_letterbox_next_picture_of_another_size_leaves_nothing_behind() -> None:
    box = Letterbox(64, 64)
    box.fill(np.full((64, 64, 3), 255, np.uint8))
    blob, spot = box.fill(np.zeros((16, 64, 3), np.uint8))
    assert (spot.left, spot.top, spot.width, spot.height) == (0, 24, 64, 16)
    assert blob[0, :, :24].max() == pytest.approx(PAD_GREY / 255)


def test_letterbox_does_not_write_into_the_picture() -> None:
    image = np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)
    image.flags.writeable = False
    Letterbox(50, 40).fill(image)
    Letterbox(32, 32).fill(image)


def test_resize_right_size_returns_the_same_array() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    assert resize(image, 60, 40) is image


def test_resize_squeezes_to_exactly_what_is_asked() -> None:
    assert resize(np.zeros((480, 640, 3), np.uint8), 600, 400).shape == (400, 600, 3)
    assert resize(np.zeros((7, 5, 3), np.uint8), 600, 400).shape == (400, 600, 3)


def test_resize_huge_picture_keeps_what_linear_would_skip() -> None:
    image = np.zeros((3200, 4800, 3), np.uint8)
    image[::8, ::8] = 255
    ours = resize(image, 600, 400).mean()
    assert ours == pytest.approx(image.mean(), rel=0.1)
    skipping = cv2.resize(image, (600, 400), interpolation=cv2.INTER_LINEAR).mean()
    assert abs(skipping - image.mean()) > abs(ours - image.mean())
