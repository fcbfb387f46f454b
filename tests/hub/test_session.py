"""HubSession: what is written after connecting and in which sequence, its events, and how it ends."""

import asyncio

import pytest
from structlog.testing import capture_logs

from edge_agent.errors import RetryableError
from edge_agent.hub.errors import NO_MOTOR, HubError
from edge_agent.hub.lwp3 import (
    Alert,
    AlertOperation,
    Colour,
    DeviceType,
    ErrorCode,
    Feedback,
    GenericError,
    HubAction,
    HubActionType,
    HubAlertRequest,
    HubAlertUpdate,
    HubProperty,
    HubPropertyUpdate,
    InputFormatSetup,
    Message,
    MessageType,
    OutputCommand,
    OutputFeedback,
    PortAttached,
    PortDetached,
    PortFeedback,
)
from edge_agent.hub.session import ANSWERS, MOTOR_LIMIT_S, SETTLED_S
from edge_agent.ports import HubEvent
from edge_agent.simulation.clock import run_virtual

from .fakes import CITY_HUB
from .session_rig import SessionRig, nothing, run_session


def feedback(flags: Feedback) -> OutputFeedback:
    """Return the motor's feedback on one command."""
    return OutputFeedback((PortFeedback(0, flags),))


def test_first_write_on_an_unknown_hub_brakes_both_ports() -> None:
    rig = SessionRig()
    run_session(rig, nothing)
    assert rig.motor_writes[:2] == [(0, 127), (1, 127)]
    assert isinstance(rig.connection.taken[0][1], OutputCommand)
    assert isinstance(rig.connection.taken[1][1], OutputCommand)


def test_first_write_on_a_known_hub_brakes_its_motor_only() -> None:
    rig = SessionRig(motor_port=0)
    run_session(rig, nothing)
    assert rig.motor_writes == [(0, 127)]


def test_motor_that_was_moved_to_another_port_is_braked_before_it_is_ready() -> None:
    rig = SessionRig({1: DeviceType.TRAIN_MOTOR}, motor_port=0)
    run_session(rig, nothing)
    assert rig.motor_writes == [(0, 127), (1, 127)]
    assert rig.opened == [len(rig.connection.taken)]


class Owed:
    """What the hub owes, in seconds since the first write of a scenario."""

    def __init__(self, rig: SessionRig) -> None:
        self.rig = rig
        self.began_s = asyncio.get_running_loop().time()

    def __call__(self) -> float | None:
        since_s = self.rig.session.status().unanswered_s
        return None if since_s is None else round(since_s - self.began_s, 3)


def test_hub_owes_an_answer_from_the_first_unanswered_motor_write_to_its_feedback() -> None:
    rig = SessionRig()
    owed: list[float | None] = []

    async def scenario(rig: SessionRig) -> None:
        await rig.session.motor.drive(30)
        await asyncio.sleep(0)
        rig.connection.confirms = False
        now = Owed(rig)
        owed.append(now())
        await rig.session.motor.drive(40)
        await asyncio.sleep(0.3)
        await rig.session.motor.drive(50)
        owed.append(now())
        rig.connection.notify(HubPropertyUpdate(HubProperty.BATTERY_PERCENT, 80))
        owed.append(now())
        rig.connection.notify(feedback(Feedback.COMPLETED))
        owed.append(now())
        await rig.session.light(50)
        owed.append(now())

    run_session(rig, scenario)
    assert owed == [None, 0.0, 0.0, None, None]


@pytest.mark.parametrize(
    "answer", [GenericError(MessageType.PORT_OUTPUT_COMMAND, 6), OutputFeedback((PortFeedback(0, Feedback.DISCARDED),))]
)
def test_refusal_is_an_answer_but_confirms_no_brake(answer: Message) -> None:
    rig = SessionRig()
    owed: list[float | None] = []

    async def scenario(rig: SessionRig) -> None:
        await rig.session.motor.drive(30)
        await asyncio.sleep(0)
        rig.connection.confirms = False
        now = Owed(rig)
        await rig.session.motor.drive(40)
        rig.connection.notify(answer)
        owed.append(now())
        await asyncio.sleep(0.05)
        await rig.session.motor.brake()
        rig.connection.notify(answer)
        owed.append(now())
        await asyncio.sleep(0.1)
        await rig.session.motor.brake()
        rig.connection.notify(feedback(Feedback.COMPLETED))
        rig.connection.notify(feedback(Feedback.COMPLETED))
        owed.append(now())

    run_session(rig, scenario)
    assert owed == [None, 0.05, None]


def test_shortest_of_the_last_answers_tells_how_quick_the_hub_is() -> None:
    rig = SessionRig()
    told: list[float] = []

    async def scenario(rig: SessionRig) -> None:
        rig.connection.confirms = False
        for answer_s, count in ((0.09, ANSWERS), (0.05, 1), (0.07, ANSWERS - 1), (0.07, 1)):
            for _ in range(count):
                await rig.session.motor.drive(40)
                await asyncio.sleep(answer_s)
                rig.connection.notify(feedback(Feedback.COMPLETED))
            told.append(round(rig.session.status().answer_s, 3))

    run_session(rig, scenario)
    assert told == [0.09, 0.05, 0.05, 0.07]


