"""Requests to a hub after connecting."""

from edge_agent.hub.lwp3 import (
    Alert,
    AlertOperation,
    DeviceType,
    HubAlertRequest,
    HubProperty,
    HubPropertyRequest,
    InputFormatSetup,
    ModeInformationType,
    PortAttached,
    PortModeInformationRequest,
    PropertyOperation,
    initial_requests,
    port_setup,
)


def test_introduction_enables_every_alert_before_anything_else() -> None:
    messages = initial_requests()
    assert set(messages[:4]) == {HubAlertRequest(alert, AlertOperation.ENABLE_UPDATES) for alert in Alert}


def test_introduction_follows_the_button_and_asks_for_the_present_state() -> None:
    messages = initial_requests()
    assert HubPropertyRequest(HubProperty.BUTTON, PropertyOperation.ENABLE_UPDATES) in messages
    assert HubPropertyRequest(HubProperty.BUTTON, PropertyOperation.REQUEST_UPDATE) in messages
    assert HubAlertRequest(Alert.LOW_VOLTAGE, AlertOperation.REQUEST_UPDATE) in messages


def test_introduction_asks_nothing_twice() -> None:
    assert len(set(initial_requests())) == len(initial_requests())


def test_sensor_announced_is_asked_for_its_scale_and_its_value() -> None:
    assert port_setup(PortAttached(60, DeviceType.VOLTAGE_SENSOR)) == (
        PortModeInformationRequest(60, 0, ModeInformationType.RAW),
        PortModeInformationRequest(60, 0, ModeInformationType.SI),
        InputFormatSetup(60, mode=0, delta=20, notify=True),
    )


def test_rgb_light_is_set_to_take_colours_by_number() -> None:
    assert port_setup(PortAttached(50, DeviceType.RGB_LIGHT)) == (InputFormatSetup(50, 0, 1, notify=False),)


def test_motor_and_unknown_device_need_no_setup() -> None:
    assert port_setup(PortAttached(0, DeviceType.TRAIN_MOTOR)) == ()
    assert port_setup(PortAttached(2, 0x7777)) == ()
