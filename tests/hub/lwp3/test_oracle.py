"""Our bytes against an independent implementation: pybricksdev encodes the same, and decodes ours as intended."""

import struct
from typing import get_args

import pytest
from hypothesis import given, strategies as st
from pybricksdev.ble.lwp3 import bytecodes, messages

from edge_agent.hub import lwp3
from edge_agent.hub.lwp3 import encode
from tests.hub.lwp3.strategies import BYTE, FLOAT, KINDS, MESSAGES, VERSION, WORD

PORT = st.integers(0, 100)  # the oracle knows no others
DEVICE = WORD


def port(number: int) -> bytecodes.PortID:
    return bytecodes.PortID(number)


def signed(version: lwp3.Version) -> bytecodes.Version:
    """Convert a version: the oracle packs versions as signed numbers."""
    return bytecodes.Version(struct.unpack("<i", struct.pack("<I", version.raw))[0])


def same(message: lwp3.Message, oracle: messages.AbstractMessage) -> None:
    """Compare our bytes with the oracle's, and its decoding of ours with its own message."""
    raw = encode(message)
    assert raw == bytes(oracle)
    assert type(messages.parse_message(raw)) is type(oracle)
    assert lwp3.decode(bytes(oracle)) == message


@pytest.mark.parametrize("operation", [op for op in lwp3.PropertyOperation if op.name not in ("SET", "UPDATE")])
@pytest.mark.parametrize("subject", lwp3.HubProperty)
def test_property_request_is_the_oracles(subject: lwp3.HubProperty, operation: lwp3.PropertyOperation) -> None:
    oracles = {
        lwp3.PropertyOperation.ENABLE_UPDATES: messages.HubPropertyEnableUpdates,
        lwp3.PropertyOperation.DISABLE_UPDATES: messages.HubPropertyDisableUpdates,
        lwp3.PropertyOperation.RESET: messages.HubPropertyReset,
        lwp3.PropertyOperation.REQUEST_UPDATE: messages.HubPropertyRequestUpdate,
    }
    message = lwp3.HubPropertyRequest(subject, operation)
    try:
        oracle = oracles[operation](bytecodes.HubProperty(subject))
    except ValueError:  # the oracle builds no request that hubs refuse; it reads ours all the same
        assert bytes(messages.parse_message(encode(message))) == encode(message)
        return
    same(message, oracle)


PROPERTY_VALUES = [
    (lwp3.HubProperty.NAME, "Train hub", "Train hub"),
    (lwp3.HubProperty.BUTTON, True, True),
    (lwp3.HubProperty.BUTTON, False, False),
    (lwp3.HubProperty.FIRMWARE_VERSION, lwp3.Version(0x11000004), bytecodes.Version(0x11000004)),
    (lwp3.HubProperty.HARDWARE_VERSION, lwp3.Version(0x04000000), bytecodes.Version(0x04000000)),
    (lwp3.HubProperty.RSSI, -52, -52),
    (lwp3.HubProperty.BATTERY_PERCENT, 87, 87),
    (lwp3.HubProperty.BATTERY_TYPE, 0, bytecodes.BatteryKind.NORMAL),
    (lwp3.HubProperty.MANUFACTURER, "LEGO System A/S", "LEGO System A/S"),
    (lwp3.HubProperty.RADIO_FIRMWARE_VERSION, "2_02_01", "2_02_01"),
    (lwp3.HubProperty.PROTOCOL_VERSION, 0x0300, bytecodes.LWPVersion(0x0300)),
    (lwp3.HubProperty.SYSTEM_TYPE, 0x41, bytecodes.HubKind.CITY),
    (lwp3.HubProperty.NETWORK_ID, 0, bytecodes.LastNetwork.NONE),
    (lwp3.HubProperty.MAC_ADDRESS, "90:84:2B:60:33:70", bytecodes.BluetoothAddress("90:84:2B:60:33:70")),
    (lwp3.HubProperty.BOOTLOADER_MAC_ADDRESS, "90:84:2B:60:33:71", bytecodes.BluetoothAddress("90:84:2B:60:33:71")),
    (lwp3.HubProperty.NETWORK_FAMILY, 1, bytecodes.HwNetFamily.GREEN),
]


