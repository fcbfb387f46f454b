from dataclasses import replace

import pytest

from edge_agent.simulation.train import STEP_S, MotorMode, TrainModel, TrainMotion, step, terminal_v, varied

MODEL = TrainModel()


def run(motion: TrainMotion, seconds: float, *, curved: bool = False, model: TrainModel = MODEL) -> TrainMotion:
    for _ in range(round(seconds / STEP_S)):
        motion = step(model, motion, curved)
    return motion


def driven(power: float, battery: float = 100, *, seconds: float = 4, curved: bool = False) -> TrainMotion:
    start = TrainMotion(motor=MotorMode.DRIVE, power_percent=power, battery_percent=battery)
    return run(start, seconds, curved=curved)


@pytest.mark.parametrize(("power", "low", "high"), [(60, 350, 400), (37, 165, 200)])
def test_speed_on_a_straight_is_that_of_a_toy(power: int, low: int, high: int):
    assert low < driven(power).speed_mm_s < high


@pytest.mark.parametrize("power", [5, 15, 25, -25])
def test_power_in_the_dead_band_moves_nothing(power: int):
    motion = driven(power)
    assert (motion.s_mm, motion.speed_mm_s) == (0, 0)


def test_power_above_the_dead_band_moves_either_way():
    assert driven(30).speed_mm_s > 50
    assert driven(-30).speed_mm_s == pytest.approx(-driven(30).speed_mm_s)


def test_curve_slows_and_a_weak_battery_sticks_in_it():
    assert driven(37, curved=True).speed_mm_s < 0.8 * driven(37).speed_mm_s
    assert driven(37, battery=10).speed_mm_s > 0
    assert driven(37, battery=10, curved=True).speed_mm_s == 0


def test_voltage_sags_under_load_and_with_charge():
    idle, pulling = TrainMotion(), driven(100, seconds=0.05)
    assert terminal_v(MODEL, pulling) < terminal_v(MODEL, idle) - 0.4
    assert terminal_v(MODEL, TrainMotion(battery_percent=0)) < 6.1
    assert terminal_v(MODEL, TrainMotion(battery_percent=100)) == pytest.approx(9.0, abs=0.1)


def test_weak_battery_drives_slower():
    assert driven(60, battery=20).speed_mm_s < 0.75 * driven(60).speed_mm_s


def test_battery_drains_faster_under_load_and_an_empty_one_drives_nothing():
    resting = run(TrainMotion(), 2).battery_percent
    assert driven(100, seconds=2).battery_percent < resting < 100
    assert driven(100, battery=0).speed_mm_s == 0


def test_brake_stops_within_100_mm_and_coasting_takes_twice_as_long():
    cruising = driven(60)
    braked = run(replace(cruising, motor=MotorMode.BRAKE, power_percent=0), 3)
    coasted = run(replace(cruising, motor=MotorMode.COAST, power_percent=0), 3)
    braked_mm, coasted_mm = braked.s_mm - cruising.s_mm, coasted.s_mm - cruising.s_mm
    assert braked.speed_mm_s == coasted.speed_mm_s == 0
    assert 30 < braked_mm < 100
    assert coasted_mm > 2 * braked_mm


def test_friction_never_reverses_a_train():
    motion = run(replace(driven(60), motor=MotorMode.COAST, power_percent=0), 0)
    for _ in range(2000):
        motion = step(MODEL, motion, True)
        assert motion.speed_mm_s >= 0


def test_varied_trains_differ_a_little_and_the_same_seed_gives_the_same():
    assert varied(MODEL, 0) == MODEL
    assert varied(MODEL, 7) == varied(MODEL, 7) != varied(MODEL, 8)
    assert varied(MODEL, 7).mass_kg == pytest.approx(MODEL.mass_kg, rel=0.05)
