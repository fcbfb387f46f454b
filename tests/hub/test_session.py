"""Session: what is written after connecting and in which order, what is told, and how it ends."""

import asyncio

import pytest

from edge_agent.errors import RetryableError
from edge_agent.hub.errors import NO_MOTOR, HubError
from edge_agent.hub.lwp3 import (
    Alert,
    AlertOperation,
    Colour,
    DeviceType,
    HubAction,
    HubActionType,
    HubAlertRequest,
    HubAlertUpdate,
    HubProperty,
    HubPropertyUpdate,
    InputFormatSetup,
    OutputCommand,
    PortAttached,
    PortDetached,
)
from edge_agent.hub.session import MOTOR_LIMIT_S
from edge_agent.ports import HubEvent
from edge_agent.simulation.clock import run_virtual

from .fakes import CITY_HUB
from .told import Told, during, nothing


def test_first_write_on_an_unknown_hub_brakes_both_ports() -> None:
    told = Told()
    during(told, nothing)
    assert told.motor_writes[:2] == [(0, 127), (1, 127)]
    assert isinstance(told.connection.taken[0][1], OutputCommand)
    assert isinstance(told.connection.taken[1][1], OutputCommand)


def test_first_write_on_a_known_hub_brakes_its_motor_only() -> None:
    told = Told(motor_port=0)
    during(told, nothing)
    assert told.motor_writes == [(0, 127)]


def test_motor_that_was_moved_to_another_port_is_braked_before_it_is_ready() -> None:
    told = Told({1: DeviceType.TRAIN_MOTOR}, motor_port=0)
    during(told, nothing)
    assert told.motor_writes == [(0, 127), (1, 127)]
    assert told.ups == [len(told.connection.taken)]


def test_alerts_are_enabled_before_the_hub_counts_as_connected() -> None:
    told = Told()
    during(told, nothing)
    enabled = {
        message.alert
        for _, message in told.connection.taken[: told.ups[0]]
        if isinstance(message, HubAlertRequest) and message.operation is AlertOperation.ENABLE_UPDATES
    }
    assert enabled == set(Alert)


def test_sensors_are_set_up_when_they_are_announced() -> None:
    told = Told({**CITY_HUB, 60: DeviceType.VOLTAGE_SENSOR, 59: DeviceType.CURRENT_SENSOR})
    during(told, nothing)
    setups = [message for _, message in told.connection.taken if isinstance(message, InputFormatSetup)]
    assert {setup.port for setup in setups if setup.notify} == {59, 60}


def test_motor_light_and_colour_go_to_the_ports_that_were_announced() -> None:
    async def story(told: Told) -> None:
        del told.connection.taken[:]
        await told.session.motion.drive(55)
        await told.session.light(80)
        await told.session.show(Colour.RED)

    told = Told({1: DeviceType.TRAIN_MOTOR, 0: DeviceType.LIGHT, 50: DeviceType.RGB_LIGHT})
    during(told, story)
    assert told.motor_writes[:3] == [(1, 55), (0, 80), (50, Colour.RED)]


def test_hub_without_lights_takes_light_commands_in_silence() -> None:
    async def story(told: Told) -> None:
        written = len(told.connection.taken)
        await told.session.light(80)
        await told.session.show(Colour.RED)
        assert len(told.connection.taken) == written

    during(Told({0: DeviceType.TRAIN_MOTOR}), story)


def test_no_motor_is_told_once_and_waited_for() -> None:
    told = Told({1: DeviceType.LIGHT})

    async def main() -> None:
        running = asyncio.ensure_future(told.session.run(told.up, told.down))
        await asyncio.sleep(60)
        assert [error.code for error in told.troubles if isinstance(error, HubError)] == [NO_MOTOR]
        assert told.ups == []
        assert not told.session.status().connected
        told.connection.tell(PortAttached(0, DeviceType.TRAIN_MOTOR))
        await asyncio.sleep(1)
        assert told.session.status().connected
        told.connection.drop("end")
        await running

    run_virtual(main())
    assert len(told.ups) == 1
    assert MOTOR_LIMIT_S < 60


def test_hub_that_announces_nothing_is_let_go_for_a_fresh_link() -> None:
    told = Told({})

    async def main() -> float:
        await told.session.run(told.up, told.down)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(MOTOR_LIMIT_S)
    assert "plugged in" in told.connection.reason
    assert (told.ups, told.troubles) == ([], [])


