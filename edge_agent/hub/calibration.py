"""Calibration of the motor's dead band, with a person's help, and the profile that stores it.

A train motor has no sensor, so a person confirms that the train moves: with the hub's green button or with Enter.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from edge_agent.config.control import HubSettings as Settings
from edge_agent.errors import RetryableError
from edge_agent.ports import Hub, HubEvent
from edge_agent.runtime.files import write_atomic

FIRST_PERCENT = 6
STEP_PERCENT = 2
LAST_PERCENT = 60
STEP_S = 0.8
"""Time on each power: a person sees the train start and presses within it."""

REST_S = 1.0
"""Pause between two rounds, in which the train stops and the battery recovers."""


@dataclass(frozen=True, slots=True)
class CalibrationRound:
    """One ramp from standstill: the power at which the train began to move, and the voltage at that moment."""

    power_percent: int
    voltage_mv: int | None


def dead_band(rounds: Sequence[CalibrationRound], settings: Settings) -> int:
    """Return the least power that moved the train in every round, in percent at nominal voltage, rounded up.

    Rounds without a voltage count as at nominal voltage. Raises ValueError without rounds.
    """
    if not rounds:
        raise ValueError("no rounds")
    scaled = [one.power_percent * (one.voltage_mv or settings.nominal_voltage_mv) for one in rounds]
    # The worst round counts: friction differs along the track.
    return max(1, math.ceil(max(scaled) / settings.nominal_voltage_mv))


async def ramp_until_moving(hub: Hub, moved: asyncio.Event, step_s: float = STEP_S) -> CalibrationRound:
    """Raise the power step by step until `moved` is set, then brake.

    Raises RetryableError when the link fails, or when no one has confirmed by the last step.
    """
    moved.clear()
    try:
        for power_percent in range(FIRST_PERCENT, LAST_PERCENT + 1, STEP_PERCENT):
            await hub.drive(power_percent)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(step_s):
                    await moved.wait()
                    return CalibrationRound(power_percent, hub.status().voltage_mv)
    finally:
        with contextlib.suppress(RetryableError):
            await hub.brake()
    raise RetryableError(
        f"No one confirmed that the train moves, up to {LAST_PERCENT} percent",
        remedy="put it on the track, and press the green button or Enter when it starts",
    )


async def calibrate(
    hub: Hub, count: int, moved: asyncio.Event, report: Callable[[int, CalibrationRound], None], step_s: float = STEP_S
) -> tuple[CalibrationRound, ...]:
    """Run `count` rounds on a connected hub and report each. The green button sets `moved`, as may the caller."""

    def on_event(event: HubEvent) -> None:
        if event.kind == "button_pressed":
            moved.set()

    hub.subscribe(on_event)
    rounds = []
    for number in range(1, count + 1):
        result = await ramp_until_moving(hub, moved, step_s)
        rounds.append(result)
        report(number, result)
        await asyncio.sleep(min(REST_S, step_s))
    return tuple(rounds)


@contextlib.asynccontextmanager
async def enter_key(stream: IO[str], moved: asyncio.Event) -> AsyncIterator[None]:
    """Set `moved` for each line from a terminal or pipe; do nothing if the stream cannot be polled."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        if stream.readline():
            moved.set()
        else:
            # At its end a stream is always readable: stop polling it.
            loop.remove_reader(stream)

    try:
        loop.add_reader(stream, read)
    except (OSError, ValueError):  # a plain file, /dev/null or a closed stream: the green button remains
        yield
        return
    try:
        yield
    finally:
        loop.remove_reader(stream)


def write_profile(path: Path, rounds: Sequence[CalibrationRound], settings: Settings) -> int:
    """Write the dead band atomically as a configuration profile; return it in percent. Raises FatalError."""
    percent = dead_band(rounds, settings)
    powers = ", ".join(f"{one.power_percent} % at {one.voltage_mv or '?'} mV" for one in rounds)
    text = (
        f"# Measured {datetime.now(UTC):%Y-%m-%d} by `edge-agent hub calibrate`: the train began to move at {powers}.\n"
        f"# min_power_percent is the worst of them at {settings.nominal_voltage_mv} mV.\n"
        f"hub:\n  min_power_percent: {percent}\n  nominal_voltage_mv: {settings.nominal_voltage_mv}\n"
    )
    write_atomic(path, text.encode())
    return percent
