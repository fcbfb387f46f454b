"""Braking without an event loop: straight through BlueZ, from any thread or from a process of its own.

BlueZ keeps a hub's link when the process that made it dies, and lets any client of the same user write to it. Knows
BlueZ's objects and one LWP3 message. Knows nothing of bleak, asyncio or who else uses the hub. Imports little, because
`edge-agent hub brake` must be done within a second, start of the interpreter included: run it as
`python -m edge_agent.hub.emergency` where every millisecond counts.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from jeepney import DBusAddress, HeaderFields, Message, MessageType, new_method_call  # type: ignore[import-untyped]
from jeepney.auth import AuthenticationError  # type: ignore[import-untyped]
from jeepney.io.blocking import DBusConnection, open_dbus_connection  # type: ignore[import-untyped]

from edge_agent.errors import RetryableError

BUS_LIMIT_S = 0.3
"""Time limit of one call. Brake on two ports, then a disconnect: under a second even when each takes that long."""

RETRY_S = 3.0
RETRY_PAUSE_S = 0.05

PORTS = (0, 1)
"""Where a City Hub can have its motor. What is attached is told only by notifications, which a dead process took with
it. A light that gets the brake byte takes it as a brightness; an empty port ignores it."""

SERVICE_UUID = "00001623-1212-efde-1623-785feabcd123"
CHARACTERISTIC_UUID = "00001624-1212-efde-1623-785feabcd123"
"""As in lwp3.codes, which is not imported: its package takes longer to load than everything here. A test compares."""

_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
_BLUEZ = "org.bluez"
_DEVICE = "org.bluez.Device1"
_CHARACTERISTIC = "org.bluez.GattCharacteristic1"


def brake_bytes(port: int) -> bytes:
    """Write the brake (power 127) to a port: execute at once, with feedback. LWP3 message 0x81, mode 0."""
    return bytes((8, 0, 0x81, port, 0x11, 0x51, 0x00, 127))


@dataclass(frozen=True, slots=True)
class BrakeTarget:
    """A connected hub as BlueZ has it. `characteristic` is None while its services are not resolved."""

    address: str
    name: str
    device: str
    characteristic: str | None


@dataclass(frozen=True, slots=True)
class BrakeOutcome:
    """What became of one hub: `braked`, `disconnected` (the brake failed), or `failed` (neither worked)."""

    address: str
    name: str
    result: str


def _dbus_error(name: str, member: str) -> RetryableError:
    """Make the error for a D-Bus error name."""
    if name == _DENIED:
        return RetryableError(
            "This user may not talk to Bluetooth over D-Bus",
            remedy="run it as root or as a user in the group `bluetooth`",
            code="no_permission",
        )
    if name == "org.freedesktop.DBus.Error.ServiceUnknown":
        return RetryableError(
            "bluetoothd does not run, so it holds no link", remedy="start bluetooth.service", code="no_bluetoothd"
        )
    return RetryableError(f"BlueZ refused {member}", remedy="see `systemctl status bluetooth`", dbus_error=name)


class Bluez:
    """A blocking connection to BlueZ on the system bus (DBUS_SYSTEM_BUS_ADDRESS where that is set)."""

    def __init__(self, limit_s: float = BUS_LIMIT_S) -> None:
        """Connect; raises RetryableError when there is no bus, or none for us."""
        self._limit_s = limit_s
        try:
            self._bus: DBusConnection = open_dbus_connection("SYSTEM", auth_timeout=limit_s)
        except (PermissionError, AuthenticationError) as error:
            raise _dbus_error(_DENIED, "a connection") from error
        except (OSError, RuntimeError) as error:
            raise RetryableError(
                "There is no system D-Bus here",
                remedy="start dbus, or share its socket with the container",
                code="no_bus",
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self._bus.close()

    def connected(self, address: str | None = None) -> tuple[BrakeTarget, ...]:
        """List the connected hubs that speak LWP3, or the one with that address; raises RetryableError."""
        objects = self._call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
        return tuple(
            target for target in targets(objects) if address is None or target.address.casefold() == address.casefold()
        )

    def write(self, characteristic: str, data: bytes) -> None:
        """Write without waiting for the hub; raises RetryableError when BlueZ does not take it in time."""
        self._call(characteristic, _CHARACTERISTIC, "WriteValue", "aya{sv}", (data, {"type": ("s", "command")}))

    def disconnect(self, device: str) -> None:
        """Drop the link; raises RetryableError when BlueZ does not."""
        self._call(device, _DEVICE, "Disconnect")

    def _call(
        self, path: str, interface: str, member: str, signature: str = "", body: tuple[Any, ...] = ()
    ) -> tuple[Any, ...]:
        message = new_method_call(DBusAddress(path, _BLUEZ, interface), member, signature, body)
        try:
            reply: Message = self._bus.send_and_get_reply(message, timeout=self._limit_s)
        except (TimeoutError, OSError) as error:
            raise RetryableError(f"BlueZ did not answer {member}", remedy="restart bluetooth.service") from error
        if reply.header.message_type is MessageType.error:
            name = str(reply.header.fields.get(HeaderFields.error_name, ""))
            raise _dbus_error(name, member)
        return tuple(reply.body)


def targets(objects: dict[str, dict[str, dict[str, Any]]]) -> tuple[BrakeTarget, ...]:
    """Pick the connected LWP3 hubs from BlueZ's objects: {path: {interface: {property: (signature, value)}}}."""

    def value(properties: dict[str, Any], name: str, default: object) -> Any:
        return properties.get(name, ("", default))[1]

    characteristics = [
        path
        for path, interfaces in objects.items()
        if value(interfaces.get(_CHARACTERISTIC, {}), "UUID", "") == CHARACTERISTIC_UUID
    ]
    found = []
    for path, interfaces in objects.items():
        device = interfaces.get(_DEVICE)
        if device is None or not value(device, "Connected", False):
            continue
        own = next((one for one in characteristics if one.startswith(path + "/")), None)
        if own is None and SERVICE_UUID not in value(device, "UUIDs", ()):
            continue
        address = value(device, "Address", "")
        found.append(BrakeTarget(address, value(device, "Alias", address), path, own))
    return tuple(found)