@pytest.mark.parametrize(("subject", "ours", "theirs"), PROPERTY_VALUES)
def test_property_update_is_the_oracles(
    subject: lwp3.HubProperty, ours: str | int | lwp3.Version, theirs: object
) -> None:
    oracle = messages.HubPropertyUpdate(bytecodes.HubProperty(subject), theirs)
    same(lwp3.HubPropertyUpdate(subject, ours), oracle)
    assert messages.parse_message(encode(lwp3.HubPropertyUpdate(subject, ours))).value == theirs


def test_oracle_values_cover_every_property() -> None:
    assert {subject for subject, _, _ in PROPERTY_VALUES} == set(lwp3.HubProperty)


def test_property_set_is_the_oracles() -> None:
    oracle = messages.HubPropertySet(bytecodes.HubProperty.NAME, "Train")
    same(lwp3.HubPropertySet(lwp3.HubProperty.NAME, "Train"), oracle)


@pytest.mark.parametrize("action", lwp3.HubActionType)
def test_action_is_the_oracles(action: lwp3.HubActionType) -> None:
    same(lwp3.HubAction(action), messages.HubActionMessage(bytecodes.HubAction(action)))


@pytest.mark.parametrize("alert", lwp3.Alert)
def test_alert_messages_are_the_oracles(alert: lwp3.Alert) -> None:
    kind = bytecodes.AlertKind(alert)
    operation = lwp3.AlertOperation
    enable, disable = messages.HubAlertEnableUpdatesMessage(kind), messages.HubAlertDisableUpdatesMessage(kind)
    same(lwp3.HubAlertRequest(alert, operation.ENABLE_UPDATES), enable)
    same(lwp3.HubAlertRequest(alert, operation.DISABLE_UPDATES), disable)
    same(lwp3.HubAlertRequest(alert, operation.REQUEST_UPDATE), messages.HubAlertRequestUpdateMessage(kind))
    for raised, status in ((True, bytecodes.AlertStatus.ALERT), (False, bytecodes.AlertStatus.OK)):
        same(lwp3.HubAlertUpdate(alert, raised), messages.HubAlertUpdateMessage(kind, status))


@given(PORT, DEVICE, VERSION, VERSION)
def test_attached_port_is_the_oracles(number: int, device: int, hardware: lwp3.Version, software: lwp3.Version) -> None:
    theirs = messages.HubIOAttachedMessage(
        port(number), bytecodes.IODeviceKind(device), signed(hardware), signed(software)
    )
    same(lwp3.PortAttached(number, device, hardware, software), theirs)


@given(PORT, DEVICE, PORT, PORT)
def test_virtual_port_and_detached_port_are_the_oracles(number: int, device: int, a: int, b: int) -> None:
    kind = bytecodes.IODeviceKind(device)
    same(
        lwp3.VirtualPortAttached(number, device, a, b),
        messages.HubIOAttachedVirtualMessage(port(number), kind, port(a), port(b)),
    )
    same(lwp3.PortDetached(number), messages.HubIODetachedMessage(port(number)))


@pytest.mark.parametrize("code", lwp3.ErrorCode)
def test_error_is_the_oracles(code: lwp3.ErrorCode) -> None:
    oracle = messages.ErrorMessage(bytecodes.MessageKind.PORT_OUTPUT_CMD, bytecodes.ErrorCode(code))
    same(lwp3.GenericError(0x81, code), oracle)


@given(PORT, st.sampled_from(lwp3.InformationType), BYTE, st.sampled_from(lwp3.ModeInformationType))
def test_information_requests_are_the_oracles(
    number: int, kind: lwp3.InformationType, mode: int, mode_kind: lwp3.ModeInformationType
) -> None:
    same(
        lwp3.PortInformationRequest(number, kind),
        messages.PortInfoRequestMessage(port(number), bytecodes.InfoKind(kind)),
    )
    same(
        lwp3.PortModeInformationRequest(number, mode, mode_kind),
        messages.PortModeInfoRequestMessage(port(number), mode, bytecodes.ModeInfoKind(mode_kind)),
    )


