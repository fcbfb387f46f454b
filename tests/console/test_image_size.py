"""The size of a picture, read without decoding it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

from edge_agent.console.picture_history import image_size
from edge_agent.observers.cloudevents.images import encode_jpeg, encode_webp, smaller_jpeg


def image(width: int, height: int) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("width", "height"), [(600, 400), (1, 1), (17, 3)])
def test_size_of_what_our_encoders_make(width: int, height: int) -> None:
    assert image_size(encode_jpeg(image(width, height)).data) == (width, height)
    assert image_size(encode_webp(image(width, height)).data) == (width, height)


@pytest.mark.parametrize("options", [[cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]])
def test_size_of_other_kinds_of_jpeg(options: list[int]) -> None:
    _, buffer = cv2.imencode(".jpg", image(60, 40), options)
    assert image_size(buffer.tobytes()) == (60, 40)


def test_size_of_lossless_webp() -> None:
    _, buffer = cv2.imencode(".webp", image(60, 40), [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert image_size(buffer.tobytes()) == (60, 40)


@given(st.binary(max_size=100), st.sampled_from([b"", b"\xff\xd8\xff", b"RIFF0000WEBPVP8 ", b"RIFF0000WEBPVP8X"]))
def test_no_bytes_break_it(data: bytes, head: bytes) -> None:
    image_size(head + data)


@given(st.binary(max_size=100), st.sampled_from([b"", b"\xff\xd8\xff\xe0"]))
def test_what_cannot_be_decoded_is_not_made_smaller(data: bytes, head: bytes) -> None:
    assert smaller_jpeg(head + data, 300) is None


def test_picture_is_made_smaller_in_its_proportions() -> None:
    small = smaller_jpeg(encode_jpeg(image(600, 400)).data, 300)
    assert small is not None
    assert image_size(small) == (300, 200)
