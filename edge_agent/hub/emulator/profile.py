"""What an emulated hub is: its kind, name, address and what is plugged into it.

Knows the figures of a City hub as set 60337 brings it. Knows nothing of behaviour.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_agent.lwp3 import Advertisement, DeviceType, SystemType, Version

MOTOR_PORT = 0
LIGHT_PORT = 1

_CITY_PORTS = MappingProxyType(
    {
        MOTOR_PORT: int(DeviceType.TRAIN_MOTOR),
        LIGHT_PORT: int(DeviceType.LIGHT),
        50: int(DeviceType.RGB_LIGHT),
        59: int(DeviceType.CURRENT_SENSOR),
        60: int(DeviceType.VOLTAGE_SENSOR),
    }
)
"""Ports 50, 59 and 60 are where a City hub has its own light and sensors."""


def _city_ports() -> Mapping[int, int]:
    return _CITY_PORTS


@dataclass(frozen=True, slots=True)
class HubProfile:
    """One hub. `ports` is device type by port; `full_mv` and `empty_mv` are six AAA cells, fresh and flat.

    A motor at full power pulls the voltage down by `sag_mv` and draws `motor_ma` beyond the hub's own `idle_ma`: round
    figures, measured on nothing.
    """

    name: str = "Train hub"
    address: str = "90:84:2B:60:33:70"
    system_type: int = SystemType.CITY
    firmware: Version = Version.of("1.1.00.0004")  # noqa: RUF009 - frozen, so sharing the default is safe
    hardware: Version = Version.of("0.4.00.0000")  # noqa: RUF009
    rssi_dbm: int = -52
    ports: Mapping[int, int] = field(default_factory=_city_ports)
    full_mv: int = 9000
    empty_mv: int = 6000
    sag_mv: int = 300
    idle_ma: int = 40
    motor_ma: int = 400

    def advertisement(self, *, button_pressed: bool) -> Advertisement:
        """Say what the hub says before anyone connects."""
        return Advertisement(button_pressed, self.system_type)
