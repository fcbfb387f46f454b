from dataclasses import replace

import pytest

from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.layout import CameraMount, Layout, PlacedSign
from edge_agent.simulation.track import RailTrack, curve, straight
from edge_agent.simulation.world import World
from tests.simulation.driving import Driver, short_layout


def test_train_that_is_not_braked_falls_off_the_end():
    world = World(short_layout())
    world.advance(0)
    world.set_power(60)
    world.advance(60)
    assert (world.outcome, world.derailed, world.over) == ("derailed", True, True)
    assert world.margin_mm <= 0
    assert (world.overruns, world.referee.speeding) == (1, 1)


def test_train_that_obeys_stands_before_the_cliff():
    world = Driver(World(short_layout())).drive()
    assert (world.outcome, world.overruns, world.referee.speeding) == ("stopped", 0, 0)
    assert 400 < world.margin_mm < 1200


def test_train_that_stands_elsewhere_until_time_is_up_has_ended():
    world = World(replace(short_layout(), time_limit_s=5))
    world.advance(0)
    world.advance(6)
    assert (world.outcome, world.over) == ("ended", True)


def test_stop_sign_that_is_only_slowed_for_counts_as_overrun():
    world = World(short_layout())
    world.advance(0)
    world.set_power(38)
    world.advance(25)
    assert world.s_mm > 1600
    assert (world.overruns, world.referee.speeding) == (1, 0)


def test_train_that_stops_too_far_before_the_stop_sign_has_not_stopped_for_it():
    world = World(short_layout())
    world.advance(0)
    world.set_power(60)
    world.advance(1.5)
    world.brake()
    world.advance(4)
    assert world.s_mm < 800
    world.set_power(60)
    world.advance(10)
    assert world.overruns == 1


def test_same_commands_give_the_same_run_however_often_it_is_read():
    def run(looks: int) -> tuple[float, float, float]:
        world = World(short_layout(), 3)
        world.advance(10.0)
        world.set_power(60)
        for look in range(1, looks + 1):
            world.advance(10 + 3.5 * look / looks)
        world.brake()
        world.advance(14)
        return world.s_mm, world.speed_mm_s, world.battery_percent

    assert run(1) == run(7) == run(333)


def test_time_begins_at_the_first_reading_of_any_clock():
    early, late = World(short_layout()), World(short_layout())
    for world, origin_s in ((early, 0.0), (late, 98_765.4)):
        world.advance(origin_s)
        world.set_power(60)
        world.advance(origin_s + 2)
    assert late.s_mm == early.s_mm


def test_power_out_of_range_is_refused():
    with pytest.raises(ValueError, match="100"):
        World(short_layout()).set_power(101)


def lap_s(battery: float, power_at: "dict[str, float] | None" = None) -> float:
    """Time a loop of straights and curves at power that may follow the voltage."""
    loop = Layout(RailTrack((straight(6), curve(8), straight(6), curve(8), straight(1))), ())
    world = World(loop, battery_percent=battery)
    world.advance(0)
    now_s = 0.0
    while not world.derailed and now_s < 60:
        scale = power_at["reference_v"] / world.voltage_v if power_at else 1.0
        world.set_power(min(100, 55 * scale))
        now_s += 0.1
        world.advance(now_s)
    assert world.lap_s is not None
    return world.lap_s


def test_lap_on_a_weak_battery_is_slow_and_compensating_for_the_voltage_brings_it_back():
    full, weak = lap_s(100), lap_s(20)
    same, compensated = lap_s(100, {"reference_v": 8.7}), lap_s(20, {"reference_v": 8.7})
    print(f"lap at 20 %: {weak / full:.2f} of full, {compensated / same:.3f} when compensated")
    assert weak > 1.5 * full
    assert compensated == pytest.approx(same, rel=0.1)


def test_signs_seen_grow_as_the_train_comes_near_and_have_the_right_distance():
    layout = short_layout()
    heights, distances = [], []
    for s_mm in (160, 300, 450, 500):
        world = World(replace(layout, start_mm=s_mm))
        (seen,) = [one for one in world.see() if one.sign.name == "speed_limit_30"]
        heights.append(seen.box.height)
        distances.append(seen.distance_mm)
    assert heights == sorted(heights)
    assert distances == sorted(distances, reverse=True)
    assert distances[0] == pytest.approx(546, abs=8)  # 540 mm ahead, 70 to the side, 52 below
    assert heights[0] == pytest.approx(17.5 * 499 / 540, rel=0.03)


@pytest.mark.parametrize("seed", [0, 3])
def test_default_mission_obeyed_ends_standing_before_the_cliff_in_time(seed: int):
    world = Driver(World(default_layout(seed), seed)).drive()
    assert (world.outcome, world.overruns, world.referee.speeding) == ("stopped", 0, 0)
    assert 30 < world.elapsed_s < 75
    assert world.margin_mm > 300


def test_sign_that_does_not_count_is_shown_and_passed_but_not_judged():
    signs = tuple(replace(sign, counts=False) for sign in short_layout().signs)
    world = World(replace(short_layout(), signs=signs))
    assert "speed_limit_30" in {sign.label for sign in world.truth()}
    world.advance(0)
    world.set_power(60)
    world.advance(60)
    assert (world.overruns, world.referee.speeding, world.outcome) == (0, 0, "derailed")
    assert sorted(world.referee.passed_s) == [0, 1, 2, 3]


def test_rolled_camera_turns_the_picture_the_other_way():
    layout = replace(short_layout(), signs=(PlacedSign("stop", 400, 70), PlacedSign("stop", 400, -70)))
    level = {one.index: one.box for one in World(layout).see()}
    rolled = {one.index: one.box for one in World(replace(layout, mount=CameraMount(roll_rad=0.1))).see()}
    assert level[0].y1 == pytest.approx(level[1].y1, abs=0.5)
    assert level[0].x1 < level[1].x1  # the first stands on the left
    assert rolled[0].y1 > level[0].y1 + 5
    assert rolled[1].y1 < level[1].y1 - 5


def test_higher_camera_sees_signs_lower_and_one_that_is_tilted_down_sees_them_higher():
    def top(mount: CameraMount) -> float:
        layout = replace(short_layout(), signs=(PlacedSign("stop", 600, 70),), mount=mount)
        return World(layout).see()[0].box.y1

    assert top(CameraMount(110)) > top(CameraMount(85))
    assert top(CameraMount(pitch_rad=0.06)) < top(CameraMount(pitch_rad=0.0))


def test_back_of_a_sign_is_no_truth():
    layout = replace(short_layout(), signs=(PlacedSign("stop", 700, 70, back=True),))
    world = World(layout)
    assert [one.front for one in world.see()] == [False]
    assert world.truth() == ()
