"""Each library error becomes one line that says what to do, chosen by class and D-Bus name."""

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
)
from bleak_retry_connector import BleakConnectionError
from dbus_fast.errors import AuthError

from edge_agent.errors import RetryableError
from edge_agent.hub import errors as problems
from edge_agent.hub.errors import HubError, explain, held, hub_error, is_gone, no_motor, wrong_hub

MISLEADING = "No powered Bluetooth adapters found, permission denied, not found"


def unavailable(reason: BleakBluetoothNotAvailableReason) -> BleakError:
    return BleakBluetoothNotAvailableError(MISLEADING, reason)


def raised_from(cause: Exception) -> BleakConnectionError:
    error = BleakConnectionError(MISLEADING)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (unavailable(BleakBluetoothNotAvailableReason.NO_BLUETOOTH), problems.NO_ADAPTER),
        (unavailable(BleakBluetoothNotAvailableReason.POWERED_OFF), problems.ADAPTER_OFF),
        (unavailable(BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM), problems.NO_PERMISSION),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", [MISLEADING]), problems.NO_PERMISSION),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", [MISLEADING]), problems.NO_BLUETOOTHD),
        (BleakDBusError("org.freedesktop.DBus.Error.Spawn.ExecFailed", [MISLEADING]), problems.NO_BLUETOOTHD),
        (BleakDBusError("org.bluez.Error.NotReady", [MISLEADING]), problems.ADAPTER_OFF),
        (BleakDBusError("org.bluez.Error.NotPermitted", [MISLEADING]), problems.HELD),
        (BleakDBusError("org.bluez.Error.Failed", [MISLEADING]), problems.LINK),
        (BleakDeviceNotFoundError("AA:00:00:00:00:01"), problems.NO_HUB),
        (raised_from(BleakDBusError("org.bluez.Error.NotReady", [MISLEADING])), problems.ADAPTER_OFF),
        (BleakError(MISLEADING), problems.LINK),
        (AuthError(MISLEADING), problems.NO_PERMISSION),
        (PermissionError(13, MISLEADING), problems.NO_PERMISSION),
        (FileNotFoundError(2, MISLEADING), problems.NO_BUS),
        (ConnectionRefusedError(111, MISLEADING), problems.NO_BUS),
        (EOFError(), problems.LINK),
    ],
)
def test_failure_is_named_by_class_and_dbus_name_whatever_its_text(error: Exception, code: str) -> None:
    explained = explain(error)
    assert isinstance(explained, HubError)
    assert explained.code == code


def test_error_of_ours_stays_as_it_is() -> None:
    error = RetryableError("ours")
    assert explain(error) is error


@pytest.mark.parametrize(
    "error",
    [
        hub_error(problems.NO_BUS),
        hub_error(problems.NO_PERMISSION),
        hub_error(problems.NO_BLUETOOTHD),
        hub_error(problems.NO_ADAPTER),
        hub_error(problems.ADAPTER_OFF),
        hub_error(problems.NO_HUB),
        hub_error(problems.LINK),
        wrong_hub("Found a crane"),
        no_motor(),
        held("Train"),
    ],
)
def test_each_problem_is_one_line_with_a_remedy(error: HubError) -> None:
    assert "\n" not in str(error)
    assert error.remedy
    assert error.remedy in str(error)


def test_no_permission_names_the_group_and_the_container_option() -> None:
    line = str(hub_error(problems.NO_PERMISSION))
    assert "group `bluetooth`" in line
    assert "--group-add" in line


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", []), True),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", []), True),
        (BleakDBusError("org.bluez.Error.NotConnected", []), True),
        (BleakDBusError("org.bluez.Error.InProgress", []), False),
        (BleakDBusError("org.bluez.Error.Failed", []), False),
        (EOFError(), True),
        (BrokenPipeError(), True),
        (BleakError("not connected"), False),
    ],
)
def test_second_try_is_spared_where_the_other_end_is_gone(error: Exception, gone: bool) -> None:
    assert is_gone(error) is gone
