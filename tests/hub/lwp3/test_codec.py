"""Every message survives a round trip; malformed bytes are returned and counted, and never raise."""

import pytest
from hypothesis import given, strategies as st

from edge_agent.hub.lwp3 import (
    Colour,
    Decoder,
    HubProperty,
    HubPropertySet,
    HubPropertyUpdate,
    Malformed,
    MalformedReason,
    Message,
    OutputCommand,
    PortValue,
    Version,
    brake,
    coast,
    decode,
    encode,
    light,
    show_colour,
    start_power,
)
from tests.hub.lwp3.strategies import KINDS, MESSAGES

MALFORMED: dict[str, tuple[str, MalformedReason]] = {
    "nothing": ("", MalformedReason.TRUNCATED),
    "half a header": ("0300", MalformedReason.TRUNCATED),
    "half a long header": ("840100", MalformedReason.TRUNCATED),
    "shorter than it says": ("06000106", MalformedReason.TRUNCATED),
    "longer than it says": ("040002010000", MalformedReason.TOO_LONG),
    "a type that nobody speaks": ("0300ee", MalformedReason.UNKNOWN_TYPE),
    "a property without operation": ("04000101", MalformedReason.TRUNCATED),
    "a property nobody knows": ("0500017705", MalformedReason.UNKNOWN_CODE),
    "an operation nobody knows": ("0500010109", MalformedReason.UNKNOWN_CODE),
    "a name of sixteen letters": ("150001010661616161616161616161616161616161", MalformedReason.TOO_LONG),
    "a name that is no text": ("0600010106ff", MalformedReason.BAD_VALUE),
    "a version of three bytes": ("0800010306112233", MalformedReason.TRUNCATED),
    "an action nobody knows": ("04000277", MalformedReason.UNKNOWN_CODE),
    "an alert nobody knows": ("0600037704ff", MalformedReason.UNKNOWN_CODE),
    "an alert without status": ("0500030104", MalformedReason.TRUNCATED),
    "an attachment without type": ("0500040001", MalformedReason.TRUNCATED),
    "an event nobody knows": ("0500040007", MalformedReason.UNKNOWN_CODE),
    "port information of a value": ("0500433c00", MalformedReason.UNKNOWN_CODE),
    "half a combination": ("0600433c02aa", MalformedReason.TOO_LONG),
    "a range up to infinity": ("0e00443c0001000000000000807f", MalformedReason.BAD_VALUE),
    "a range from what is no number": ("0e00443c00030000c07f00000000", MalformedReason.BAD_VALUE),
    "a value without bytes": ("0400453c", MalformedReason.TRUNCATED),
    "an output command without data": ("07008100115100", MalformedReason.TRUNCATED),
    "an output subcommand nobody speaks": ("0800810011070064", MalformedReason.UNKNOWN_CODE),
    "an output start-up nobody knows": ("0800810077510064", MalformedReason.UNKNOWN_CODE),
    "feedback on nothing": ("030082", MalformedReason.TRUNCATED),
    "feedback on a port and a half": ("060082000a01", MalformedReason.TRUNCATED),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_message_encoded_and_decoded_is_itself(kind: str, data: st.DataObject) -> None:
    message = data.draw(KINDS[kind])
    assert decode(encode(message)) == message


@given(MESSAGES)
def test_message_cut_anywhere_is_malformed(message: Message) -> None:
    raw = encode(message)
    for length in range(len(raw)):
        assert isinstance(decode(raw[:length]), Malformed)


@given(MESSAGES, st.binary(min_size=1, max_size=9))
def test_message_with_something_behind_it_is_malformed(message: Message, rest: bytes) -> None:
    raw = encode(message)
    assert decode(raw + rest) == Malformed(
        MalformedReason.TOO_LONG, f"length says {len(raw)} bytes, there are {len(raw + rest)}", raw + rest
    )


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_without_raising(raw: bytes) -> None:
    message = decode(raw)
    if not isinstance(message, Malformed):
        assert isinstance(decode(encode(message)), type(message))


@given(st.sampled_from(range(256)), st.binary(max_size=30))
def test_any_payload_of_any_type_is_decoded_without_raising(message_type: int, payload: bytes) -> None:
    message = decode(bytes((len(payload) + 3, 0, message_type)) + payload)
    assert isinstance(message, Malformed) or message_type == message.TYPE


@pytest.mark.parametrize(("raw", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_bytes_are_returned_with_a_reason(raw: str, reason: MalformedReason) -> None:
    message = decode(bytes.fromhex(raw))
    assert isinstance(message, Malformed)
    assert message.reason is reason
    assert message.detail
    assert message.raw == bytes.fromhex(raw)


def test_decoder_counts_what_was_malformed_by_reason() -> None:
    decoder = Decoder()
    assert decoder.feed(bytearray.fromhex("050082000a")) == decode(bytes.fromhex("050082000a"))
    for raw in ("", "0300ee", "0300ef"):
        decoder.feed(bytes.fromhex(raw))
    assert decoder.malformed == {MalformedReason.TRUNCATED: 1, MalformedReason.UNKNOWN_TYPE: 2}


def test_length_above_127_takes_two_bytes() -> None:
    message = PortValue(1, bytes(300))
    raw = encode(message)
    assert raw[:4] == bytes((0xB1, 0x02, 0x00, 0x45))  # 305 bytes: 0x31 in the low seven bits, 2 above
    assert decode(raw) == message


def test_message_too_long_for_any_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(PortValue(1, bytes(0x8000)))


@pytest.mark.parametrize(
    ("command", "raw"),
    [
        (start_power(0, 100), "0800810011510064"),
        (start_power(1, -100), "080081011151009c"),
        (brake(0), "080081001151007f"),
        (coast(0), "0800810011510000"),
        (light(1, 50), "0800810111510032"),
        (show_colour(50, Colour.RED), "0800813211510009"),
        (OutputCommand(0, 0, b"\x32", immediate=False, feedback=False), "0800810000510032"),
    ],
)
def test_output_command_is_written_as_published(command: OutputCommand, raw: str) -> None:
    assert encode(command) == bytes.fromhex(raw)


@pytest.mark.parametrize("power_percent", [-101, 101, 127])
def test_power_out_of_range_is_refused(power_percent: int) -> None:
    with pytest.raises(ValueError, match=r"outside -100\.\.100"):
        start_power(0, power_percent)


@pytest.mark.parametrize("brightness_percent", [-1, 101])
def test_brightness_out_of_range_is_refused(brightness_percent: int) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.100"):
        light(0, brightness_percent)


def test_power_of_a_command_that_is_no_power_is_none() -> None:
    assert OutputCommand(50, 1, b"\x10").power is None  # mode 1 of an RGB light takes three bytes of colour
    assert OutputCommand(50, 0, b"\x10\x20").power is None
    assert not OutputCommand(0, 1, b"\x7f").is_brake


def test_name_padded_with_zeros_is_read_without_them() -> None:
    padded = bytes.fromhex("0a00010106487562") + b"\0\0"
    assert decode(padded) == HubPropertyUpdate(HubProperty.NAME, "Hub")


@pytest.mark.parametrize(
    ("subject", "value", "error"),
    [
        (HubProperty.NAME, "sixteen letters!", ValueError),
        (HubProperty.FIRMWARE_VERSION, 7, TypeError),
        (HubProperty.RSSI, "strong", TypeError),
        (HubProperty.MAC_ADDRESS, "no address", ValueError),
    ],
)
def test_property_set_to_what_it_cannot_be_is_refused(
    subject: HubProperty, value: str | int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        encode(HubPropertySet(subject, value))


def test_version_is_written_as_makers_do() -> None:
    assert str(Version(0x11000004)) == "1.1.00.0004"
    assert Version.of("1.1.00.0004") == Version(0x11000004)


@pytest.mark.parametrize("written", ["1.1.0.0004", "1.1.00", "a.1.00.0004", ""])
def test_version_written_otherwise_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        Version.of(written)
