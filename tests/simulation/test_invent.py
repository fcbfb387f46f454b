import math

import pytest

from edge_agent.signs import Sign
from edge_agent.simulation import artwork
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.legible import legible


@pytest.mark.parametrize("seed", range(0, 24, 4))
def test_default_layout_has_what_the_mission_needs_in_its_order(seed: int):
    layout = default_layout(seed)
    counting = sorted((sign.s_mm, artwork.sign_of(sign.name)) for sign in layout.signs if sign.counts)
    kinds = [kind for _, kind in counting]
    assert len(kinds) >= 5
    assert {Sign.SPEED_LIMIT_30, Sign.SPEED_LIMIT_50, Sign.STOP} < set(kinds)
    assert kinds[-1] is Sign.DANGER
    assert kinds.count(Sign.DANGER) == 1
    assert 400 < layout.cliff_mm - counting[-1][0] < 1300
    assert 10_000 < layout.cliff_mm < 15_000


@pytest.mark.parametrize("seed", [1, 5, 6])
def test_every_sign_that_counts_can_be_read_in_time_and_no_two_of_a_kind_are_confused(seed: int):
    layout = default_layout(seed)
    for index, sign in enumerate(layout.signs):
        assert legible(layout, index).enough >= sign.counts
        others = [other.s_mm for other in layout.signs if other is not sign and other.label == sign.label]
        assert not sign.counts or sign.back or all(abs(sign.s_mm - s_mm) >= 700 for s_mm in others)


def test_signs_stand_before_in_and_behind_curves_in_pairs_and_turned_aside():
    placed = [(layout, sign) for layout in map(default_layout, range(12)) for sign in layout.signs if sign.counts]
    in_curve = [layout.track.curved(sign.s_mm) for layout, sign in placed]
    before = [layout.track.curved(sign.s_mm + 200) and not layout.track.curved(sign.s_mm) for layout, sign in placed]
    behind = [layout.track.curved(sign.s_mm - 300) and not layout.track.curved(sign.s_mm) for layout, sign in placed]
    turned = [abs(sign.yaw_rad) > math.radians(25) for _, sign in placed]
    paired = [
        any(other is not sign and other.counts and abs(other.s_mm - sign.s_mm) < 260 for other in layout.signs)
        for layout, sign in placed
    ]
    for share in (in_curve, before, behind, turned, paired):
        assert sum(share) >= 3
    assert {sign.counts for layout in map(default_layout, range(4)) for sign in layout.signs} == {True, False}


@pytest.mark.parametrize("seed", [0, 9])
def test_default_layout_keeps_signs_off_the_track_and_on_the_table(seed: int):
    layout = default_layout(seed)
    line = layout.track.sample(20.0)
    (x0, y0), (x1, y1), _, (x3, y3) = layout.table
    for pose in layout.sign_poses:
        nearest = min((x - pose.x_mm) ** 2 + (y - pose.y_mm) ** 2 for x, y in line) ** 0.5
        assert nearest > 50
        for dx, dy in ((x1 - x0, y1 - y0), (x3 - x0, y3 - y0)):
            along = ((pose.x_mm - x0) * dx + (pose.y_mm - y0) * dy) / (dx * dx + dy * dy)
            assert 0 < along < 1


def test_same_seed_gives_the_same_layout_and_another_seed_another():
    assert default_layout(3) == default_layout(3)
    assert default_layout(3) != default_layout(4)
    assert default_layout(3).look != default_layout(4).look
    assert default_layout(3).mount != default_layout(4).mount


def test_rails_end_at_the_tables_edge():
    layout = default_layout(2)
    end = layout.track.pose(layout.cliff_mm)
    _, right, left, _ = layout.table
    across = (left[0] - right[0], left[1] - right[1])
    to_end = (end.x_mm - right[0], end.y_mm - right[1])
    assert across[0] * to_end[1] - across[1] * to_end[0] == pytest.approx(0, abs=1)
