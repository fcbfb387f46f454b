"""The hub as the agent knows it: what each message changes, and what none may change."""

import pytest
from hypothesis import given, strategies as st

from edge_agent.events import HubStatus
from edge_agent.hub.lwp3 import (
    Alert,
    AlertOperation,
    DeviceType,
    ErrorCode,
    Feedback,
    GenericError,
    HubAction,
    HubActionType,
    HubAlertRequest,
    HubAlertUpdate,
    HubModel,
    HubProperty,
    HubPropertyUpdate,
    Malformed,
    MalformedReason,
    Message,
    ModeInformationType,
    OutputFeedback,
    PortAttached,
    PortDetached,
    PortFeedback,
    PortModeRange,
    PortValue,
    SystemType,
    Version,
    VirtualPortAttached,
    brake,
    light,
    start_power,
)
from edge_agent.hub.lwp3.model import MOTORS
from tests.hub.lwp3.strategies import MESSAGES

RAW, SI = ModeInformationType.RAW, ModeInformationType.SI
VOLTAGE_PORT = 60


def model_after(*messages: Message | Malformed, model: HubModel | None = None) -> HubModel:
    model = model or HubModel()
    for message in messages:
        model = model.with_notification(message)
    return model


def volts(raw: int) -> PortValue:
    return PortValue(VOLTAGE_PORT, raw.to_bytes(2, "little", signed=True))


CITY = model_after(
    PortAttached(0, DeviceType.TRAIN_MOTOR),
    PortAttached(1, DeviceType.LIGHT),
    PortAttached(50, DeviceType.RGB_LIGHT),
    PortAttached(59, DeviceType.CURRENT_SENSOR),
    PortAttached(VOLTAGE_PORT, DeviceType.VOLTAGE_SENSOR),
)
DONE = OutputFeedback((PortFeedback(0, Feedback.COMPLETED | Feedback.IDLE),))


def test_hub_that_has_sent_nothing_is_unknown() -> None:
    model = HubModel()
    assert model.status(connected=False) == HubStatus(connected=False)
    assert (model.motor_port, model.light_port, model.rgb_port, model.brake_confirmed) == (None, None, None, False)


def test_properties_received_are_known() -> None:
    model = model_after(
        HubPropertyUpdate(HubProperty.NAME, "Train hub"),
        HubPropertyUpdate(HubProperty.FIRMWARE_VERSION, Version.of("1.1.00.0004")),
        HubPropertyUpdate(HubProperty.HARDWARE_VERSION, Version.of("0.4.00.0000")),
        HubPropertyUpdate(HubProperty.BATTERY_PERCENT, 87),
        HubPropertyUpdate(HubProperty.RSSI, -60),
        HubPropertyUpdate(HubProperty.BUTTON, True),
        HubPropertyUpdate(HubProperty.SYSTEM_TYPE, SystemType.CITY),
        HubPropertyUpdate(HubProperty.MAC_ADDRESS, "90:84:2B:60:33:70"),
        HubPropertyUpdate(HubProperty.MANUFACTURER, "of no interest"),
    )
    assert (model.firmware, model.hardware) == ("1.1.00.0004", "0.4.00.0000")
    assert (model.system_type, model.address) == (0x41, "90:84:2B:60:33:70")
    assert model.status(connected=True) == HubStatus(
        connected=True, battery_percent=87, rssi_dbm=-60, button_pressed=True, name="Train hub"
    )


def test_alerts_come_and_go_one_by_one() -> None:
    model = model_after(HubAlertUpdate(Alert.LOW_VOLTAGE, True), HubAlertUpdate(Alert.HIGH_CURRENT, True))
    model = model_after(HubAlertUpdate(Alert.LOW_VOLTAGE, False), HubAlertUpdate(Alert.OVER_POWER, False), model=model)
    assert model.alerts == {Alert.HIGH_CURRENT}
    assert model.status(connected=True).alerts == {"high_current"}


def test_ports_are_taken_from_what_the_hub_announces() -> None:
    assert (CITY.motor_port, CITY.light_port, CITY.rgb_port) == (0, 1, 50)
    swapped = model_after(PortAttached(1, DeviceType.TRAIN_MOTOR), PortAttached(0, DeviceType.LIGHT))
    assert (swapped.motor_port, swapped.light_port) == (1, 0)


@pytest.mark.parametrize("kind", MOTORS)
def test_motor_of_any_known_kind_drives(kind: DeviceType) -> None:
    assert model_after(PortAttached(3, kind)).motor_port == 3


def test_train_motor_goes_before_other_motors_and_the_lower_port_before_the_higher() -> None:
    model = model_after(
        PortAttached(0, DeviceType.LARGE_MOTOR), PortAttached(3, DeviceType.TRAIN_MOTOR), PortAttached(2, 0x02)
    )
    assert model.motor_port == 2


def test_virtual_port_with_a_motor_counts_as_a_motor() -> None:
    assert model_after(VirtualPortAttached(16, DeviceType.TRAIN_MOTOR, 0, 1)).motor_port == 16


def test_motor_unplugged_is_gone_with_its_commands() -> None:
    model = CITY.with_command(brake(0), 0.0).with_notification(DONE)
    assert model.brake_confirmed
    model = model.with_notification(PortDetached(0))
    assert (model.motor_port, model.brake_confirmed) == (None, False)
    assert not model.with_notification(PortAttached(0, DeviceType.TRAIN_MOTOR)).brake_confirmed


