"""What power to write so that the train goes as fast as was asked, whatever the battery gives.

A train motor has power only: no sensor tells its speed. Its effective voltage is the duty written times the battery's
voltage, so a sagging battery needs more duty for the same speed. Knows that arithmetic and the motor's dead band.
Knows nothing of ramps, of hubs or of why a power is asked for.
"""

import math

from edge_agent.config.control import HubSettings

PLAUSIBLE_MV = range(3_000, 12_001)
"""Battery voltages that a hub of six small cells can have; any other reading is taken as no reading."""


def compensate(power_percent: int, voltage_mv: int | None, settings: HubSettings) -> int:
    """Return the power to write, -100..100, for the power asked for at `settings.nominal_voltage_mv`.

    0 stays 0. Anything else keeps its sign, is never inside the dead band (`min_power_percent` at nominal voltage, more
    at less) and never above `max_power_percent`. `voltage_mv` None or out of range: as at nominal voltage.
    """
    if power_percent == 0:
        return 0
    scale = _scale(voltage_mv, settings)
    least = math.ceil(settings.min_power_percent * max(scale, 1.0) - 1e-9)
    wanted = max(round(abs(power_percent) * scale), least)
    return int(math.copysign(min(wanted, settings.max_power_percent), power_percent))


def weak_since(since_s: float | None, voltage_mv: int | None, limit_mv: int, now_s: float) -> float | None:
    """Return since when the voltage has been below a limit, None while it is not or is not known.

    `since_s` is what the last call returned. A motor that starts pulls the voltage down for a moment: whoever stops a
    train for it waits for a while first.
    """
    if voltage_mv is None or voltage_mv >= limit_mv:
        return None
    return now_s if since_s is None else since_s


def _scale(voltage_mv: int | None, settings: HubSettings) -> float:
    """How much more duty than at nominal voltage the same motor voltage takes."""
    if not settings.battery_compensation or voltage_mv is None or voltage_mv not in PLAUSIBLE_MV:
        return 1.0
    return settings.nominal_voltage_mv / voltage_mv