def bits(mask: int) -> list[int]:
    return [bit for bit in range(16) if mask & 1 << bit]


@given(PORT, st.integers(0, 15), BYTE, WORD, WORD, st.lists(WORD, max_size=8))
def test_port_information_is_the_oracles(
    number: int, capabilities: int, count: int, inputs: int, outputs: int, combinations: list[int]
) -> None:
    same(
        lwp3.PortModes(number, capabilities, count, inputs, outputs),
        messages.PortInfoModeInfoMessage(
            port(number), bytecodes.ModeCapabilities(capabilities), count, bits(inputs), bits(outputs)
        ),
    )
    same(
        lwp3.PortModeCombinations(number, tuple(combinations)),
        messages.PortInfoCombosMessage(port(number), [bits(mask) for mask in combinations]),
    )


@given(PORT, BYTE, FLOAT, FLOAT)
def test_mode_ranges_are_the_oracles(number: int, mode: int, minimum: float, maximum: float) -> None:
    for kind, oracle in (
        (lwp3.ModeInformationType.RAW, messages.PortModeInfoRawMessage),
        (lwp3.ModeInformationType.PERCENT, messages.PortModeInfoPercentMessage),
        (lwp3.ModeInformationType.SI, messages.PortModeInfoSIMessage),
    ):
        same(
            lwp3.PortModeRange(number, mode, kind, minimum, maximum),
            oracle(port(number), mode, minimum, maximum),
        )


def test_mode_details_are_the_oracles() -> None:
    kinds, where = lwp3.ModeInformationType, port(60)
    name = lwp3.PortModeDetail(60, 0, kinds.NAME, b"VLT L")
    symbol = lwp3.PortModeDetail(60, 0, kinds.SYMBOL, b"mV\0\0")
    same(name, messages.PortModeInfoNameMessage(where, 0, "VLT L"))
    assert messages.parse_message(encode(symbol)).symbol == symbol.text() == "mV"
    same(lwp3.PortModeDetail(60, 0, kinds.MOTOR_BIAS, b"\x05"), messages.PortModeInfoMotorBiasMessage(where, 0, 5))
    mapping = messages.PortModeInfoMappingMessage(
        where, 0, bytecodes.IODeviceMapping(0x10), bytecodes.IODeviceMapping(0)
    )
    same(lwp3.PortModeDetail(60, 0, kinds.MAPPING, b"\x10\x00"), mapping)
    form = messages.PortModeInfoFormatMessage(where, 0, 1, bytecodes.DataFormat.DATA16, 4, 0)
    same(lwp3.PortModeDetail(60, 0, kinds.VALUE_FORMAT, b"\x01\x01\x04\x00"), form)
    capabilities = messages.PortModeInfoCapabilitiesMessage(where, 0, bytecodes.IODeviceCapabilities(0x123456))
    same(lwp3.PortModeDetail(60, 0, kinds.CAPABILITY_BITS, b"\x56\x34\x12\0\0\0"), capabilities)


@given(PORT, BYTE, st.integers(0, 0xFFFFFFFF), st.booleans())
def test_input_formats_are_the_oracles(number: int, mode: int, delta: int, notify: bool) -> None:
    setup = messages.PortInputFormatSetupMessage(port(number), mode, delta, notify)
    same(lwp3.InputFormatSetup(number, mode, delta, notify), setup)
    same(
        lwp3.InputFormat(number, mode, delta, notify),
        messages.PortInputFormatMessage(port(number), mode, delta, notify),
    )


@given(PORT, st.integers(-0x8000, 0x7FFF))
def test_port_value_is_the_oracles(number: int, value: int) -> None:
    message = lwp3.PortValue(number, value.to_bytes(2, "little", signed=True))
    same(message, messages.PortValueMessage(port(number), "<h", value))
    assert message.integer() == messages.parse_message(encode(message)).unpack("<h")[0]


