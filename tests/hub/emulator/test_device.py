"""EmulatedHub: its notifications, and what happens when the link is lost."""

import pytest

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import LIGHT_PORT, MOTOR_PORT, EmulatedHub, HubProfile, MotorSetting
from edge_agent.hub.emulator.objects import advertised
from edge_agent.hub.emulator.protocol import handle_write
from edge_agent.hub.lwp3 import (
    COMPANY_ID,
    Advertisement,
    Alert,
    AlertOperation,
    DeviceType,
    GenericError,
    HubAction,
    HubActionType,
    HubAlertRequest,
    HubAlertUpdate,
    HubModel,
    HubProperty,
    HubPropertyRequest,
    HubPropertyUpdate,
    InputFormat,
    InputFormatSetup,
    Malformed,
    Message,
    PortAttached,
    PortDetached,
    PortValue,
    PropertyOperation,
    brake,
    decode,
    decode_advertisement,
    encode,
    initial_requests,
    port_setup,
    start_power,
)

VOLTAGE_PORT = 60


def write(hub: EmulatedHub, *messages: Message, now_s: float = 0.0) -> list[Message]:
    """Write messages to a hub; return all that it notifies."""
    return [answer for message in messages for answer in handle_write(hub, encode(message), now_s)]


def model_after_handshake(hub: EmulatedHub) -> HubModel:
    """Run the agent's initial requests; return the resulting model."""
    model = HubModel()
    announced = hub.start_session()
    received = announced + write(hub, *initial_requests())
    for port in announced:
        assert isinstance(port, PortAttached)
        received += write(hub, *port_setup(port))
    for message in received:
        read = decode(encode(message))  # over the wire
        assert not isinstance(read, Malformed | GenericError)
        model = model.with_notification(read)
    return model


def test_handshake_fills_the_whole_model() -> None:
    model = model_after_handshake(EmulatedHub())
    assert (model.motor_port, model.light_port, model.rgb_port) == (MOTOR_PORT, LIGHT_PORT, 50)
    assert (model.name, model.battery_percent, model.rssi_dbm) == ("Train hub", 100, -52)
    assert model.voltage_mv == pytest.approx(9000, abs=2)
    assert model.current_ma == pytest.approx(40, abs=1)
    assert (model.system_type, model.firmware) == (0x41, "1.1.00.0004")


def test_watcher_that_unsubscribes_gets_no_more() -> None:
    seen: list[MotorSetting] = []
    hub = EmulatedHub()
    leave_off = hub.watch(lambda setting, _now_s: seen.append(setting))
    write(hub, start_power(0, 60))
    leave_off()
    write(hub, brake(0))
    assert seen == [MotorSetting(CommandKind.DRIVE, 60)]


@pytest.mark.parametrize(("runs_on", "kind"), [(False, CommandKind.COAST), (True, CommandKind.DRIVE)])
def test_lost_link_halts_the_motor_or_not(runs_on: bool, kind: CommandKind) -> None:
    hub = EmulatedHub(runs_on=runs_on)
    write(hub, start_power(0, 60))
    hub.link_lost(1.0)
    assert hub.motor.kind is kind


def test_lost_link_leaves_a_brake_on() -> None:
    hub = EmulatedHub()
    write(hub, start_power(0, 60), brake(0))
    hub.link_lost(1.0)
    assert hub.motor == MotorSetting(CommandKind.BRAKE)


def test_button_is_sent_only_where_it_was_enabled() -> None:
    hub = EmulatedHub()
    assert hub.press_button() == []
    write(hub, HubPropertyRequest(HubProperty.BUTTON, PropertyOperation.ENABLE_UPDATES))
    assert hub.press_button(pressed=False) == [HubPropertyUpdate(HubProperty.BUTTON, False)]
    write(hub, HubPropertyRequest(HubProperty.BUTTON, PropertyOperation.DISABLE_UPDATES))
    assert hub.press_button() == []
    advertisement = decode_advertisement(advertised(hub, 0)["ManufacturerData"].value[COMPANY_ID].value)
    assert isinstance(advertisement, Advertisement)
    assert advertisement.button_pressed


