import pytest

from edge_agent.signs import Sign
from edge_agent.simulation import artwork
from edge_agent.simulation.invent import default_layout


@pytest.mark.parametrize("seed", range(0, 24, 4))
def test_default_layout_has_what_the_mission_needs_in_its_order(seed: int):
    layout = default_layout(seed)
    fronts = sorted((sign.s_mm, artwork.sign_of(sign.name)) for sign in layout.signs if not sign.back)
    meant = [kind for _, kind in fronts if kind is not Sign.OTHER_SIGN]
    assert meant == [Sign.SPEED_LIMIT_30, Sign.SPEED_LIMIT_50, Sign.STOP, Sign.DANGER]
    assert len(layout.signs) - len(meant) >= 3
    assert 300 < layout.cliff_mm - fronts[-1][0] < 900
    assert 10_000 < layout.cliff_mm < 15_000


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


def test_rails_end_at_the_tables_edge():
    layout = default_layout(2)
    end = layout.track.pose(layout.cliff_mm)
    _, right, left, _ = layout.table
    across = (left[0] - right[0], left[1] - right[1])
    to_end = (end.x_mm - right[0], end.y_mm - right[1])
    assert across[0] * to_end[1] - across[1] * to_end[0] == pytest.approx(0, abs=1)
