"""Pictures with boxes drawn in."""

import itertools

import numpy as np
import pytest

from edge_agent.events import Box, Detection
from edge_agent.perception.vision.draw import colour_of, draw
from edge_agent.signs import LABELS

GREY = np.full((400, 600, 3), 90, np.uint8)


def changed(box: Box, label: str = "stop") -> np.ndarray:
    drawn = draw(GREY, [Detection(label, 0.91, box)])
    assert drawn.shape == GREY.shape
    return np.argwhere((drawn != GREY).any(axis=2))


def test_draw_leaves_the_original_alone() -> None:
    before = GREY.copy()
    draw(GREY, [Detection("stop", 0.5, Box(10, 10, 50, 50))])
    assert np.array_equal(GREY, before)


def test_draw_marks_the_edge_and_keeps_the_sign_visible() -> None:
    rows, columns = changed(Box(200, 150, 260, 210)).T
    inside = (rows > 153) & (rows < 207) & (columns > 203) & (columns < 257)
    assert not inside.any()
    assert {149, 210} <= set(rows.tolist())
    assert {199, 260} <= set(columns.tolist())


@pytest.mark.parametrize(
    "box", [Box(0, 0, 20, 20), Box(580, 0, 600, 20), Box(580, 380, 600, 400), Box(0, 0, 600, 400), Box(-5, 3, 700, 410)]
)
def test_draw_label_at_the_border_has_its_whole_plate_in_the_picture(box: Box) -> None:
    plain = draw(GREY, [Detection("pedestrian_crossing", 0.91, Box(200, 150, 260, 210))])
    there = draw(GREY, [Detection("pedestrian_crossing", 0.91, box)])
    colour = np.array(colour_of("pedestrian_crossing"))
    plate = (plain[:140] == colour).all(axis=2).sum()
    assert (there == colour).all(axis=2).sum() >= plate


def test_draw_best_detection_lies_on_top() -> None:
    box = Box(200, 150, 260, 210)
    both = draw(GREY, [Detection("stop", 0.9, box), Detection("danger", 0.6, box)])
    assert (both[149, 205:255] == colour_of("stop")).all()


def test_draw_picture_smaller_than_its_label_is_drawn() -> None:
    assert draw(np.zeros((20, 20, 3), np.uint8), [Detection("stop", 0.9, Box(1, 1, 9, 9))]).shape == (20, 20, 3)


def test_colours_of_our_signs_are_far_from_each_other() -> None:
    colours = [np.array(colour_of(label), int) for label in LABELS]
    assert min(np.abs(one - other).sum() for one, other in itertools.combinations(colours, 2)) > 40


def test_colour_of_a_foreign_label_is_always_the_same() -> None:
    assert colour_of("zebra") == colour_of("zebra") != colour_of("giraffe")