def brake_or_drop(bluez: Bluez, target: BrakeTarget, ports: Iterable[int] = PORTS) -> BrakeOutcome:
    """Brake every port given; when a write fails, drop the link, on which LEGO's firmware stops by itself."""
    try:
        if target.characteristic is not None:
            for port in ports:
                bluez.write(target.characteristic, brake_bytes(port))
            return BrakeOutcome(target.address, target.name, "braked")
    except RetryableError:
        pass  # told by the result: the link goes
    try:
        bluez.disconnect(target.device)
    except RetryableError:
        return BrakeOutcome(target.address, target.name, "failed")
    return BrakeOutcome(target.address, target.name, "disconnected")


def brake_all(address: str | None = None) -> tuple[BrakeOutcome, ...]:
    """Brake (or else drop) every connected hub, or the one with `address`.

    Tries again for RETRY_S while BlueZ does not answer, as on a machine that has just run out of memory. Raises
    RetryableError when it never did, and at once when there is nobody to ask.
    """
    deadline_s = time.monotonic() + RETRY_S
    while True:
        late = time.monotonic() >= deadline_s
        try:
            outcomes = _brake_once(address)
        except RetryableError as error:
            if late or "code" in error.data:  # nobody to ask, or no right to
                raise
        else:
            if late or all(outcome.result != "failed" for outcome in outcomes):
                return outcomes
        time.sleep(RETRY_PAUSE_S)


def _brake_once(address: str | None) -> tuple[BrakeOutcome, ...]:
    bluez = Bluez()
    try:
        return tuple(brake_or_drop(bluez, target) for target in bluez.connected(address))
    finally:
        bluez.close()


class ThreadBrake:
    """Brakes one known hub from any thread, over a D-Bus connection of its own that opens with the first use."""

    def __init__(self) -> None:
        self._target: BrakeTarget | None = None
        self._ports: tuple[int, ...] = PORTS
        self._bluez: Bluez | None = None
        self._lock = threading.Lock()

    def set_target(self, target: BrakeTarget | None, ports: tuple[int, ...] = PORTS) -> None:
        """Name the hub and its motor's port, or None when the link is gone. Never blocks."""
        self._target, self._ports = target, ports

    def brake(self) -> BrakeOutcome | None:
        """Brake, or drop the link; None when there is no link. Blocks a second at most; raises RetryableError."""
        target, ports = self._target, self._ports
        if target is None:
            return None
        with self._lock:
            used_before = self._bluez is not None
            outcome = self._try(target, ports)
            if outcome.result == "failed" and used_before:  # perhaps only our old connection is broken
                outcome = self._try(target, ports)
        if outcome.result == "failed":
            raise RetryableError("The hub could not be braked nor let go", remedy="switch it off by its button")
        return outcome

    def _try(self, target: BrakeTarget, ports: tuple[int, ...]) -> BrakeOutcome:
        if self._bluez is None:
            self._bluez = Bluez()
        outcome = brake_or_drop(self._bluez, target, ports)
        if outcome.result == "failed":
            self._close()
        return outcome

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._bluez is not None:
            self._bluez.close()
            self._bluez = None


def main(arguments: list[str] | None = None) -> int:
    """Brake from the command line: `[--address ADDRESS] [--json]`. Returns 0 when no hub is left moving, else 1."""
    import argparse  # noqa: PLC0415 - only the stand-alone start needs these two
    import sys  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="edge-agent hub brake", description="Brake every hub that BlueZ holds a link to, or drop the link."
    )
    parser.add_argument("--address", help="only the hub with this Bluetooth address")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        return report(brake_all(options.address), as_json=options.json, address=options.address)
    except RetryableError as error:
        sys.stderr.write(f"edge-agent: {error}\n")
        return error.exit_code


def report(outcomes: tuple[BrakeOutcome, ...], *, as_json: bool, address: str | None = None) -> int:
    """Print a line for each hub, or JSON; return the exit code. `address` is what was asked for."""
    if as_json:
        import json  # noqa: PLC0415 - as above

        print(json.dumps({"hubs": [asdict(outcome) for outcome in outcomes]}))
    elif not outcomes:
        print(f"no hub{f' with the address {address}' if address else ''} is connected: nothing to brake")
    else:
        for outcome in outcomes:
            print(f"{outcome.name} ({outcome.address}): {outcome.result}")
    return int(any(outcome.result == "failed" for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
