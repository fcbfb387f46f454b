"""Our numbers and names against an independent implementation's."""

from enum import IntEnum

import pytest
from pybricksdev.ble.lwp3 import (
    LEGO_CID,
    LWP3_HUB_CHARACTERISTIC_UUID,
    LWP3_HUB_SERVICE_UUID,
    AdvertisementData,
    bytecodes,
)

from edge_agent.hub import lwp3
from edge_agent.hub.lwp3 import codes

CODES = [
    (codes.HubProperty, bytecodes.HubProperty, {"VOLUME"}),
    (codes.PropertyOperation, bytecodes.HubPropertyOperation, set()),
    (codes.HubActionType, bytecodes.HubAction, set()),
    (codes.Alert, bytecodes.AlertKind, set()),
    (codes.AlertOperation, bytecodes.AlertOperation, set()),
    (codes.AttachEvent, bytecodes.IOEvent, set()),
    (codes.ErrorCode, bytecodes.ErrorCode, set()),
    (codes.InformationType, bytecodes.InfoKind, set()),
    (codes.Feedback, bytecodes.Feedback, set()),
    (codes.Capability, bytecodes.Capabilities, set()),
]


@pytest.mark.parametrize(("ours", "theirs", "missing"), CODES)
def test_code_table_has_the_oracles_numbers(ours: type[IntEnum], theirs: type[IntEnum], missing: set[str]) -> None:
    assert {int(code) for code in ours} == {int(code) for code in theirs if code.name not in missing}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (codes.DeviceType.MEDIUM_MOTOR, "MEDIUM_MOTOR"),
        (codes.DeviceType.TRAIN_MOTOR, "TRAIN_MOTOR"),
        (codes.DeviceType.LIGHT, "LIGHTS"),
        (codes.DeviceType.VOLTAGE_SENSOR, "HUB_BATTERY_VOLTAGE"),
        (codes.DeviceType.CURRENT_SENSOR, "HUB_BATTERY_CURRENT"),
        (codes.DeviceType.RGB_LIGHT, "HUB_STATUS_LIGHT"),
        (codes.DeviceType.MEDIUM_MOTOR_TACHO, "BOOST_INTERACTIVE_MOTOR"),
        (codes.DeviceType.LARGE_MOTOR, "TECHNIC_LARGE_MOTOR"),
        (codes.DeviceType.EXTRA_LARGE_MOTOR, "TECHNIC_XL_MOTOR"),
    ],
)
def test_device_type_has_the_oracles_number(ours: int, theirs: str) -> None:
    assert ours == bytecodes.IODeviceKind[theirs]


def test_identifiers_are_the_oracles() -> None:
    assert codes.SERVICE_UUID == LWP3_HUB_SERVICE_UUID
    assert codes.CHARACTERISTIC_UUID == LWP3_HUB_CHARACTERISTIC_UUID
    assert codes.COMPANY_ID == LEGO_CID
    assert codes.MAX_NAME_BYTES == bytecodes.MAX_NAME_SIZE


def test_advertisement_is_read_as_the_oracle_reads_it() -> None:
    raw = lwp3.Advertisement(True, codes.SystemType.CITY, last_network=0, status=0x61).encode()
    oracle = AdvertisementData(raw)
    assert oracle.is_button_pressed
    assert oracle.hub_kind is bytecodes.HubKind.CITY
    assert oracle.hub_capabilities == bytecodes.Capabilities(7)
    assert oracle.status == bytecodes.Status(0x61)
    assert lwp3.decode_advertisement(bytes(oracle)) == lwp3.Advertisement(True, 0x41, status=0x61)
