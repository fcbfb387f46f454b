"""Emergency brake without an event loop: writes through BlueZ, from any thread or from a process of its own.

BlueZ keeps a hub's link when the process that made it dies, and lets any client of the same user write to it. Imports
little: `edge-agent hub brake` must finish within a second, start of the interpreter included. Run it as
`python -m edge_agent.hub.emergency` where every millisecond counts.
"""

import contextlib
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jeepney import DBusAddress, HeaderFields, Message, MessageType, new_method_call  # type: ignore[import-untyped]
from jeepney.auth import AuthenticationError  # type: ignore[import-untyped]
from jeepney.io.blocking import DBusConnection, open_dbus_connection  # type: ignore[import-untyped]

from edge_agent.errors import RetryableError

BUS_LIMIT_S = 0.3
"""Time limit of an answer: the brakes and the disconnect after them stay below a second, even if neither comes."""

DISCONNECT_S = 3.2
"""How long `brake_all` waits for a link to end: bluetoothd takes 2.0 to 2.9 s for it, by a timer of its own."""

RETRY_S = 3.0
"""How long `brake_all` tries again while BlueZ does not answer."""

_KERNEL_ADAPTERS = Path("/sys/class/bluetooth")


def has_bluetooth() -> bool:
    """Return whether the kernel knows Bluetooth at all; bluetoothd does not start without."""
    return _KERNEL_ADAPTERS.is_dir()


def kernel_adapters() -> list[str]:
    """Return the adapters that the kernel has, by name, whether or not bluetoothd can use them."""
    try:
        return sorted(entry.name for entry in _KERNEL_ADAPTERS.iterdir() if ":" not in entry.name)
    except OSError:
        return []


# Devices are announced in notifications only, and only the process that died received them: brake both ports. A light
# takes the brake byte as a brightness; an empty port ignores it.
PORTS = (0, 1)
"""Ports where a City Hub can have its motor."""

# The same as in lwp3.codes, whose package takes longer to load than everything here; a test compares them.
SERVICE_UUID = "00001623-1212-efde-1623-785feabcd123"
CHARACTERISTIC_UUID = "00001624-1212-efde-1623-785feabcd123"

_UNKNOWN = "org.freedesktop.DBus.Error.ServiceUnknown"
_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
_BLUEZ = "org.bluez"
_DEVICE = "org.bluez.Device1"
_CHARACTERISTIC = "org.bluez.GattCharacteristic1"


def brake_bytes(port: int) -> bytes:
    """Encode a brake (power 127) on a port: LWP3 message 0x81, executed immediately, with feedback, mode 0."""
    return bytes((8, 0, 0x81, port, 0x11, 0x51, 0x00, 127))


@dataclass(frozen=True, slots=True)
class BrakeTarget:
    """A connected hub: D-Bus object paths of device and characteristic (None while its services are not resolved)."""

    address: str
    name: str
    device: str
    characteristic: str | None


@dataclass(frozen=True, slots=True)
class BrakeOutcome:
    """Outcome for one hub.

    `result` is `braked`; where the brake was not accepted, `disconnected`, or `disconnecting` while BlueZ takes its
    time for it; or `failed`: BlueZ refuses, or answers nothing.
    """

    address: str
    name: str
    result: str


def _dbus_error(name: str, member: str) -> RetryableError:
    """Map a D-Bus error name to an error with a remedy."""
    if name == _DENIED:
        return RetryableError(
            "This user may not use Bluetooth over D-Bus",
            remedy="run it as root or as a user in the group `bluetooth`",
            code="no_permission",
        )
    if name == _UNKNOWN:
        return RetryableError(
            "bluetoothd is not running, so it holds no link", remedy="start bluetooth.service", code="no_bluetoothd"
        )
    if name.endswith(".UnitMasked"):
        return RetryableError(
            "bluetoothd may not start, as its unit is masked, so it holds no link",
            remedy="`systemctl unmask bluetooth`",
            code="masked",
        )
    return RetryableError(
        f"BlueZ refused {member} ({name})", remedy="see `systemctl status bluetooth`", dbus_error=name
    )


