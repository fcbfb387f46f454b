"""Association of boxes with tracks: the best overlap wins and nothing is used twice."""

from dataclasses import replace

import pytest

from edge_agent.events import Box, Detection
from edge_agent.perception.tracking import Track, TrackerParameters, turn_px_s, update_tracks

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


def follow(detections: list[Detection | None], period_s: float = 0.1, *, turn_px_s: float = 0.0) -> tuple[Track, ...]:
    """Return the tracks after one frame for each detection; None is a frame in which the sign was missed."""
    tracks: tuple[Track, ...] = ()
    for number, detection in enumerate(detections):
        tracks, _ = update_tracks(
            tracks, [detection] if detection else [], 10 + number * period_s, HOW, turn_px_s=turn_px_s
        )
    return tracks


def small(x: float, width: float, label: str = "speed_limit_30") -> Detection:
    return Detection(label, 0.9, Box(x, 100, x + width, 100 + width))


def test_sign_that_moves_by_more_than_its_width_between_frames_stays_one_track() -> None:
    """As after a curve of radius 40 studs: 39 px a frame with a box of 24 px."""
    (found,) = follow([small(500 - 39 * n, 24 + n) for n in range(8)])
    assert found.votes == ("speed_limit_30",) * 8


def test_sign_that_is_missed_in_two_frames_of_a_curve_stays_one_track() -> None:
    (found,) = follow([small(500 - 39 * n, 24 + 2 * n) if n not in {2, 3} else None for n in range(6)])
    assert found.votes.count("speed_limit_30") == 4


def test_thing_that_passes_by_without_coming_nearer_gathers_no_votes() -> None:
    """In a curve the room's furniture moves by as much as a sign at the track, but does not grow."""
    (found,) = follow([small(190 + 47 * n, 30) for n in range(4)])
    assert found.votes == ("speed_limit_30", None, None, None)


def test_sign_whose_small_box_shakes_by_more_than_it_grows_keeps_its_votes() -> None:
    (found,) = follow([small(500 - 39 * n, width) for n, width in enumerate((20, 22, 21.5, 25))])
    assert found.votes == ("speed_limit_30",) * 4


@pytest.mark.parametrize("hand", [1, -1])
def test_sign_stays_one_track_where_a_curve_begins_and_ends(hand: int) -> None:
    """The picture stops to move sideways from one frame to the next: the sign is not where its speed pointed."""
    places = [300 - hand * 45 * n for n in range(3)] + [300 - hand * (90 + 2 * n) for n in range(3)]
    frames = [small(x, 24 + n) for n, x in enumerate([*places, *(places[-1] - hand * 45 * n for n in (1, 2))])]
    assert len(follow(frames, turn_px_s=0.0)) > 1
    (found,) = follow(frames, turn_px_s=turn_px_s(400, 600))
    assert found.votes == ("speed_limit_30",) * len(frames)


def test_sign_that_the_turn_may_have_moved_aside_is_not_expected_higher_or_lower() -> None:
    first, second = small(200, 24), small(240, 25)
    lower = replace(second, box=replace(second.box, y1=second.box.y1 + 70, y2=second.box.y2 + 70))
    assert len(follow([first, first, lower], turn_px_s=800)) == 2


def test_near_sign_that_is_missed_twice_may_have_grown_to_twice_its_size() -> None:
    (found,) = follow([small(300, 28), small(310, 31), None, None, small(360, 62)])
    assert len(found.votes) == 5


def test_faint_detection_moves_a_track_and_is_no_vote() -> None:
    tracks, _ = update_tracks((), [small(100, 24)], 10.0, HOW)
    tracks, _ = update_tracks(tracks, [], 10.1, HOW, faint=[small(120, 25)])
    (found,) = tracks
    assert (found.votes, found.box.x1, found.last_seen_s) == (("speed_limit_30", None), 120, 10.1)
    assert update_tracks((), [], 10.0, HOW, faint=[small(120, 25)]) == ((), ())


def test_sure_detection_goes_before_a_faint_one() -> None:
    tracks, _ = update_tracks((), [small(100, 24)], 10.0, HOW)
    (found,), _ = update_tracks(tracks, [small(110, 24)], 10.1, HOW, faint=[small(101, 24)])
    assert (found.box.x1, found.votes[-1]) == (110, "speed_limit_30")


def test_picture_moves_sideways_with_speed_and_size() -> None:
    """320 mm/s in a curve of 320 mm turn by a radian a second: by one focal length, 499 px of a picture 600 px wide."""
    assert turn_px_s(320, 600) == pytest.approx(499, abs=1)
    assert turn_px_s(640, 1200) == pytest.approx(4 * turn_px_s(320, 600))


def test_sign_of_another_size_is_another_sign() -> None:
    assert len(follow([small(100, 24), small(110, 60)])) == 2


def test_two_signs_that_cross_keep_their_labels() -> None:
    tracks: tuple[Track, ...] = ()
    for n in range(5):
        pair = [small(100 + 20 * n, 40, "stop"), small(180 - 20 * n, 40, "danger")]
        tracks, _ = update_tracks(tracks, pair, 10 + n / 10, HOW)
    assert sorted(t.votes for t in tracks) == [("danger",) * 5, ("stop",) * 5]


def test_another_label_beside_a_track_is_a_sign_of_its_own() -> None:
    """Otherwise a danger sign that follows a STOP which has acted would never act."""
    tracks = follow([small(100, 40, "stop"), None, None, small(180, 40, "danger")])
    assert [t.votes[-1] for t in tracks] == [None, "danger"]


def test_label_that_flips_on_the_same_sign_is_a_vote_in_its_track() -> None:
    (found,) = follow([small(100 + 5 * n, 40, "speed_limit_50" if n == 2 else "speed_limit_30") for n in range(5)])
    assert found.votes[2] == "speed_limit_50"