def test_alert_is_sent_only_at_changes_and_where_it_was_enabled() -> None:
    hub = EmulatedHub()
    assert hub.set_alert(Alert.OVER_POWER) == []
    ask = HubAlertRequest(Alert.OVER_POWER, AlertOperation.REQUEST_UPDATE)
    assert write(hub, ask) == [HubAlertUpdate(Alert.OVER_POWER, True)]
    assert write(hub, HubAlertRequest(Alert.OVER_POWER, AlertOperation.ENABLE_UPDATES)) == []
    assert hub.set_alert(Alert.OVER_POWER) == []
    assert hub.set_alert(Alert.OVER_POWER, raised=False) == [HubAlertUpdate(Alert.OVER_POWER, False)]
    write(hub, HubAlertRequest(Alert.OVER_POWER, AlertOperation.DISABLE_UPDATES))
    assert hub.set_alert(Alert.OVER_POWER) == []


def test_battery_weakening_is_sent_as_percent_voltage_and_alert() -> None:
    hub = EmulatedHub()
    model = model_after_handshake(hub)
    for message in hub.set_battery(9.0):
        model = model.with_notification(message)
    assert model.battery_percent == 9
    assert model.voltage_mv == pytest.approx(6270, abs=2)
    assert model.alerts == {Alert.LOW_VOLTAGE}
    for message in hub.set_battery(95.0):
        model = model.with_notification(message)
    assert model.alerts == frozenset()


def test_motor_pulls_the_voltage_down() -> None:
    hub = EmulatedHub()
    model = model_after_handshake(hub)
    write(hub, start_power(0, 100))
    for message in hub.advance(0.1):
        model = model.with_notification(message)
    assert (model.voltage_mv, model.current_ma) == (pytest.approx(8700, abs=2), pytest.approx(440, abs=1))


def test_battery_drains_with_time_until_the_hub_switches_off() -> None:
    hub = EmulatedHub()
    hub.drain_percent_per_s = 10.0
    hub.advance(100.0)
    hub.advance(105.0)
    assert hub.battery.percent == pytest.approx(50.0)
    assert HubAction(HubActionType.WILL_SWITCH_OFF) in hub.advance(111.0)
    assert hub.leaving is HubActionType.WILL_SWITCH_OFF
    assert HubAction(HubActionType.WILL_SWITCH_OFF) not in hub.advance(112.0)


def test_battery_that_charges_is_full_in_the_end() -> None:
    hub = EmulatedHub()
    hub.drain_percent_per_s = -10.0
    hub.advance(100.0)
    hub.advance(150.0)
    assert hub.battery.percent == 100.0


def test_sensor_is_sent_again_only_when_it_moved_by_its_delta() -> None:
    hub = EmulatedHub()
    received = write(hub, InputFormatSetup(VOLTAGE_PORT, 0, 20, notify=True))
    assert [type(message) for message in received] == [InputFormat, PortValue]
    assert hub.feed(8995) == []
    assert [type(message) for message in hub.feed(8900)] == [PortValue]
    write(hub, InputFormatSetup(VOLTAGE_PORT, 0, 20, notify=False))
    assert hub.feed(6000) == []


def test_world_feeds_voltage_current_and_charge() -> None:
    hub = EmulatedHub()
    model = model_after_handshake(hub)
    for message in hub.feed(7000, 250, 33.0):
        model = model.with_notification(message)
    assert (model.voltage_mv, model.current_ma, model.battery_percent) == (
        pytest.approx(7000, abs=2),
        pytest.approx(250, abs=1),
        33,
    )


def test_plugs_moved_are_announced() -> None:
    hub = EmulatedHub(HubProfile(ports={}))
    assert hub.start_session() == []
    assert hub.unplug(3) == []
    (attached,) = hub.plug(3, DeviceType.TRAIN_MOTOR)
    assert isinstance(attached, PortAttached)
    assert (attached.port, attached.device_type) == (3, DeviceType.TRAIN_MOTOR)
    assert hub.unplug(3) == [PortDetached(3)]


def test_new_subscription_forgets_the_wishes_of_the_last() -> None:
    hub = EmulatedHub()
    model_after_handshake(hub)
    hub.start_session()
    assert hub.press_button() == []
    assert hub.set_alert(Alert.HIGH_CURRENT) == []
    assert hub.set_battery(5) == []
