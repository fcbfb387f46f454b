"""Conversion of raw sensor values to millivolts and milliamperes.

Ranges as hubs announce them for mode 0 of their voltage and current ports (RAW and SI range of the port mode
information). On a City hub 0..3893 raw is 0..9600 mV, and 0..4095 raw is 0..2444 mA; some libraries use 9615 mV.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.hub.lwp3.codes import DeviceType, SystemType


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale through zero: `raw_maximum` corresponds to `si_maximum` mV or mA."""

    raw_maximum: float
    si_maximum: float

    def apply(self, raw: int) -> int:
        """Convert a raw value to mV or mA; negative readings are noise around zero."""
        return max(0, round(raw * self.si_maximum / self.raw_maximum))

    def invert(self, value: int) -> int:
        """Convert mV or mA to the raw value that a hub would send."""
        return max(0, min(round(self.raw_maximum), round(value * self.raw_maximum / self.si_maximum)))


CITY_VOLTAGE = Scale(3893, 9600)
CITY_CURRENT = Scale(4095, 2444)

_BY_HUB: Mapping[tuple[int, int], Scale] = {
    (SystemType.TECHNIC, DeviceType.VOLTAGE_SENSOR): Scale(4095, 9615),
    (SystemType.TECHNIC, DeviceType.CURRENT_SENSOR): Scale(4095, 4175),
}
_BY_DEVICE: Mapping[int, Scale] = {DeviceType.VOLTAGE_SENSOR: CITY_VOLTAGE, DeviceType.CURRENT_SENSOR: CITY_CURRENT}


def scale_for(system_type: int | None, device_type: int) -> Scale | None:
    """Return the scale of a hub's sensor; None for a device that measures neither voltage nor current."""
    return _BY_HUB.get((system_type or 0, device_type), _BY_DEVICE.get(device_type))


def announced_scale(raw_maximum: float | None, si_maximum: float | None) -> Scale | None:
    """Return the scale that the hub announced, which takes precedence; None if incomplete or implausible."""
    if raw_maximum is None or si_maximum is None:
        return None
    if not (0 < raw_maximum <= 0x7FFF and 0 < si_maximum <= 100_000):
        return None
    return Scale(raw_maximum, si_maximum)
