import math

import numpy as np
import pytest

from edge_agent.simulation.track import CURVE_RADIUS_MM, Pose, RailTrack, curve, straight


def test_sixteen_curves_close_a_circle_of_the_standard_radius():
    circle = RailTrack((curve(16),))
    end = circle.pose(circle.length_mm)
    assert circle.length_mm == pytest.approx(2 * math.pi * CURVE_RADIUS_MM)
    assert (end.x_mm, end.y_mm, end.heading_rad) == pytest.approx((0, 0, 2 * math.pi), abs=1e-6)
    half = circle.pose(circle.length_mm / 2)
    assert (half.x_mm, half.y_mm) == pytest.approx((0, 2 * CURVE_RADIUS_MM), abs=1e-6)


def test_negative_curve_turns_right():
    end = RailTrack((curve(-4),)).pose(10_000)
    assert end.heading_rad == pytest.approx(-math.pi / 2)
    assert end.y_mm < 0


def test_pose_is_continuous_over_joints_in_place_and_heading():
    track = RailTrack((straight(3), curve(3), straight(2), curve(-5), straight(1)), Pose(100, -50, 1.0))
    for s_mm, _ in track.joints[1:-1]:
        before, after = track.pose(s_mm - 1e-6), track.pose(s_mm + 1e-6)
        assert (before.x_mm, before.y_mm, before.heading_rad) == pytest.approx(
            (after.x_mm, after.y_mm, after.heading_rad), abs=1e-4
        )


def test_pose_beyond_the_last_rail_goes_straight_on():
    track = RailTrack((straight(1),))
    assert track.pose(track.length_mm + 50).x_mm == pytest.approx(178)


def test_beside_left_is_left_of_the_heading():
    assert Pose(0, 0, 0).beside(70) == pytest.approx((0, 70))
    assert Pose(0, 0, math.pi / 2).beside(70) == pytest.approx((-70, 0))


def test_curved_is_true_on_arcs_and_nothing_beyond_the_end():
    track = RailTrack((straight(1), curve(2)))
    assert [track.curved(s_mm) for s_mm in (10, 127, 130, 250, 9999)] == [False, False, True, True, False]
    assert track.curvature_per_mm(200) == pytest.approx(1 / CURVE_RADIUS_MM)


def test_sample_agrees_with_pose():
    track = RailTrack((straight(3), curve(3), straight(2), curve(-5)))
    points = track.sample(37.0, left_mm=12.0)
    places = np.linspace(0, track.length_mm, len(points))
    assert np.allclose(points, [track.pose(float(s_mm)).beside(12.0) for s_mm in places])