def test_motor_unplugged_ends_the_link() -> None:
    async def story(told: Told) -> None:
        told.connection.tell(PortDetached(0))
        assert told.connection.reason == "the motor was unplugged"

    during(Told(), story)


def test_light_unplugged_changes_nothing() -> None:
    async def story(told: Told) -> None:
        told.connection.tell(PortDetached(1))
        assert not told.connection.lost.is_set()
        await told.session.light(50)

    during(Told(), story)


@pytest.mark.parametrize(
    "action", [HubActionType.WILL_SWITCH_OFF, HubActionType.WILL_DISCONNECT, HubActionType.WILL_ENTER_BOOT_MODE]
)
def test_farewell_ends_the_link(action: HubActionType) -> None:
    async def story(told: Told) -> None:
        told.connection.tell(HubAction(action))
        assert told.connection.lost.is_set()

    during(Told(), story)


def test_button_is_told_once_for_each_press() -> None:
    async def story(told: Told) -> None:
        for pressed in (True, True, False, True):
            told.connection.tell(HubPropertyUpdate(HubProperty.BUTTON, pressed))

    told = Told()
    during(told, story)
    assert told.events == [HubEvent("button_pressed")] * 2


def test_alert_is_told_when_it_is_raised_and_stays_in_the_status_until_it_is_over() -> None:
    async def story(told: Told) -> None:
        told.connection.tell(HubAlertUpdate(Alert.LOW_VOLTAGE, raised=True))
        told.connection.tell(HubAlertUpdate(Alert.LOW_VOLTAGE, raised=True))
        assert told.session.status().alerts == {"low_voltage"}
        told.connection.tell(HubAlertUpdate(Alert.LOW_VOLTAGE, raised=False))
        assert told.session.status().alerts == frozenset()

    told = Told()
    during(told, story)
    assert told.events == [HubEvent("alert", "low_voltage")]


def test_brake_is_confirmed_by_the_hub_and_not_by_us() -> None:
    async def story(told: Told) -> None:
        await told.session.motion.drive(50)
        await asyncio.sleep(0)
        told.connection.confirms = False
        await told.session.motion.brake()
        await asyncio.sleep(0.05)
        assert not told.session.status().brake_confirmed
        told.connection.confirms = True
        await told.session.motion.brake()
        await asyncio.sleep(0.05)
        await told.session.motion.brake()
        await asyncio.sleep(0.05)
        assert told.session.status().brake_confirmed

    during(Told(), story)


@pytest.mark.parametrize("raw", [b"", b"\x05", b"\x05\x00\x45", b"\xff" * 40, bytes(3)])
def test_malformed_notification_is_counted_and_does_no_harm(raw: bytes) -> None:
    async def story(told: Told) -> None:
        told.connection.tell_bytes(raw)
        assert sum(told.session.decoder.malformed.values()) == 1
        await told.session.motion.drive(40)

    during(Told(), story)


def test_link_lost_while_opening_ends_the_session_without_it_coming_up() -> None:
    told = Told({})

    async def main() -> None:
        running = asyncio.ensure_future(told.session.run(told.up, told.down))
        await asyncio.sleep(0.01)
        told.connection.drop("out of range")
        await running

    run_virtual(main())
    assert (told.ups, told.downs) == ([], 0)


def test_link_lost_is_told_before_a_write_that_hangs_is_cleaned_up() -> None:
    told = Told()
    lost_s: list[float] = []

    async def main() -> None:
        running = asyncio.ensure_future(told.session.run(told.up, lambda: lost_s.append(loop.time())))
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1)
        told.connection.hang = True
        told.connection.tell(PortAttached(60, DeviceType.VOLTAGE_SENSOR))  # has something to be written
        await asyncio.sleep(0.05)
        told.connection.drop("gone")
        await running

    run_virtual(main())
    assert lost_s == [1.05]


def test_hub_that_takes_no_write_is_given_up_within_500_ms_of_connecting() -> None:
    told = Told()
    told.connection.hang = True

    async def main() -> float:
        with pytest.raises(RetryableError):
            await told.session.run(told.up, told.down)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) <= 0.5
    assert told.connection.lost.is_set()


def test_session_that_ends_leaves_no_task_behind() -> None:
    told = Told()

    async def main() -> None:
        running = asyncio.ensure_future(told.session.run(told.up, told.down))
        await asyncio.sleep(1)
        await told.session.motion.drive(40)
        await asyncio.sleep(1)
        told.connection.drop("end")
        await running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())
