"""Raw sensor values to millivolts and milliamperes and back."""

from hypothesis import given, strategies as st

from edge_agent.hub.lwp3 import DeviceType
from edge_agent.hub.lwp3.scaling import CITY_CURRENT, CITY_VOLTAGE, scale_for


@given(st.integers(0, 9600))
def test_voltage_survives_the_hubs_steps_to_within_half_a_step(voltage_mv: int) -> None:
    assert abs(CITY_VOLTAGE.apply(CITY_VOLTAGE.invert(voltage_mv)) - voltage_mv) <= 2


@given(st.integers(-1000, 100_000))
def test_raw_value_stays_within_the_sensors_range(current_ma: int) -> None:
    assert 0 <= CITY_CURRENT.invert(current_ma) <= 4095


def test_device_that_measures_neither_has_no_scale() -> None:
    assert scale_for(None, DeviceType.TRAIN_MOTOR) is None
    assert scale_for(None, DeviceType.VOLTAGE_SENSOR) == CITY_VOLTAGE
