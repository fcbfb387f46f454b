"""The emulated hub without any I/O: what it does with each message, and what it answers."""

import pytest
from hypothesis import given, strategies as st

from edge_agent.events import CommandKind
from edge_agent.hub.emulator import LIGHT_PORT, MOTOR_PORT, EmulatedHub, MotorSetting
from edge_agent.hub.emulator.device import OutputRefusal
from edge_agent.hub.emulator.protocol import drive_elsewhere, handle_write
from edge_agent.hub.lwp3 import (
    Colour,
    ErrorCode,
    Feedback,
    GenericError,
    HubAction,
    HubActionType,
    HubProperty,
    HubPropertyRequest,
    HubPropertySet,
    HubPropertyUpdate,
    InformationType,
    InputFormatSetup,
    Message,
    MessageType,
    ModeInformationType,
    OutputCommand,
    OutputFeedback,
    PortDetached,
    PortFeedback,
    PortInformationRequest,
    PortModeCombinations,
    PortModeInformationRequest,
    PortModeRange,
    PortModes,
    PortValue,
    PropertyOperation,
    brake,
    coast,
    decode,
    encode,
    light,
    show_colour,
    start_power,
)

VOLTAGE_PORT, CURRENT_PORT = 60, 59
MOTOR_DONE = OutputFeedback((PortFeedback(MOTOR_PORT, Feedback.COMPLETED | Feedback.IDLE),))


def write(hub: EmulatedHub, *messages: Message, now_s: float = 0.0) -> list[Message]:
    """Write messages to a hub; return all that it notifies."""
    return [answer for message in messages for answer in handle_write(hub, encode(message), now_s)]


def test_motor_is_turned_and_watched_with_the_time_of_the_write() -> None:
    seen: list[tuple[MotorSetting, float]] = []
    hub = EmulatedHub(on_motor=lambda setting, now_s: seen.append((setting, now_s)))
    for now_s, command in enumerate((start_power(0, 60), start_power(0, -30), coast(0), brake(0), brake(0))):
        assert write(hub, command, now_s=float(now_s)) == [MOTOR_DONE]
    assert seen == [
        (MotorSetting(CommandKind.DRIVE, 60), 0.0),
        (MotorSetting(CommandKind.DRIVE, -30), 1.0),
        (MotorSetting(CommandKind.COAST), 2.0),
        (MotorSetting(CommandKind.BRAKE), 3.0),
        (MotorSetting(CommandKind.BRAKE), 4.0),
    ]


def test_command_that_asks_for_no_feedback_gets_none() -> None:
    hub = EmulatedHub()
    assert write(hub, OutputCommand(0, 0, b"\x32", feedback=False)) == []
    assert hub.motor == MotorSetting(CommandKind.DRIVE, 50)


def test_lights_are_lit() -> None:
    hub = EmulatedHub()
    write(hub, light(LIGHT_PORT, 40), show_colour(50, Colour.GREEN))
    assert (hub.light_percent, hub.colour) == (40, Colour.GREEN)
    write(hub, brake(LIGHT_PORT))
    assert hub.light_percent == 100


@pytest.mark.parametrize(
    "command",
    [
        start_power(7, 50),
        OutputCommand(MOTOR_PORT, 0, b"\x70"),
        OutputCommand(MOTOR_PORT, 0, b"\x10\x20"),
        OutputCommand(50, 0, b"\x33"),
        OutputCommand(LIGHT_PORT, 0, b"\x80"),
        OutputCommand(VOLTAGE_PORT, 0, b"\x01"),
    ],
    ids=["empty port", "power 112", "two bytes", "colour 51", "brightness -128", "sensor"],
)
def test_output_that_a_port_cannot_take_is_refused(command: OutputCommand) -> None:
    hub = EmulatedHub()
    assert write(hub, command) == [GenericError(MessageType.PORT_OUTPUT_COMMAND, ErrorCode.INVALID_USE)]
    assert hub.motor == MotorSetting()


@pytest.mark.parametrize(
    ("raw", "command"), [("0300ee", 0xEE), ("0500", 0), ("", 0), ("0800810011070064", 0x81), ("06004500112233", 0x45)]
)
def test_bytes_that_are_no_message_are_refused(raw: str, command: int) -> None:
    refused = handle_write(EmulatedHub(), bytes.fromhex(raw), 0.0)
    assert refused == [GenericError(command, ErrorCode.COMMAND_NOT_RECOGNISED)]


def test_message_that_only_hubs_send_is_refused() -> None:
    refused = write(EmulatedHub(), PortDetached(0))
    assert refused == [GenericError(MessageType.HUB_ATTACHED_IO, ErrorCode.COMMAND_NOT_RECOGNISED)]


@given(st.binary(max_size=24))
def test_any_bytes_are_answered_without_raising(raw: bytes) -> None:
    for message in handle_write(EmulatedHub(), raw, 0.0):
        assert decode(encode(message)) == message


def test_name_is_set_and_reset() -> None:
    hub = EmulatedHub()
    assert write(hub, HubPropertySet(HubProperty.NAME, "Express")) == []
    ask = HubPropertyRequest(HubProperty.NAME)
    assert write(hub, ask) == [HubPropertyUpdate(HubProperty.NAME, "Express")]
    write(hub, HubPropertyRequest(HubProperty.NAME, PropertyOperation.RESET))
    assert write(hub, ask) == [HubPropertyUpdate(HubProperty.NAME, "Train hub")]


def test_property_that_cannot_be_set_or_read_is_refused() -> None:
    refused = [GenericError(MessageType.HUB_PROPERTIES, ErrorCode.INVALID_USE)]
    assert write(EmulatedHub(), HubPropertySet(HubProperty.RSSI, -40)) == refused
    assert write(EmulatedHub(), HubPropertyRequest(HubProperty.NETWORK_FAMILY)) == refused


