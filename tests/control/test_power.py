"""Battery compensation: the same speed from a sagging battery, and never inside the dead band."""

import pytest
from hypothesis import given, strategies as st

from edge_agent.config.control import HubSettings
from edge_agent.control.power import compensate, weak_since

SETTINGS = HubSettings(nominal_voltage_mv=8_000, min_power_percent=25, max_power_percent=90)
powers = st.integers(-100, 100)
voltages = st.none() | st.integers(-1_000, 20_000)


def test_nominal_voltage_leaves_power_as_asked() -> None:
    assert compensate(50, 8_000, SETTINGS) == 50


def test_low_voltage_raises_power_in_proportion() -> None:
    assert compensate(50, 6_400, SETTINGS) == 62  # 50 * 8.0 V / 6.4 V = 62.5, halves to even


def test_high_voltage_lowers_power_in_proportion() -> None:
    assert compensate(50, 10_000, SETTINGS) == 40


def test_zero_stays_zero_at_any_voltage() -> None:
    assert compensate(0, 5_000, SETTINGS) == 0


def test_weak_power_is_raised_out_of_the_dead_band() -> None:
    assert compensate(5, 8_000, SETTINGS) == 25


def test_dead_band_widens_as_the_battery_sags() -> None:
    assert compensate(5, 6_400, SETTINGS) == 32  # 25 * 8.0 / 6.4 = 31.25, up


def test_strong_power_is_capped_at_the_limit() -> None:
    assert compensate(-100, 6_000, SETTINGS) == -90


@pytest.mark.parametrize("voltage_mv", [None, 0, -1, 2_999, 12_001])
def test_no_plausible_voltage_leaves_power_as_asked(voltage_mv: int | None) -> None:
    assert compensate(50, voltage_mv, SETTINGS) == 50


def test_compensation_switched_off_still_respects_dead_band_and_limit() -> None:
    plain = SETTINGS.model_copy(update={"battery_compensation": False})
    assert [compensate(power, 6_000, plain) for power in (50, 5, 100)] == [50, 25, 90]


@given(powers, voltages)
def test_any_input_keeps_sign_dead_band_and_limit(power_percent: int, voltage_mv: int | None) -> None:
    written = compensate(power_percent, voltage_mv, SETTINGS)
    if power_percent == 0:
        assert written == 0
    else:
        assert written * power_percent > 0
        assert 25 <= abs(written) <= 90


@given(powers, st.integers(5_000, 9_000), st.integers(0, 1_000))
def test_more_voltage_never_needs_more_power(power_percent: int, voltage_mv: int, more_mv: int) -> None:
    assert abs(compensate(power_percent, voltage_mv + more_mv, SETTINGS)) <= abs(
        compensate(power_percent, voltage_mv, SETTINGS)
    )


def test_weak_since_is_when_it_began_and_forgets_a_recovery() -> None:
    since = []
    since_s = None
    for now_s, voltage_mv in enumerate((6_000, 5_999, 5_500, None, 5_500, 6_000)):
        since_s = weak_since(since_s, voltage_mv, 6_000, float(now_s))
        since.append(since_s)
    assert since == [None, 1.0, 1.0, None, 4.0, None]
