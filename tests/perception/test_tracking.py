"""Association of boxes with tracks: the best overlap wins and nothing is used twice."""

import pytest

from edge_agent.events import Box, Detection
from edge_agent.perception.tracking import Track, TrackerParameters, iou, update_tracks

HOW = TrackerParameters()


def box(x: float) -> Box:
    return Box(x, 100, x + 40, 140)


def seen(x: float, label: str = "stop") -> Detection:
    return Detection(label, 0.9, box(x))


def track(number: int, x: float) -> Track:
    return Track(number, box(x), ("stop",), last_seen_s=10.0)


def test_two_boxes_near_one_track_the_nearer_one_continues_it_and_the_other_is_new() -> None:
    living, gone = update_tracks([track(1, 100)], [seen(130), seen(104)], 10.1, HOW)
    assert [(t.number, t.box.x1) for t in living] == [(1, 104), (2, 130)]
    assert gone == ()


def test_one_box_near_two_tracks_continues_the_nearer_one() -> None:
    living, _ = update_tracks([track(1, 100), track(2, 130)], [seen(127)], 10.1, HOW)
    assert [t.votes for t in living] == [("stop", None), ("stop", "stop")]


def test_box_far_from_every_track_is_a_new_sign() -> None:
    living, _ = update_tracks([track(1, 100)], [seen(400)], 10.1, HOW)
    assert [(t.number, t.votes[-1]) for t in living] == [(1, None), (2, "stop")]


def test_track_that_was_not_seen_for_too_long_has_left() -> None:
    living, gone = update_tracks([track(1, 100)], [], 10.0 + HOW.forget_s + 0.01, HOW)
    assert (living, [t.number for t in gone]) == ((), [1])


@pytest.mark.parametrize(("x", "shared"), [(100, 1.0), (120, 1 / 3), (140, 0.0), (300, 0.0)])
def test_overlap_is_intersection_over_union(x: float, shared: float) -> None:
    assert iou(box(100), box(x)) == pytest.approx(shared)
