"""Folders of pictures in every format."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.errors import ConfigError
from edge_agent.perception.camera import ImagesReader
from edge_agent.perception.camera.images import list_images, read_image
from tests.perception.camera.pictures import grey


def read_all(path: Path) -> tuple[list[str], ImagesReader]:
    reader = ImagesReader(path)
    reader.open()
    names = []
    while (picture := reader.read()) is not None:
        assert picture.image.dtype == np.uint8
        assert picture.image.shape[2] == 3
        names.append(picture.name)
    reader.close()
    return names, reader


def test_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "b1.JPG", "a12.png", "a2.png", "1.5.png"):
        cv2.imwrite(str(tmp_path / name), grey(9))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    cv2.imwrite(str(tmp_path / ".hidden.png"), grey(9))
    names, reader = read_all(tmp_path)
    assert names == ["1.5.png", "2.png", "10.png", "a2.png", "a12.png", "b1.JPG"]
    assert reader.notes == []


def test_folder_bad_pictures_are_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(b"")
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    cv2.imwrite(str(tmp_path / "2.jpg"), grey(9))
    (tmp_path / "3.jpg").write_text("text")
    names, reader = read_all(tmp_path)
    assert names == ["2.jpg"]
    assert reader.skipped == 3
    assert reader.notes == [f"{tmp_path}: 3 of 4 pictures could not be read (0.jpg, 1.png, 3.jpg)"]


@pytest.mark.parametrize(("make", "message"), [(False, "contains no pictures"), (True, "none of its 2 pictures")])
def test_folder_without_a_good_picture_is_refused(tmp_path: Path, make: bool, message: str) -> None:
    if make:
        (tmp_path / "1.jpg").write_bytes(b"x")
        (tmp_path / "2.jpg").write_bytes(b"y")
    with pytest.raises(ConfigError, match=message):
        ImagesReader(tmp_path).open()


def test_single_picture_is_a_folder_of_one(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), grey(9))
    assert list_images(tmp_path / "a.png") == [tmp_path / "a.png"]
    assert read_all(tmp_path / "a.png")[0] == ["a.png"]


def picture(path: Path, image: np.ndarray) -> tuple[np.ndarray, bool]:
    cv2.imwrite(str(path), image)
    found = read_image(path)
    assert found is not None
    return found


def test_picture_with_alpha_is_put_on_black_and_counted(tmp_path: Path) -> None:
    image = np.zeros((4, 6, 4), np.uint8)
    image[..., :3] = (10, 100, 200)
    image[:, :2, 3], image[:, 2:4, 3] = 255, 128
    found, flattened = picture(tmp_path / "a.png", image)
    assert flattened
    assert found[0, ::2].tolist() == [[10, 100, 200], [5, 50, 100], [0, 0, 0]]
    _, reader = read_all(tmp_path)
    assert reader.notes == [f"{tmp_path}: 1 pictures with transparent parts were put on black"]


def test_picture_of_16_bits_with_alpha_becomes_8_bits(tmp_path: Path) -> None:
    image = np.full((4, 6, 4), 65535, np.uint16)
    image[..., 0] = 256 * 77
    found, flattened = picture(tmp_path / "a.png", image)
    assert flattened
    assert found[0, 0].tolist() == [77, 255, 255]


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".webp", ".pgm"])
def test_picture_in_grey_becomes_bgr(tmp_path: Path, suffix: str) -> None:
    found, flattened = picture(tmp_path / f"a{suffix}", np.full((16, 16), 77, np.uint8))
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - 77).max() <= 2
    assert not flattened


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_of_16_bits_becomes_8_bits(tmp_path: Path, channels: int) -> None:
    found, _ = picture(tmp_path / "a.png", np.full((4, 6, channels), 256 * 77, np.uint16))
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - 77).max() <= 1


def test_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((40, 60, 3), np.uint8))
    content = path.read_bytes()
    # TIFF header, one entry: tag 0x0112 (orientation), type SHORT, count 1, value 6 (turn clockwise).
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    path.write_bytes(content[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + content[2:])
    found = read_image(path)
    assert found is not None
    assert found[0].shape == (60, 40, 3)


def test_picture_with_a_name_beyond_ascii_is_read(tmp_path: Path) -> None:
    assert picture(tmp_path / "Gleis_ü_線路.png", grey(7))[0].shape == (64, 96, 3)


def test_picture_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_image(tmp_path / "a.png") is None


@pytest.mark.parametrize(
    ("suffix", "share"),  # half a JPEG is a picture to OpenCV before 4.12, grey where it was cut
    [(".jpg", 0.02), *((suffix, share) for suffix in (".png", ".webp", ".bmp", ".tiff") for share in (0.02, 0.5))],
)
def test_picture_cut_short_is_none_without_output(
    tmp_path: Path, suffix: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
    content = cv2.imencode(suffix, noise)[1].tobytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content[: int(len(content) * share)])
    assert read_image(path) is None
    assert capfd.readouterr().err == ""
