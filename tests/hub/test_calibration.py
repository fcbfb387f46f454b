"""Calibration of the dead band: the ramp, the person's confirmation and the result."""

import asyncio
import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, strategies as st

from edge_agent.config.control import HubSettings
from edge_agent.control.power import compensate
from edge_agent.errors import FatalError, RetryableError
from edge_agent.hub.calibration import (
    FIRST_PERCENT,
    LAST_PERCENT,
    STEP_PERCENT,
    CalibrationRound,
    calibrate,
    dead_band,
    enter_key,
    ramp_until_moving,
    write_profile,
)
from edge_agent.hub.mock import MockHub
from edge_agent.simulation.clock import run_virtual

SETTINGS = HubSettings(nominal_voltage_mv=8_000)


def test_worst_round_counts() -> None:
    assert (
        dead_band([CalibrationRound(20, 8000), CalibrationRound(26, 8000), CalibrationRound(22, 8000)], SETTINGS) == 26
    )


def test_low_battery_while_measuring_makes_the_dead_band_smaller_at_nominal_voltage() -> None:
    assert dead_band([CalibrationRound(30, 6400)], SETTINGS) == 24


def test_missing_voltage_counts_as_nominal() -> None:
    assert dead_band([CalibrationRound(21, None)], SETTINGS) == 21


def test_no_round_is_no_result() -> None:
    with pytest.raises(ValueError, match="no rounds"):
        dead_band([], SETTINGS)


@given(st.integers(6, 60), st.integers(6000, 8000))
def test_power_written_at_the_measured_voltage_is_never_less_than_what_moved_the_train(
    power_percent: int, voltage_mv: int
) -> None:
    """Calibration and compensation must agree on what the dead band is."""
    percent = dead_band([CalibrationRound(power_percent, voltage_mv)], SETTINGS)
    settings = SETTINGS.model_copy(update={"min_power_percent": percent})
    assert compensate(1, voltage_mv, settings) >= power_percent


def test_power_rises_by_steps_until_confirmed_then_the_train_is_braked() -> None:
    async def main() -> tuple[MockHub, CalibrationRound]:
        async with MockHub(voltage_mv=7_500) as hub:
            moved = asyncio.Event()
            asyncio.get_running_loop().call_later(2.0, moved.set)
            return hub, await ramp_until_moving(hub, moved, step_s=0.8)

    hub, found = run_virtual(main())
    powers = [write.value for write in hub.log if write.kind == "drive"]
    assert powers == [FIRST_PERCENT, FIRST_PERCENT + STEP_PERCENT, FIRST_PERCENT + 2 * STEP_PERCENT]
    assert found == CalibrationRound(FIRST_PERCENT + 2 * STEP_PERCENT, 7_500)
    assert hub.log[-1].kind == "brake"


def test_no_confirmation_ends_at_the_last_step_with_a_brake() -> None:
    async def main() -> MockHub:
        async with MockHub() as hub:
            with pytest.raises(RetryableError, match="green button"):
                await ramp_until_moving(hub, asyncio.Event(), step_s=0.1)
            assert hub.log[-1].kind == "brake"
            return hub

    hub = run_virtual(main())
    assert max(write.value for write in hub.log if isinstance(write.value, int)) == LAST_PERCENT


def test_green_button_counts_and_an_old_press_does_not() -> None:
    async def main() -> tuple[CalibrationRound, ...]:
        async with MockHub() as hub:
            loop = asyncio.get_running_loop()
            loop.call_later(0.5, hub.press_button)
            loop.call_later(1.2, hub.press_button)  # between the rounds
            loop.call_later(4.0, hub.press_button)  # the second one began at 1.5 s
            return await calibrate(hub, 2, asyncio.Event(), lambda _number, _round: None, step_s=1.0)

    first, second = run_virtual(main())
    assert (first.power_percent, second.power_percent) == (FIRST_PERCENT, FIRST_PERCENT + 2 * STEP_PERCENT)


def test_profile_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert write_profile(path, [CalibrationRound(20, 8000)], SETTINGS) > 0
    before = path.read_bytes()
    with (
        mock.patch("pathlib.Path.replace", side_effect=OSError(28, "No space left on device")),
        pytest.raises(FatalError, match=r"mine\.yaml could not be written: No space left"),
    ):
        write_profile(path, [CalibrationRound(30, 8000)], SETTINGS)
    assert [path] == list(tmp_path.iterdir())
    assert path.read_bytes() == before


async def test_line_from_a_pipe_counts_as_enter() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as stream:
        moved = asyncio.Event()
        async with enter_key(stream, moved):
            os.write(writing, b"\n")
            async with asyncio.timeout(10):
                await moved.wait()
        os.close(writing)


async def test_input_that_has_ended_does_not_count_and_is_not_watched_any_more() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as stream:
        moved = asyncio.Event()
        async with enter_key(stream, moved):
            await asyncio.sleep(0.01)
            assert not moved.is_set()
            assert not asyncio.get_running_loop().remove_reader(stream)


async def test_input_that_cannot_be_waited_for_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text("\n")
    with path.open() as stream:
        moved = asyncio.Event()
        async with enter_key(stream, moved):
            assert not moved.is_set()
