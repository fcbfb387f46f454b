"""Battery compensation: the duty to write so that the train keeps its speed as the voltage drops. Pure functions.

A train motor has no speed sensor. Its effective voltage is duty times battery voltage, so a sagging battery needs more
duty for the same speed.
"""

import math

from edge_agent.config.control import HubSettings

PLAUSIBLE_MV = range(3_000, 12_001)
"""Plausible voltages of six AAA cells; any other reading is ignored."""


def compensate(power_percent: int, voltage_mv: int | None, settings: HubSettings) -> int:
    """Return the power to write, -100..100, for the power asked for at `settings.nominal_voltage_mv`.

    0 stays 0. Anything else keeps its sign, is never inside the dead band (`min_power_percent` at nominal voltage, more
    at less) and never above `max_power_percent`. `voltage_mv` None or out of range: as at nominal voltage.
    """
    if power_percent == 0:
        return 0
    scale = _scale(voltage_mv, settings)
    # The epsilon keeps a product such as 25.000000000000004 from being rounded up to 26.
    least = math.ceil(settings.min_power_percent * max(scale, 1.0) - 1e-9)
    wanted = max(round(abs(power_percent) * scale), least)
    return int(math.copysign(min(wanted, settings.max_power_percent), power_percent))


def weak_since(since_s: float | None, voltage_mv: int | None, limit_mv: int, now_s: float) -> float | None:
    """Return since when the voltage has been below a limit; None while it is not, or is unknown.

    `since_s` is what the last call returned. A motor that starts pulls the voltage down for a moment: wait for a
    while before you stop the train.
    """
    if voltage_mv is None or voltage_mv >= limit_mv:
        return None
    return now_s if since_s is None else since_s


def _scale(voltage_mv: int | None, settings: HubSettings) -> float:
    """Return how much more duty than at nominal voltage the same motor voltage needs."""
    if not settings.battery_compensation or voltage_mv is None or voltage_mv not in PLAUSIBLE_MV:
        return 1.0
    return settings.nominal_voltage_mv / voltage_mv