def test_alerts_are_enabled_before_the_hub_counts_as_connected() -> None:
    rig = SessionRig()
    run_session(rig, nothing)
    enabled = {
        message.alert
        for _, message in rig.connection.taken[: rig.opened[0]]
        if isinstance(message, HubAlertRequest) and message.operation is AlertOperation.ENABLE_UPDATES
    }
    assert enabled == set(Alert)


def test_sensors_are_set_up_when_they_are_announced() -> None:
    rig = SessionRig({**CITY_HUB, 60: DeviceType.VOLTAGE_SENSOR, 59: DeviceType.CURRENT_SENSOR})
    run_session(rig, nothing)
    setups = [message for _, message in rig.connection.taken if isinstance(message, InputFormatSetup)]
    assert {setup.port for setup in setups if setup.notify} == {59, 60}


def test_motor_light_and_colour_go_to_the_ports_that_were_announced() -> None:
    async def scenario(rig: SessionRig) -> None:
        del rig.connection.taken[:]
        await rig.session.motor.drive(55)
        await rig.session.light(80)
        await rig.session.show(Colour.RED)

    rig = SessionRig({1: DeviceType.TRAIN_MOTOR, 0: DeviceType.LIGHT, 50: DeviceType.RGB_LIGHT})
    run_session(rig, scenario)
    assert rig.motor_writes[:3] == [(1, 55), (0, 80), (50, Colour.RED)]


def test_hub_without_lights_takes_light_commands_in_silence() -> None:
    async def scenario(rig: SessionRig) -> None:
        written = len(rig.connection.taken)
        await rig.session.light(80)
        await rig.session.show(Colour.RED)
        assert len(rig.connection.taken) == written

    run_session(SessionRig({0: DeviceType.TRAIN_MOTOR}), scenario)


def test_no_motor_is_reported_once_and_waited_for() -> None:
    rig = SessionRig({1: DeviceType.LIGHT})

    async def main() -> None:
        running = asyncio.ensure_future(rig.session.run(rig.on_open, rig.on_close))
        await asyncio.sleep(60)
        assert [error.code for error in rig.problems if isinstance(error, HubError)] == [NO_MOTOR]
        assert rig.opened == []
        assert not rig.session.status().connected
        rig.connection.notify(PortAttached(0, DeviceType.TRAIN_MOTOR))
        await asyncio.sleep(1)
        assert rig.session.status().connected
        rig.connection.drop("end")
        await running

    run_virtual(main())
    assert len(rig.opened) == 1
    assert MOTOR_LIMIT_S < 60


def test_hub_that_announces_nothing_is_dropped_for_a_fresh_link() -> None:
    rig = SessionRig({})

    async def main() -> float:
        await rig.session.run(rig.on_open, rig.on_close)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(MOTOR_LIMIT_S)
    assert "does not announce" in rig.connection.reason
    assert (rig.opened, rig.problems) == ([], [])


def test_motor_unplugged_ends_the_link() -> None:
    async def scenario(rig: SessionRig) -> None:
        rig.connection.notify(PortDetached(0))
        assert rig.connection.reason == "the motor was unplugged"

    run_session(SessionRig(), scenario)


def test_light_unplugged_changes_nothing() -> None:
    async def scenario(rig: SessionRig) -> None:
        rig.connection.notify(PortDetached(1))
        assert not rig.connection.lost.is_set()
        await rig.session.light(50)

    run_session(SessionRig(), scenario)


@pytest.mark.parametrize(
    "action", [HubActionType.WILL_SWITCH_OFF, HubActionType.WILL_DISCONNECT, HubActionType.WILL_ENTER_BOOT_MODE]
)
def test_farewell_ends_the_link(action: HubActionType) -> None:
    async def scenario(rig: SessionRig) -> None:
        rig.connection.notify(HubAction(action))
        assert rig.connection.lost.is_set()

    run_session(SessionRig(), scenario)


def test_button_is_reported_once_for_each_press() -> None:
    async def scenario(rig: SessionRig) -> None:
        for pressed in (True, True, False, True):
            rig.connection.notify(HubPropertyUpdate(HubProperty.BUTTON, pressed))

    rig = SessionRig()
    run_session(rig, scenario)
    assert rig.events == [HubEvent("button_pressed")] * 2


def test_alert_is_reported_when_it_is_raised_and_stays_in_the_status_until_it_is_over() -> None:
    async def scenario(rig: SessionRig) -> None:
        rig.connection.notify(HubAlertUpdate(Alert.LOW_VOLTAGE, raised=True))
        rig.connection.notify(HubAlertUpdate(Alert.LOW_VOLTAGE, raised=True))
        assert rig.session.status().alerts == {"low_voltage"}
        rig.connection.notify(HubAlertUpdate(Alert.LOW_VOLTAGE, raised=False))
        assert rig.session.status().alerts == frozenset()

    rig = SessionRig()
    run_session(rig, scenario)
    assert rig.events == [HubEvent("alert", "low_voltage")]


