"""Values that cross rooms: the overlap of two boxes."""

import pytest

from edge_agent.events import Box


@pytest.mark.parametrize(("x", "shared"), [(100, 1.0), (120, 1 / 3), (140, 0.0), (300, 0.0)])
def test_overlap_is_intersection_over_union(x: float, shared: float) -> None:
    assert Box(100, 100, 140, 140).iou(Box(x, 100, x + 40, 140)) == pytest.approx(shared)
