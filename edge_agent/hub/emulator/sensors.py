"""Identity, battery and sensors of an emulated hub: raw values, and what it answers about the modes of these ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge_agent.hub import lwp3
from edge_agent.hub.lwp3.scaling import CITY_CURRENT, CITY_VOLTAGE, Scale

MOTOR_PORT = 0
LIGHT_PORT = 1

_CITY_PORTS: Mapping[int, int] = {
    MOTOR_PORT: lwp3.DeviceType.TRAIN_MOTOR,
    LIGHT_PORT: lwp3.DeviceType.LIGHT,
    50: lwp3.DeviceType.RGB_LIGHT,
    59: lwp3.DeviceType.CURRENT_SENSOR,
    60: lwp3.DeviceType.VOLTAGE_SENSOR,
}
"""Devices by port; 50, 59 and 60 are a City hub's own light and sensors."""


@dataclass(frozen=True, slots=True)
class HubProfile:
    """One hub. `ports` is device type by port; `full_mv` and `empty_mv` are six AAA cells, fresh and flat.

    At full power the motor lowers the voltage by `sag_mv` and draws `motor_ma` on top of the hub's `idle_ma`: round
    figures, not measured.
    """

    name: str = "Train hub"
    address: str = "90:84:2B:60:33:70"
    system_type: int = lwp3.SystemType.CITY
    firmware: lwp3.Version = lwp3.Version.of("1.1.00.0004")  # noqa: RUF009 - frozen, so sharing the default is safe
    hardware: lwp3.Version = lwp3.Version.of("0.4.00.0000")  # noqa: RUF009
    rssi_dbm: int = -52
    ports: Mapping[int, int] = field(default_factory=lambda: _CITY_PORTS)
    full_mv: int = 9000
    empty_mv: int = 6000
    sag_mv: int = 300
    idle_ma: int = 40
    motor_ma: int = 400


SENSOR_MODES = (0, 1)
"""Modes of a sensor's port; both measure the same here."""

_CAN_BE_WRITTEN = 0x01
_CAN_BE_READ = 0x02
_SCALES: dict[int, Scale] = {lwp3.DeviceType.VOLTAGE_SENSOR: CITY_VOLTAGE, lwp3.DeviceType.CURRENT_SENSOR: CITY_CURRENT}
_NAMES: dict[int, tuple[tuple[bytes, bytes], bytes]] = {
    lwp3.DeviceType.VOLTAGE_SENSOR: ((b"VLT L", b"VLT S"), b"mV"),
    lwp3.DeviceType.CURRENT_SENSOR: ((b"CUR L", b"CUR S"), b"mA"),
}
"""Names of the two modes of each sensor, and the unit of both."""

_INT16_FOUR_FIGURES = bytes((1, 1, 4, 0))


@dataclass(frozen=True, slots=True)
class Battery:
    """Charge in percent, and load of the motor, 0..1. The `fed` values override the derived ones."""

    percent: float = 100.0
    load: float = 0.0
    fed_voltage_mv: int | None = None
    fed_current_ma: int | None = None

    def voltage_mv(self, profile: HubProfile) -> int:
        """Return the voltage under load."""
        if self.fed_voltage_mv is not None:
            return self.fed_voltage_mv
        rest_mv = profile.empty_mv + (profile.full_mv - profile.empty_mv) * self.percent / 100
        return round(rest_mv - profile.sag_mv * self.load)

    def current_ma(self, profile: HubProfile) -> int:
        """Return the current that hub and motor draw."""
        if self.fed_current_ma is not None:
            return self.fed_current_ma
        return round(profile.idle_ma + profile.motor_ma * self.load)

    def drained(self, percent: float) -> "Battery":
        """Return a battery with less charge (more for a negative `percent`), between empty and full."""
        return replace(self, percent=min(100.0, max(0.0, self.percent - percent)))


def raw_value(device_type: int, battery: Battery, profile: HubProfile) -> int:
    """Return a sensor's raw value; 0 for a device that measures nothing."""
    if device_type == lwp3.DeviceType.VOLTAGE_SENSOR:
        return CITY_VOLTAGE.invert(battery.voltage_mv(profile))
    if device_type == lwp3.DeviceType.CURRENT_SENSOR:
        return CITY_CURRENT.invert(battery.current_ma(profile))
    return 0


def modes(port: int, device_type: int) -> lwp3.Message:
    """Return the modes of a port: two inputs for a sensor, two outputs for the hub's light, one for the others."""
    if device_type in _SCALES:
        return lwp3.PortModes(port, _CAN_BE_READ, len(SENSOR_MODES), 0b11, 0)
    outputs = 2 if device_type == lwp3.DeviceType.RGB_LIGHT else 1
    return lwp3.PortModes(port, _CAN_BE_WRITTEN, outputs, 0, (1 << outputs) - 1)


def mode_information(port: int, device_type: int, mode: int, kind: lwp3.ModeInformationType) -> lwp3.Message | None:
    """Return one piece of information about a sensor's mode; None if the hub has none."""
    scale = _SCALES.get(device_type)
    if scale is None or mode not in SENSOR_MODES:
        return None
    names, symbol = _NAMES[device_type]
    ranges = {
        lwp3.ModeInformationType.RAW: scale.raw_maximum,
        lwp3.ModeInformationType.PERCENT: 100.0,
        lwp3.ModeInformationType.SI: scale.si_maximum,
    }
    details = {
        lwp3.ModeInformationType.NAME: names[mode].ljust(12, b"\0"),
        lwp3.ModeInformationType.SYMBOL: symbol.ljust(5, b"\0"),
        lwp3.ModeInformationType.VALUE_FORMAT: _INT16_FOUR_FIGURES,
    }
    if kind in ranges:
        return lwp3.PortModeRange(port, mode, kind, 0.0, ranges[kind])
    return lwp3.PortModeDetail(port, mode, kind, details[kind]) if kind in details else None