def test_brake_is_confirmed_by_the_hub_and_not_by_us() -> None:
    async def scenario(rig: SessionRig) -> None:
        await rig.session.motor.drive(50)
        await asyncio.sleep(0)
        rig.connection.confirms = False
        await rig.session.motor.brake()
        await asyncio.sleep(0.05)
        assert not rig.session.status().brake_confirmed
        rig.connection.confirms = True
        await rig.session.motor.brake()
        await asyncio.sleep(0.05)
        await rig.session.motor.brake()
        await asyncio.sleep(0.05)
        assert rig.session.status().brake_confirmed

    run_session(SessionRig(), scenario)


@pytest.mark.parametrize("raw", [b"", b"\x05", b"\x05\x00\x45", b"\xff" * 40, bytes(3)])
def test_malformed_notification_is_counted_and_does_no_harm(raw: bytes) -> None:
    async def scenario(rig: SessionRig) -> None:
        rig.connection.notify_bytes(raw)
        assert sum(rig.session.decoder.malformed.values()) == 1
        await rig.session.motor.drive(40)

    run_session(SessionRig(), scenario)


def test_link_lost_while_opening_ends_the_session_without_it_coming_up() -> None:
    rig = SessionRig({})

    async def main() -> None:
        running = asyncio.ensure_future(rig.session.run(rig.on_open, rig.on_close))
        await asyncio.sleep(0.01)
        rig.connection.drop("out of range")
        await running

    run_virtual(main())
    assert (rig.opened, rig.closed) == ([], 0)


def test_link_lost_is_reported_before_a_write_that_hangs_is_cleaned_up() -> None:
    rig = SessionRig()
    lost_s: list[float] = []

    async def main() -> None:
        running = asyncio.ensure_future(rig.session.run(rig.on_open, lambda: lost_s.append(loop.time())))
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1)
        rig.connection.hang = True
        rig.connection.notify(PortAttached(60, DeviceType.VOLTAGE_SENSOR))  # causes a write
        await asyncio.sleep(0.05)
        rig.connection.drop("gone")
        await running

    run_virtual(main())
    assert lost_s == [1.05]


def test_hub_that_takes_no_write_is_given_up_within_500_ms_of_connecting() -> None:
    rig = SessionRig()
    rig.connection.hang = True

    async def main() -> float:
        with pytest.raises(RetryableError):
            await rig.session.run(rig.on_open, rig.on_close)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) <= 0.5
    assert rig.connection.lost.is_set()


def test_session_that_ends_leaves_no_task_behind() -> None:
    rig = SessionRig()

    async def main() -> None:
        running = asyncio.ensure_future(rig.session.run(rig.on_open, rig.on_close))
        await asyncio.sleep(1)
        await rig.session.motor.drive(40)
        await asyncio.sleep(1)
        rig.connection.drop("end")
        await running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def test_refused_and_discarded_commands_are_told() -> None:
    async def scenario(rig: SessionRig) -> None:
        rig.connection.confirms = False
        await rig.session.motor.drive(40)
        rig.connection.notify(GenericError(MessageType.PORT_OUTPUT_COMMAND, ErrorCode.INVALID_USE))
        rig.connection.notify(GenericError(MessageType.PORT_OUTPUT_COMMAND, 0x77))
        rig.connection.notify(feedback(Feedback.DISCARDED))
        for _ in range(3):
            rig.connection.notify(GenericError(MessageType.HUB_PROPERTIES, ErrorCode.INVALID_USE))

    rig = SessionRig()
    with capture_logs() as logs:
        run_session(rig, scenario)
    assert rig.events == [
        HubEvent("refused", "the hub refuses a command to a port: invalid use"),
        HubEvent("refused", "the hub refuses a command to a port: error 0x77"),
        HubEvent("refused", "the hub has discarded a command to the motor"),
    ]
    assert [(log["event"], log["message"]) for log in logs] == [("hub_refused", "0x01")], "told once"


@pytest.mark.parametrize("braked", [True, False])
def test_command_that_somebody_else_gave_is_told_and_a_braked_train_braked_again(braked: bool) -> None:
    async def scenario(rig: SessionRig) -> None:
        rig.connection.notify(feedback(Feedback.COMPLETED))  # on a first brake, late
        await asyncio.sleep(SETTLED_S)
        await (rig.session.motor.brake() if braked else rig.session.motor.drive(40))
        await asyncio.sleep(0.01)
        del rig.connection.taken[:]
        rig.connection.notify(feedback(Feedback.COMPLETED | Feedback.IDLE))
        rig.connection.notify(feedback(Feedback.IDLE))
        await asyncio.sleep(0.01)

    rig = SessionRig()
    run_session(rig, scenario)
    assert rig.events == [HubEvent("shared", "the motor was driven by somebody else")]
    assert rig.motor_writes == ([(0, 127)] if braked else [])
