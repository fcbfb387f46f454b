"""Errors of the hub, each with a remedy, and the mapping from what bleak, dbus-fast and BlueZ raise.

The mapping uses classes and D-Bus error names; the texts differ between versions.
"""

from collections.abc import Iterator

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
)
from bleak_retry_connector import BleakNotFoundError
from dbus_fast.errors import AuthError, DBusFastError, InvalidAddressError

from edge_agent.errors import RetryableError

LINK_ERRORS = (BleakError, DBusFastError, OSError, EOFError, KeyError, AttributeError, AssertionError)
"""What a call through bleak may raise: its own errors, dbus-fast's, the socket's, and three from races with the bus."""

NO_BUS, NO_PERMISSION, NO_BLUETOOTHD, NO_ADAPTER, ADAPTER_OFF = (
    "no_bus",
    "no_permission",
    "no_bluetoothd",
    "no_adapter",
    "adapter_off",
)
NO_HUB, WRONG_HUB, NO_MOTOR, HELD, LINK = "no_hub", "wrong_hub", "no_motor", "held", "link"
SEARCHING, ADAPTER_DEAD, MASKED = "searching", "adapter_dead", "masked"

_MESSAGES: dict[str, tuple[str, str]] = {
    NO_BUS: (
        "There is no system D-Bus here",
        "start dbus.service; in a container, share it with `-v /run/dbus:/run/dbus`",
    ),
    NO_PERMISSION: (
        "This user may not use Bluetooth over D-Bus",
        "add it to the group `bluetooth` (`usermod -aG bluetooth USER`) and log in again; in a container, run with "
        "`--group-add keep-groups` or as root, and on SELinux with `--security-opt label=disable`",
    ),
    NO_BLUETOOTHD: (
        "bluetoothd is not running",
        "start it with `systemctl enable --now bluetooth` (package bluez); in a container, start it on the host",
    ),
    NO_ADAPTER: ("There is no Bluetooth adapter", "plug in one with Bluetooth Low Energy; `lsusb` lists it"),
    ADAPTER_OFF: ("Bluetooth is off", "switch it on with `rfkill unblock bluetooth` and `bluetoothctl power on`"),
    NO_HUB: (
        "No hub in range",
        "press its green button until the light blinks, move closer, and close apps that are connected to it",
    ),
    SEARCHING: (
        "BlueZ refuses to search: it says that it already does",
        "end the other program that searches (`bluetoothctl`, a desktop's Bluetooth page); if there is none, the "
        "adapter is stuck: `systemctl restart bluetooth`, or plug it in again",
    ),
    ADAPTER_DEAD: (
        "The kernel has a Bluetooth adapter, but bluetoothd cannot use it",
        "wait some seconds after a start; else `journalctl -k -g Bluetooth` says why: its firmware may be missing, or "
        "lost after a suspend: plug it in again, or reload its driver (`modprobe -r btusb && modprobe btusb`)",
    ),
    MASKED: ("bluetoothd may not start: its unit is masked", "`systemctl unmask bluetooth`, then start it"),
    LINK: ("The link to the hub failed", "move closer or replace the batteries; the agent keeps trying"),
}

_DBUS_NAMES: dict[str, str] = {
    "org.freedesktop.DBus.Error.AccessDenied": NO_PERMISSION,
    "org.freedesktop.DBus.Error.AuthFailed": NO_PERMISSION,
    "org.freedesktop.DBus.Error.ServiceUnknown": NO_BLUETOOTHD,
    "org.freedesktop.DBus.Error.NameHasNoOwner": NO_BLUETOOTHD,
    "org.freedesktop.systemd1.NoSuchUnit": NO_BLUETOOTHD,
    "org.freedesktop.systemd1.UnitMasked": MASKED,
    "org.freedesktop.systemd1.LoadFailed": NO_BLUETOOTHD,
    "org.freedesktop.DBus.Error.UnknownObject": NO_HUB,
    "org.bluez.Error.DoesNotExist": NO_HUB,
    "org.bluez.Error.NotReady": ADAPTER_OFF,
    "org.bluez.Error.NotPermitted": HELD,
    "org.bluez.Error.NotAuthorized": HELD,
}

_REASONS: dict[BleakBluetoothNotAvailableReason, str] = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: NO_ADAPTER,
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: NO_ADAPTER,
    BleakBluetoothNotAvailableReason.POWERED_OFF: ADAPTER_OFF,
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: NO_PERMISSION,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: NO_PERMISSION,
    BleakBluetoothNotAvailableReason.DENIED_BY_UNKNOWN: NO_PERMISSION,
}

