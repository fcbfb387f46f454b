import hashlib
from dataclasses import replace

import numpy as np
import pytest

from edge_agent.simulation.layout import Layout, PlacedSign, RenderStyle
from edge_agent.simulation.render import Renderer
from edge_agent.simulation.track import RailTrack, straight
from edge_agent.simulation.view import Optics
from edge_agent.simulation.world import Snapshot, World
from tests.simulation.driving import short_layout


def moment(layout: Layout, s_mm: float, speed_mm_s: float = 0.0, fallen_s: float = 0.0) -> Snapshot:
    return Snapshot(0.0, s_mm, speed_mm_s, layout.track.pose(s_mm), fallen_s)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(short_layout())


def test_same_layout_moment_and_frame_give_the_same_bytes(renderer: Renderer):
    at = moment(short_layout(), 400, 350)
    pictures = [one.render(at, 7)[0] for one in (renderer, Renderer(short_layout()))]
    assert len({hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures}) == 1
    assert pictures[0].shape == (400, 600, 3)
    assert pictures[0].dtype == np.uint8


def test_another_frame_number_gives_other_noise_only(renderer: Renderer):
    layout = short_layout()
    first, second = (renderer.render(moment(layout, 400), frame)[0].astype(int) for frame in (1, 2))
    assert 0 < np.abs(first - second).mean() < 8


def test_another_seed_gives_another_room(renderer: Renderer):
    at = moment(short_layout(), 400)
    other = Renderer(replace(short_layout(), look=RenderStyle(seed=99))).render(at, 0)[0]
    assert np.abs(renderer.render(at, 0)[0].astype(int) - other.astype(int)).mean() > 10


THREE = (
    PlacedSign("stop", 700, 75, 0.3),
    PlacedSign("danger/exclamation", 1500, 75, 0.3),
    PlacedSign("other_sign/bus_stop", 2300, -75, -0.2),
)


@pytest.fixture(scope="module")
def with_and_without_signs() -> tuple[Renderer, Renderer, Layout]:
    layout = Layout(RailTrack((straight(22),)), THREE, RenderStyle(seed=5, shutter_s=0), side_mm=100)
    return Renderer(layout), Renderer(replace(layout, signs=())), layout


@pytest.mark.parametrize("place", range(len(THREE)), ids=[sign.name for sign in THREE])
@pytest.mark.parametrize("distance_mm", [180, 420])
def test_box_of_a_sign_is_where_its_pixels_are(
    with_and_without_signs: tuple[Renderer, Renderer, Layout], place: int, distance_mm: float
):
    """Two pictures that differ in signs only: what differs around a head's place is the head and its pole."""
    full, bare, layout = with_and_without_signs
    at = moment(layout, THREE[place].s_mm - distance_mm)
    (picture, seen), (empty, _) = full.render(at, 0), bare.render(at, 0)
    (one,) = [sign for sign in seen if sign.index == place]
    left, right = int(one.box.x1) - 8, int(one.box.x2) + 8
    differs = np.abs(picture.astype(int) - empty.astype(int)).max(axis=2)[:, left:right] > 20
    rows = np.flatnonzero(differs[int(one.box.y1) - 8 :].any(axis=1)) + int(one.box.y1) - 8
    head = differs[rows[0] : int(one.box.y2) - 1]
    columns = np.flatnonzero(head.any(axis=0)) + left
    assert rows[0] == pytest.approx(one.box.y1, abs=2)
    assert columns[0] == pytest.approx(one.box.x1, abs=2)
    assert columns[-1] + 1 == pytest.approx(one.box.x2, abs=2)
    assert one.visible == 1.0


def test_sign_cut_off_by_the_pictures_edge_measures_how_much_is_left():
    layout = Layout(RailTrack((straight(10),)), (PlacedSign("stop", 700, 75),))
    at = [World(replace(layout, start_mm=s_mm)).see()[0] for s_mm in (500, 560, 575)]
    assert at[0].visible == 1.0
    assert 0.05 < at[-1].visible < 0.9
    assert at[-1].box.x1 == 0
    assert 0 < at[-1].box.x2 < 60


def test_sign_behind_another_is_partly_hidden_and_a_hidden_one_is_no_truth():
    near = PlacedSign("no_entry", 700, 56)
    shares = []
    for left_mm in (60, 66, 72):
        layout = Layout(RailTrack((straight(12),)), (PlacedSign("stop", 740, left_mm), near), start_mm=100)
        by_name = {one.sign.name: one for one in World(layout).see()}
        assert by_name["no_entry"].visible == 1.0
        shares.append(by_name["stop"].visible)
    assert shares == sorted(shares)
    assert shares[0] < 0.4
    hidden = Layout(RailTrack((straight(12),)), (PlacedSign("stop", 740, 60), near), start_mm=100)
    assert [one.label for one in World(hidden).truth()] == ["no_entry"]


def test_speed_blurs_the_track(renderer: Renderer):
    layout = short_layout()
    slow, fast = (renderer.render(moment(layout, 300, speed), 0)[0][320:].astype(int) for speed in (0, 700))
    assert np.abs(np.diff(fast, axis=0)).mean() < 0.8 * np.abs(np.diff(slow, axis=0)).mean()


def test_curve_blurs_sideways(renderer: Renderer):
    layout = short_layout()
    slow, fast = (renderer.render(moment(layout, 1950, speed), 0)[0][:180].astype(int) for speed in (0, 700))
    edges = [np.abs(np.diff(picture[:, :, 1].mean(axis=0))).max() for picture in (slow, fast)]
    assert edges[1] < 0.8 * edges[0]


def test_fallen_train_sees_something_else(renderer: Renderer):
    layout = short_layout()
    standing, fallen = (renderer.render(moment(layout, 4900, 0, fallen_s), 0)[0] for fallen_s in (0.0, 1.0))
    assert np.abs(standing.astype(int) - fallen.astype(int)).mean() > 15


@pytest.mark.parametrize("size", [(320, 240), (640, 480)])
def test_any_size_is_rendered(size: tuple[int, int]):
    layout = short_layout()
    picture, seen = Renderer(layout, Optics(*size)).render(moment(layout, 400, 300), 0)
    assert picture.shape == (size[1], size[0], 3)
    assert all(0 <= one.box.x1 < one.box.x2 <= size[0] for one in seen)
