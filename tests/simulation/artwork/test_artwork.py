"""The toy signs' pictures: complete, of the requested size, opaque where the sign is, and distinguishable."""

import numpy as np
import pytest

from edge_agent.signs import Sign
from edge_agent.simulation import artwork
from edge_agent.simulation.artwork.glyphs import FONTS, text_strokes


def test_names_cover_every_sign() -> None:
    assert {artwork.sign_of(name) for name in artwork.names()} == set(Sign)


def test_name_of_no_artwork_is_refused() -> None:
    for ask in (artwork.sign_of, artwork.height_mm):
        with pytest.raises(KeyError):
            ask("stop/upside_down")
    with pytest.raises(KeyError):
        artwork.draw("danger", 10)


@pytest.mark.parametrize("name", artwork.names())
def test_drawing_has_the_height_asked_for_and_fills_it(name: str) -> None:
    for picture in (artwork.draw(name, 40), artwork.draw_back(name, 40)):
        assert picture.shape[0] == 40
        assert picture.shape[2] == 4
        assert picture.dtype == np.uint8
        opaque = picture[..., 3] > 127
        assert opaque.any(axis=1).sum() >= 38
        assert opaque.any(axis=0).sum() >= picture.shape[1] - 2


def test_drawing_of_one_pixel_is_possible() -> None:
    assert artwork.draw("stop", 1).shape == (1, 1, 4)


def test_drawing_twice_gives_the_same_bytes() -> None:
    assert artwork.draw("danger/train", 33).tobytes() == artwork.draw("danger/train", 33).tobytes()


def test_outline_is_antialiased() -> None:
    alpha = artwork.draw("speed_limit_30", 24)[..., 3]
    assert ((alpha > 20) & (alpha < 235)).sum() > 10


def test_toy_danger_sign_is_yellow_and_stop_is_a_red_disc() -> None:
    blue, green, red = (int(v) for v in artwork.draw("danger/exclamation", 100)[95, 56, :3])
    assert red > 200
    assert green > 150
    assert blue < 80
    stop = artwork.draw("stop", 100)
    assert stop.shape[1] == 100
    assert stop[15, 50, 2] > 180
    assert stop[15, 50, 1] < 80
    assert stop[0, 0, 3] == 0


def test_every_pair_of_artworks_looks_different() -> None:
    small = {name: artwork.draw(name, 48) for name in artwork.names()}
    for name, picture in small.items():
        for other, second in small.items():
            if name < other and picture.shape == second.shape:
                assert np.abs(picture.astype(int) - second).max() > 60, (name, other)


def test_thirty_and_fifty_differ_in_every_font() -> None:
    for font in FONTS:
        style = artwork.Style(font=font)
        thirty, fifty = (artwork.draw(f"speed_limit_{number}", 64, style).astype(int) for number in (30, 50))
        assert np.abs(thirty - fifty).mean() > 1.0, font


def test_toy_signs_are_about_two_studs_tall() -> None:
    assert all(16 <= artwork.height_mm(name) <= 24 for name in artwork.names())


def test_back_shows_no_print() -> None:
    back = artwork.draw_back("stop", 60)
    shown = back[back[..., 3] == 255][:, :3].astype(int)
    assert (shown.max(axis=1) - shown.min(axis=1)).max() < 20


@pytest.mark.parametrize("font", FONTS.values())
def test_letters_stay_within_their_line(font: object) -> None:
    reach = font.weight / 2  # type: ignore[attr-defined]
    points = np.array([p for path in text_strokes("0123456789STOPBUH", font) for p in path])  # type: ignore[arg-type]
    assert np.abs(points[:, 1]).max() + reach <= 0.55


def test_letter_that_no_sign_uses_is_refused() -> None:
    with pytest.raises(KeyError):
        text_strokes("X", FONTS["plain"])