class Bluez:
    """A blocking connection to BlueZ on the system bus (DBUS_SYSTEM_BUS_ADDRESS where that is set)."""

    def __init__(self, limit_s: float = BUS_LIMIT_S) -> None:
        """Connect; raises RetryableError when there is no bus, or no permission to use it."""
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
        # A question would make D-Bus start bluetoothd, or wait for a unit that cannot start.
        if not self._is_running():
            if not has_bluetooth():
                raise RetryableError(
                    "There is no Bluetooth adapter, so nothing holds a link", remedy="plug one in", code="no_adapter"
                )
            raise _dbus_error(_UNKNOWN, "a question")
        objects = self._call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
        return tuple(
            target for target in targets(objects) if address is None or target.address.casefold() == address.casefold()
        )

    def brake(self, characteristic: str, ports: Iterable[int]) -> bool:
        """Write a brake for each port, without waiting in between; return whether BlueZ has accepted all in time."""
        options = {"type": ("s", "command")}
        calls = [
            self._send(characteristic, _CHARACTERISTIC, "WriteValue", "aya{sv}", (brake_bytes(port), options))
            for port in ports
        ]
        return self._answers(calls, self._limit_s) == [True] * len(calls)

    def prove(self, device: str) -> None:
        """Read a property of a device; raises RetryableError if BlueZ does not answer in time."""
        self._call(device, "org.freedesktop.DBus.Properties", "Get", "ss", (_DEVICE, "Connected"))

    def disconnect(self, device: str, limit_s: float) -> bool | None:
        """Drop the link; return whether BlueZ has done it, None where it has not answered in time."""
        return self._answers([self._send(device, _DEVICE, "Disconnect")], limit_s)[0]

    def answers(self, device: str) -> bool:
        """Return whether BlueZ answers a question about a device now."""
        try:
            self.prove(device)
        except RetryableError:
            return False
        return True

    def _is_running(self) -> bool:
        dbus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        ask = new_method_call(dbus, "NameHasOwner", "s", (_BLUEZ,))
        try:
            return bool(self._bus.send_and_get_reply(ask, timeout=self._limit_s).body[0])
        except (TimeoutError, OSError) as error:
            raise RetryableError("D-Bus does not answer", remedy="restart dbus.service") from error

    def _send(self, path: str, interface: str, member: str, signature: str = "", body: tuple[Any, ...] = ()) -> int:
        """Send a call; return its number. A broken connection shows in its answer."""
        message = new_method_call(DBusAddress(path, _BLUEZ, interface), member, signature, body)
        serial: int = next(self._bus.outgoing_serial)
        with contextlib.suppress(OSError):
            self._bus.send(message, serial=serial)
        return serial

    def _answers(self, calls: list[int], limit_s: float) -> list[bool | None]:
        """Return for each call whether it succeeded, None where no answer came within the limit."""
        answers: dict[int, bool] = {}
        deadline_s = time.monotonic() + limit_s
        with contextlib.suppress(TimeoutError, OSError):
            while not answers.keys() >= set(calls):
                reply: Message = self._bus.receive(timeout=max(0.0, deadline_s - time.monotonic()))
                serial = reply.header.fields.get(HeaderFields.reply_serial)
                if serial in calls:
                    answers[serial] = reply.header.message_type is not MessageType.error
        return [answers.get(serial) for serial in calls]

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