def test_brake_is_confirmed_by_feedback_from_the_motors_port_only() -> None:
    model = CITY.with_command(brake(0), 0.0)
    elsewhere = OutputFeedback((PortFeedback(1, Feedback.COMPLETED), PortFeedback(7, Feedback.COMPLETED)))
    assert not model.with_notification(elsewhere).brake_confirmed
    assert model.with_notification(DONE).brake_confirmed
    assert model.with_notification(DONE).status(connected=True).brake_confirmed
    assert not model.with_notification(DONE).with_command(start_power(0, 30), 1.0).brake_confirmed


def test_light_commands_leave_the_brake_confirmed() -> None:
    model = CITY.with_command(brake(0), 0.0).with_notification(DONE).with_command(light(1, 100), 0.1)
    assert model.brake_confirmed
    assert model.output(1).power == 100


def test_messages_written_that_move_nothing_change_nothing() -> None:
    assert CITY.with_command(HubAlertRequest(Alert.LOW_VOLTAGE), 0.0) == CITY


@pytest.mark.parametrize(("raw", "voltage_mv"), [(3893, 9600), (3500, 8631), (0, 0), (-5, 0)])
def test_voltage_of_a_city_hub_is_scaled(raw: int, voltage_mv: int) -> None:
    assert model_after(volts(raw), model=CITY).voltage_mv == voltage_mv


def test_current_of_a_city_hub_is_scaled() -> None:
    assert model_after(PortValue(59, (4095).to_bytes(2, "little")), model=CITY).current_ma == 2444


def test_technic_hub_has_scales_of_its_own() -> None:
    model = model_after(HubPropertyUpdate(HubProperty.SYSTEM_TYPE, SystemType.TECHNIC), model=CITY)
    assert model_after(volts(4095), model=model).voltage_mv == 9615


def test_scale_that_the_hub_announced_goes_first() -> None:
    announced = (PortModeRange(VOLTAGE_PORT, 0, RAW, 0, 2705), PortModeRange(VOLTAGE_PORT, 0, SI, 0, 3300))
    assert model_after(*announced, volts(2705), model=CITY).voltage_mv == 3300
    assert model_after(announced[0], volts(3893), model=CITY).voltage_mv == 9600  # half of it is none


@pytest.mark.parametrize("maximum", [0.0, -1.0, 1e9])
def test_scale_that_makes_no_sense_is_not_taken(maximum: float) -> None:
    for kind, other in ((RAW, SI), (SI, RAW)):
        nonsense = (PortModeRange(VOLTAGE_PORT, 0, kind, 0, maximum), PortModeRange(VOLTAGE_PORT, 0, other, 0, 1000))
        assert model_after(*nonsense, volts(3893), model=CITY).voltage_mv == 9600


def test_range_of_another_mode_is_not_taken() -> None:
    ranges = (PortModeRange(VOLTAGE_PORT, 1, RAW, 0, 100), PortModeRange(VOLTAGE_PORT, 1, SI, 0, 100))
    assert model_after(*ranges, volts(3893), model=CITY).voltage_mv == 9600


def test_announced_scale_goes_with_its_sensor() -> None:
    announced = (PortModeRange(VOLTAGE_PORT, 0, RAW, 0, 2705), PortModeRange(VOLTAGE_PORT, 0, SI, 0, 3300))
    again = (PortDetached(VOLTAGE_PORT), PortAttached(VOLTAGE_PORT, DeviceType.VOLTAGE_SENSOR))
    assert model_after(*announced, *again, volts(3893), model=CITY).voltage_mv == 9600


def test_value_of_a_port_that_measures_nothing_we_want_changes_nothing() -> None:
    assert model_after(PortValue(0, b"\x05"), PortValue(33, b"\x05\x00"), model=CITY) == CITY


@pytest.mark.parametrize(
    "action", [HubActionType.WILL_SWITCH_OFF, HubActionType.WILL_DISCONNECT, HubActionType.WILL_ENTER_BOOT_MODE]
)
def test_farewell_is_noted(action: HubActionType) -> None:
    assert model_after(HubAction(action)).leaving is action


def test_action_that_is_no_farewell_changes_nothing() -> None:
    assert model_after(HubAction(HubActionType.BUSY_ON)) == HubModel()


def test_refusals_are_counted_and_the_last_is_kept() -> None:
    first, last = GenericError(0x81, ErrorCode.INVALID_USE), GenericError(0x41, ErrorCode.OVERCURRENT)
    model = model_after(first, last)
    assert (model.refusals, model.last_refusal) == (2, last)


def test_malformed_and_one_sided_messages_change_nothing() -> None:
    idle = Malformed(MalformedReason.TRUNCATED, "no bytes", b"")
    assert model_after(idle, HubAlertRequest(Alert.LOW_SIGNAL, AlertOperation.REQUEST_UPDATE), model=CITY) == CITY


@given(st.lists(MESSAGES, max_size=30))
def test_any_messages_are_folded_in_without_raising(messages: list[Message]) -> None:
    model = CITY
    for now_s, message in enumerate(messages):
        model = model.with_notification(message).with_command(message, float(now_s))
    status = model.status(connected=True)
    assert status.voltage_mv is None or status.voltage_mv >= 0


def test_model_hands_out_nothing_that_can_be_changed() -> None:
    model = CITY.with_command(brake(0), 0.0)
    for mapping in (model.ports, model.outputs, model.ranges):
        with pytest.raises(TypeError):
            mapping[0] = 1  # type: ignore[index]