_GONE = frozenset(
    {
        "org.freedesktop.DBus.Error.UnknownObject",
        "org.freedesktop.DBus.Error.UnknownMethod",
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.Disconnected",
        "org.bluez.Error.NotConnected",
    }
)


class HubError(RetryableError):
    """The hub cannot be used now. `code` (also in `data`) is one of this module's constants."""

    def __init__(self, message: str, *, remedy: str, code: str) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.code = code


def hub_error(code: str) -> HubError:
    """Return the error for a code that needs no further data."""
    message, remedy = _MESSAGES[code]
    return HubError(message, remedy=remedy, code=code)


def wrong_hub(what: str) -> HubError:
    """Return the error for a device that is not a City Hub."""
    return HubError(what, remedy="switch on the train's City Hub (88009), with LEGO's own firmware", code=WRONG_HUB)


def wrong_address(asked: str, name: str, address: str) -> HubError:
    """Return the error for a hub in range that is not the one asked for."""
    return HubError(
        f"The hub {asked} is not in range, only {name} ({address})",
        remedy="press the green button of the one you want, or select the other with `hub.name` or `hub.address`",
        code=NO_HUB,
    )


def no_motor() -> HubError:
    """Return the error for a hub that has announced its devices, but no motor."""
    return HubError(
        "The hub has no motor on any port", remedy="plug the train motor into port A until it clicks", code=NO_MOTOR
    )


def held(name: str) -> HubError:
    """Return the error for a hub that another program on this machine uses."""
    return HubError(
        f"Another program is using the hub {name}",
        remedy="end it (another `edge-agent run`, `hub drive`, Pybricks), or run `edge-agent hub brake`",
        code=HELD,
    )


def explain(error: BaseException) -> RetryableError:
    """Map an error of a library to one of ours; a RetryableError is returned unchanged."""
    if isinstance(error, RetryableError):
        return error
    # bleak-retry-connector and bleak wrap the cause: the first specific error in the chain decides.
    code = next((code for cause in _causes(error) if (code := _code_of(cause)) is not None), None)
    if code is None:
        return unnamed(next(filter(None, map(_dbus_name, _causes(error))), None))
    return held("that was found") if code == HELD else hub_error(code)


def unnamed(dbus_error: str | None) -> HubError:
    """Return the error for a failed link, with the name of a D-Bus error that has no line of its own."""
    message, remedy = _MESSAGES[LINK]
    return HubError(f"{message} ({dbus_error})" if dbus_error else message, remedy=remedy, code=LINK)


def is_in_progress(error: BaseException) -> bool:
    """Return whether BlueZ refuses because it is doing the same already."""
    return any(_dbus_name(cause) == "org.bluez.Error.InProgress" for cause in _causes(error))


def is_gone(error: BaseException) -> bool:
    """Return whether the other end no longer exists, so that a retry is pointless."""
    return isinstance(error, EOFError | ConnectionError) or any(
        name in _GONE for name in map(_dbus_name, _causes(error))
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes, outermost first."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def _dbus_name(error: BaseException) -> str | None:
    return str(error.dbus_error) if isinstance(error, BleakDBusError) else None


_CLASSES: tuple[tuple[type[BaseException], str], ...] = (
    (BleakCharacteristicNotFoundError, LINK),
    (BleakDeviceNotFoundError, NO_HUB),
    (BleakNotFoundError, NO_HUB),
    (PermissionError, NO_PERMISSION),
    (AuthError, NO_PERMISSION),
    (FileNotFoundError, NO_BUS),
    (ConnectionRefusedError, NO_BUS),
    (InvalidAddressError, NO_BUS),
)


def _code_of(error: BaseException) -> str | None:
    if isinstance(error, BleakBluetoothNotAvailableError):
        return _REASONS.get(error.reason, NO_ADAPTER)
    if isinstance(error, BleakDBusError):
        return code_of_dbus_error(error.dbus_error)
    return next((code for kind, code in _CLASSES if isinstance(error, kind)), None)


def code_of_dbus_error(name: str | None) -> str | None:
    """Return the code for a D-Bus error name; None if it is not specific."""
    if name is None:
        return None
    if name.startswith("org.freedesktop.DBus.Error.Spawn."):  # several names: bluetoothd could not be activated
        return NO_BLUETOOTHD
    return _DBUS_NAMES.get(name)