def brake_or_drop(
    bluez: Bluez, target: BrakeTarget, ports: Iterable[int] = PORTS, disconnect_s: float = BUS_LIMIT_S
) -> BrakeOutcome:
    """Brake each of `ports`; if that is not accepted, drop the link, and wait for that for `disconnect_s`.

    A bluetoothd that stands still does both, in this sequence, once it goes on.
    """
    if target.characteristic is not None and bluez.brake(target.characteristic, ports):
        return BrakeOutcome(target.address, target.name, "braked")
    # LEGO's firmware stops the motor when the link is lost.
    dropped = bluez.disconnect(target.device, disconnect_s)
    if dropped is None:
        # BlueZ answers a Disconnect when the link is down; one that answers anything else is at it.
        result = "disconnecting" if bluez.answers(target.device) else "failed"
    else:
        result = "disconnected" if dropped else "failed"
    return BrakeOutcome(target.address, target.name, result)


def brake_all(address: str | None = None) -> tuple[BrakeOutcome, ...]:
    """Brake (or disconnect) every connected hub, or the one with `address`.

    Retries for RETRY_S while BlueZ does not answer, as on a machine that has just run out of memory. Raises
    RetryableError if it never does, and at once if there is no bus, no bluetoothd or no permission.
    """
    deadline_s = time.monotonic() + RETRY_S
    while True:
        late = time.monotonic() >= deadline_s
        try:
            outcomes = _brake_once(address)
        except RetryableError as error:
            if late or "code" in error.data:  # errors with a code do not go away by themselves
                raise
        else:
            if late or all(outcome.result != "failed" for outcome in outcomes):
                return outcomes
        time.sleep(0.05)


def _brake_once(address: str | None) -> tuple[BrakeOutcome, ...]:
    bluez = Bluez()
    try:
        outcomes = [brake_or_drop(bluez, target, disconnect_s=DISCONNECT_S) for target in bluez.connected(address)]
        # A link that has not ended by now does not end.
        return tuple(replace(one, result="failed") if one.result == "disconnecting" else one for one in outcomes)
    finally:
        bluez.close()


class ThreadBrake:
    """Brakes one known hub from any thread, over a D-Bus connection of its own.

    `prove` opens it beforehand: a process that has no descriptor left could not open it when it has to brake.
    """

    def __init__(self) -> None:
        self._target: BrakeTarget | None = None
        self._ports: tuple[int, ...] = PORTS
        self._bluez: Bluez | None = None
        self._lock = threading.Lock()

    def set_target(self, target: BrakeTarget | None, ports: tuple[int, ...] = PORTS) -> None:
        """Set the hub and the ports to brake; None when the link is lost. Never blocks."""
        self._target, self._ports = target, ports

    def brake(self) -> BrakeOutcome | None:
        """Brake or drop the link; return None if there is none. Blocks for at most a second; raises RetryableError."""
        target, ports = self._target, self._ports
        if target is None:
            return None
        # Any thread may call: one at a time on the one D-Bus connection.
        with self._lock:
            used_before = self._bluez is not None
            outcome = self._try(target, ports)
            # Perhaps only our connection is broken, by a restart of the bus: try once with a new one.
            if outcome.result == "failed" and used_before:
                outcome = self._try(target, ports)
        if outcome.result == "failed":
            raise RetryableError(
                "The hub could neither be braked nor disconnected", remedy="switch it off with its button"
            )
        return outcome

    def prove(self) -> None:
        """Open the connection, or ask BlueZ for the hub over the open one; a broken one is replaced.

        Blocks for at most a second; raises RetryableError where a brake would reach nothing.
        """
        with self._lock:
            for last in (self._bluez is None, True):
                if self._target is None:
                    return
                try:
                    self._bluez = self._bluez or Bluez()
                    self._bluez.prove(self._target.device)
                except RetryableError:
                    self._close()
                    if last:
                        raise
                else:
                    return

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
    """Run `[--address ADDRESS] [--json]` as a command; return 0 if every hub was stopped, else 1."""
    import argparse  # noqa: PLC0415 - only the stand-alone start needs these two
    import sys  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="edge-agent hub brake", description="Brake every hub that BlueZ is connected to, or disconnect it."
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
    """Print a line for each hub, or JSON; return the exit code. `address` is the one that was asked for."""
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