@pytest.mark.parametrize("setup", [InputFormatSetup(33, 0, 1, notify=True), InputFormatSetup(MOTOR_PORT, 1, 1, True)])
def test_input_format_that_a_port_has_not_is_refused(setup: InputFormatSetup) -> None:
    assert write(EmulatedHub(), setup) == [GenericError(MessageType.PORT_INPUT_FORMAT_SETUP, ErrorCode.INVALID_USE)]


def test_port_information_is_what_a_city_hub_sends() -> None:
    hub = EmulatedHub()
    modes, value, combinations = (
        InformationType.MODE_INFORMATION,
        InformationType.VALUE,
        InformationType.MODE_COMBINATIONS,
    )
    assert write(hub, PortInformationRequest(VOLTAGE_PORT, modes)) == [PortModes(VOLTAGE_PORT, 2, 2, 3, 0)]
    assert write(hub, PortInformationRequest(MOTOR_PORT, modes)) == [PortModes(MOTOR_PORT, 1, 1, 0, 1)]
    assert write(hub, PortInformationRequest(VOLTAGE_PORT, combinations)) == [PortModeCombinations(VOLTAGE_PORT)]
    assert write(hub, PortInformationRequest(CURRENT_PORT, value)) == [PortValue(CURRENT_PORT, bytes((67, 0)))]
    refused = [GenericError(MessageType.PORT_INFORMATION_REQUEST, ErrorCode.INVALID_USE)]
    assert write(hub, PortInformationRequest(33, value)) == refused


def test_mode_information_exists_for_sensors_only() -> None:
    hub = EmulatedHub()
    si = ModeInformationType.SI
    assert write(hub, PortModeInformationRequest(VOLTAGE_PORT, 1, si)) == [PortModeRange(VOLTAGE_PORT, 1, si, 0, 9600)]
    refused = [GenericError(MessageType.PORT_MODE_INFORMATION_REQUEST, ErrorCode.INVALID_USE)]
    assert write(hub, PortModeInformationRequest(MOTOR_PORT, 0, si)) == refused
    assert write(hub, PortModeInformationRequest(VOLTAGE_PORT, 2, si)) == refused
    assert write(hub, PortModeInformationRequest(VOLTAGE_PORT, 0, ModeInformationType.MOTOR_BIAS)) == refused


@pytest.mark.parametrize(
    ("action", "farewell"),
    [
        (HubActionType.DISCONNECT, HubActionType.WILL_DISCONNECT),
        (HubActionType.SWITCH_OFF, HubActionType.WILL_SWITCH_OFF),
        (HubActionType.SHUT_DOWN_NOW, HubActionType.WILL_SWITCH_OFF),
    ],
)
def test_hub_asked_to_leave_announces_it(action: HubActionType, farewell: HubActionType) -> None:
    hub = EmulatedHub()
    assert write(hub, HubAction(action)) == [HubAction(farewell)]
    assert hub.leaving is farewell


def test_action_without_consequence_is_taken_in_silence() -> None:
    hub = EmulatedHub()
    assert write(hub, HubAction(HubActionType.BUSY_ON)) == []
    assert hub.leaving is None


@pytest.mark.parametrize(
    ("data", "colour"), [(b"\xff\x00\x00", Colour.RED), (b"\x00\xf0\x10", Colour.GREEN), (b"\x00\x00\x00", Colour.OFF)]
)
def test_light_of_the_hub_takes_three_bytes_in_its_second_mode(data: bytes, colour: Colour) -> None:
    hub = EmulatedHub()
    assert write(hub, InputFormatSetup(50, mode=1, delta=1, notify=False)) != []
    assert write(hub, OutputCommand(50, 1, data)) == [
        OutputFeedback((PortFeedback(50, Feedback.COMPLETED | Feedback.IDLE),))
    ]
    assert hub.colour is colour
    assert write(hub, PortInformationRequest(50, InformationType.MODE_INFORMATION)) == [PortModes(50, 1, 2, 0, 3)]


@pytest.mark.parametrize(("mode", "data"), [(1, b"\xff"), (2, b"\xff\x00\x00"), (0, b"\xff\x00\x00")])
def test_light_of_the_hub_refuses_what_does_not_fit_its_modes(mode: int, data: bytes) -> None:
    assert write(EmulatedHub(), OutputCommand(50, mode, data)) == [
        GenericError(MessageType.PORT_OUTPUT_COMMAND, ErrorCode.INVALID_USE)
    ]


def test_hub_that_has_locked_up_does_nothing_and_its_motor_goes_on() -> None:
    hub = EmulatedHub()
    write(hub, start_power(0, 60))
    hub.locked_up = True
    assert write(hub, brake(0)) == []
    assert hub.motor.power_percent == 60


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [
        (OutputRefusal.ERROR, GenericError(MessageType.PORT_OUTPUT_COMMAND, ErrorCode.INVALID_USE)),
        (OutputRefusal.DISCARDED, OutputFeedback((PortFeedback(0, Feedback.DISCARDED | Feedback.IDLE),))),
    ],
)
def test_command_that_is_refused_moves_nothing_and_is_answered(refusal: OutputRefusal, answer: Message) -> None:
    hub = EmulatedHub()
    hub.refusal = refusal
    assert write(hub, start_power(0, 60)) == [answer]
    assert hub.motor.kind is CommandKind.COAST


def test_motor_that_somebody_else_drives_is_told_to_everybody() -> None:
    hub = EmulatedHub()
    assert drive_elsewhere(hub, 60, 0.0) == [MOTOR_DONE]
    assert hub.motor == MotorSetting(CommandKind.DRIVE, 60)
