"""Messages of every kind, drawn by hypothesis: each field over the whole of its range."""

from hypothesis import strategies as st

from edge_agent.hub.lwp3 import (
    Alert,
    AlertOperation,
    Feedback,
    GenericError,
    HubAction,
    HubActionType,
    HubAlertRequest,
    HubAlertUpdate,
    HubProperty,
    HubPropertyRequest,
    HubPropertySet,
    HubPropertyUpdate,
    InformationType,
    InputFormat,
    InputFormatSetup,
    Message,
    ModeInformationType,
    OutputCommand,
    OutputFeedback,
    PortAttached,
    PortDetached,
    PortFeedback,
    PortInformationRequest,
    PortModeCombinations,
    PortModeDetail,
    PortModeInformationRequest,
    PortModeRange,
    PortModes,
    PortValue,
    PropertyOperation,
    Version,
    VirtualPortAttached,
)

BYTE = st.integers(0, 255)
WORD = st.integers(0, 0xFFFF)
VERSION = st.builds(Version, st.integers(0, 0xFFFFFFFF))
TEXT = st.text("abcXYZ 0189äß_-", max_size=12).map(lambda text: text[:7])
ADDRESS = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":").upper())
FLOAT = st.floats(width=32, allow_nan=False, allow_infinity=False)

VALUES: dict[HubProperty, st.SearchStrategy[str | int | bool | Version]] = {
    HubProperty.NAME: TEXT,
    HubProperty.BUTTON: st.booleans(),
    HubProperty.FIRMWARE_VERSION: VERSION,
    HubProperty.HARDWARE_VERSION: VERSION,
    HubProperty.RSSI: st.integers(-128, 127),
    HubProperty.BATTERY_PERCENT: BYTE,
    HubProperty.BATTERY_TYPE: BYTE,
    HubProperty.MANUFACTURER: TEXT,
    HubProperty.RADIO_FIRMWARE_VERSION: TEXT,
    HubProperty.PROTOCOL_VERSION: WORD,
    HubProperty.SYSTEM_TYPE: BYTE,
    HubProperty.NETWORK_ID: BYTE,
    HubProperty.MAC_ADDRESS: ADDRESS,
    HubProperty.BOOTLOADER_MAC_ADDRESS: ADDRESS,
    HubProperty.NETWORK_FAMILY: BYTE,
}

_ASKING = [op for op in PropertyOperation if op not in (PropertyOperation.SET, PropertyOperation.UPDATE)]
_ALERT_ASKING = [op for op in AlertOperation if op is not AlertOperation.UPDATE]
_RANGES = [ModeInformationType.RAW, ModeInformationType.PERCENT, ModeInformationType.SI]
_DETAILS = [kind for kind in ModeInformationType if kind not in _RANGES]
_FLAGS = st.integers(0, 0x1F).map(Feedback)


@st.composite
def property_updates(draw: st.DrawFn) -> HubPropertyUpdate:
    subject = draw(st.sampled_from(HubProperty))
    return HubPropertyUpdate(subject, draw(VALUES[subject]))


@st.composite
def property_sets(draw: st.DrawFn) -> HubPropertySet:
    subject = draw(st.sampled_from(HubProperty))
    return HubPropertySet(subject, draw(VALUES[subject]))


FEEDBACKS = st.lists(st.builds(PortFeedback, BYTE, _FLAGS), min_size=1, max_size=4).map(tuple)
FORMAT = (BYTE, BYTE, st.integers(0, 0xFFFFFFFF), st.booleans())

KINDS: dict[str, st.SearchStrategy[Message]] = {
    "property_request": st.builds(HubPropertyRequest, st.sampled_from(HubProperty), st.sampled_from(_ASKING)),
    "property_set": property_sets(),
    "property_update": property_updates(),
    "action": st.builds(HubAction, st.sampled_from(HubActionType)),
    "alert_request": st.builds(HubAlertRequest, st.sampled_from(Alert), st.sampled_from(_ALERT_ASKING)),
    "alert_update": st.builds(HubAlertUpdate, st.sampled_from(Alert), st.booleans()),
    "attached": st.builds(PortAttached, BYTE, WORD, VERSION, VERSION),
    "virtual": st.builds(VirtualPortAttached, BYTE, WORD, BYTE, BYTE),
    "detached": st.builds(PortDetached, BYTE),
    "error": st.builds(GenericError, BYTE, BYTE),
    "information_request": st.builds(PortInformationRequest, BYTE, st.sampled_from(InformationType)),
    "modes": st.builds(PortModes, BYTE, BYTE, BYTE, WORD, WORD),
    "combinations": st.builds(PortModeCombinations, BYTE, st.lists(WORD, max_size=8).map(tuple)),
    "mode_request": st.builds(PortModeInformationRequest, BYTE, BYTE, st.sampled_from(ModeInformationType)),
    "range": st.builds(PortModeRange, BYTE, BYTE, st.sampled_from(_RANGES), FLOAT, FLOAT),
    "detail": st.builds(PortModeDetail, BYTE, BYTE, st.sampled_from(_DETAILS), st.binary(max_size=11)),
    "format_setup": st.builds(InputFormatSetup, *FORMAT),
    "format": st.builds(InputFormat, *FORMAT),
    "value": st.builds(PortValue, BYTE, st.binary(min_size=1, max_size=200)),
    "output": st.builds(OutputCommand, BYTE, BYTE, st.binary(min_size=1, max_size=200), st.booleans(), st.booleans()),
    "feedback": st.builds(OutputFeedback, FEEDBACKS),
}
"""A strategy for each kind of message."""

MESSAGES: st.SearchStrategy[Message] = st.one_of(*KINDS.values())