@given(PORT, st.integers(-100, 127), st.booleans(), st.booleans())
def test_output_command_is_the_oracles(number: int, power: int, immediate: bool, feedback: bool) -> None:
    message = lwp3.OutputCommand(number, 0, power.to_bytes(1, "little", signed=True), immediate, feedback)
    start = bytecodes.StartInfo.IMMEDIATE if immediate else bytecodes.StartInfo.BUFFER
    end = bytecodes.EndInfo.FEEDBACK if feedback else bytecodes.EndInfo.NO_ACTION
    same(
        message,
        messages.PortOutputCommandWriteDirectModeDataMessage(port(number), start, end, 0, "<b", power),
    )
    assert message.power == messages.parse_message(encode(message)).unpack("<b")[0]


@given(st.lists(st.tuples(PORT, st.integers(0, 31)), min_size=1, max_size=3))
def test_feedback_is_the_oracles(entries: list[tuple[int, int]]) -> None:
    arguments = [value for number, flags in entries for value in (port(number), bytecodes.Feedback(flags))]
    ours = tuple(lwp3.PortFeedback(number, lwp3.Feedback(flags)) for number, flags in entries)
    same(lwp3.OutputFeedback(ours), messages.PortOutputCommandFeedbackMessage(*arguments))


CLASSES: dict[type, tuple[type[messages.AbstractMessage], ...]] = {
    lwp3.HubPropertyRequest: (
        messages.HubPropertyEnableUpdates,
        messages.HubPropertyDisableUpdates,
        messages.HubPropertyReset,
        messages.HubPropertyRequestUpdate,
    ),
    lwp3.HubPropertySet: (messages.HubPropertySet,),
    lwp3.HubPropertyUpdate: (messages.HubPropertyUpdate,),
    lwp3.HubAction: (messages.HubActionMessage,),
    lwp3.HubAlertRequest: (
        messages.HubAlertEnableUpdatesMessage,
        messages.HubAlertDisableUpdatesMessage,
        messages.HubAlertRequestUpdateMessage,
    ),
    lwp3.HubAlertUpdate: (messages.HubAlertUpdateMessage,),
    lwp3.PortAttached: (messages.HubIOAttachedMessage,),
    lwp3.VirtualPortAttached: (messages.HubIOAttachedVirtualMessage,),
    lwp3.PortDetached: (messages.HubIODetachedMessage,),
    lwp3.GenericError: (messages.ErrorMessage,),
    lwp3.PortInformationRequest: (messages.PortInfoRequestMessage,),
    lwp3.PortModes: (messages.PortInfoModeInfoMessage,),
    lwp3.PortModeCombinations: (messages.PortInfoCombosMessage,),
    lwp3.PortModeInformationRequest: (messages.PortModeInfoRequestMessage,),
    lwp3.PortModeRange: (
        messages.PortModeInfoRawMessage,
        messages.PortModeInfoPercentMessage,
        messages.PortModeInfoSIMessage,
    ),
    lwp3.PortModeDetail: (
        messages.PortModeInfoNameMessage,
        messages.PortModeInfoSymbolMessage,
        messages.PortModeInfoMappingMessage,
        messages.PortModeInfoMotorBiasMessage,
        messages.PortModeInfoCapabilitiesMessage,
        messages.PortModeInfoFormatMessage,
    ),
    lwp3.InputFormatSetup: (messages.PortInputFormatSetupMessage,),
    lwp3.InputFormat: (messages.PortInputFormatMessage,),
    lwp3.PortValue: (messages.PortValueMessage,),
    lwp3.OutputCommand: (messages.PortOutputCommandWriteDirectModeDataMessage,),
    lwp3.OutputFeedback: (messages.PortOutputCommandFeedbackMessage,),
}


@given(MESSAGES)
def test_any_message_is_of_the_oracles_class(message: lwp3.Message) -> None:
    raw = encode(message)
    if len(raw) < 0x80:  # the oracle knows no long messages
        assert type(messages.parse_message(raw)) in CLASSES[type(message)]


def test_every_kind_of_message_has_an_oracle_and_a_strategy() -> None:
    assert set(CLASSES) == set(get_args(lwp3.Message))
    assert len(KINDS) == len(CLASSES)
