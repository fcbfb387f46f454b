"""BlueZ from inside the machine, without the product: calls, and the ways to end a link."""

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jeepney import DBusAddress, MessageType, Properties, new_method_call  # type: ignore[import-untyped]
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]

from edge_agent.hub.emulator.sensors import HubProfile
from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID

from .service import NotHeldError, run, show, until

ADAPTER = "/org/bluez/hci0"
CALL_LIMIT_S = 15.0


def device_path() -> str:
    """Return the object of the hub."""
    return f"{ADAPTER}/dev_{HubProfile().address.replace(':', '_')}"


class Bus:
    """The system bus; one connection, one call at a time."""

    def __init__(self) -> None:
        self._bus = open_dbus_connection("SYSTEM")

    def call(
        self, path: str, interface: str, member: str, signature: str = "", body: tuple[Any, ...] = ()
    ) -> tuple[Any, ...]:
        """Call BlueZ; raises NotHeldError with the name of its error."""
        message = new_method_call(DBusAddress(path, "org.bluez", interface), member, signature, body)
        return self._answer(self._bus.send_and_get_reply(message, timeout=CALL_LIMIT_S))

    def put(self, path: str, interface: str, name: str, signature: str, value: object) -> None:
        """Set a property."""
        address = DBusAddress(path, "org.bluez", interface)
        message = Properties(address).set(name, signature, value)
        self._answer(self._bus.send_and_get_reply(message, timeout=CALL_LIMIT_S))

    def get(self, path: str, interface: str, name: str) -> Any:
        """Return a property; None if there is none."""
        try:
            return self.call(path, "org.freedesktop.DBus.Properties", "Get", "ss", (interface, name))[0][1]
        except NotHeldError:
            return None

    def objects(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """Return everything that BlueZ shows."""
        return dict(self.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0])

    @staticmethod
    def _answer(reply: Any) -> tuple[Any, ...]:
        if reply.header.message_type is MessageType.error:
            raise NotHeldError(f"BlueZ: {reply.header.fields}")
        return tuple(reply.body)


def power(bus: Bus, *, on: bool) -> None:
    """Switch the adapter on or off, and wait for it to be on."""
    bus.put(ADAPTER, "org.bluez.Adapter1", "Powered", "b", on)
    if on:
        until(lambda: bus.get(ADAPTER, "org.bluez.Adapter1", "Powered"), "the adapter is on")


def connect(bus: Bus) -> str:
    """Connect to the hub as a plain program does; return the path of its characteristic."""
    device = device_path()
    if device not in bus.objects():
        bus.call(ADAPTER, "org.bluez.Adapter1", "StartDiscovery")
        until(lambda: device in bus.objects(), "the hub is found")
        bus.call(ADAPTER, "org.bluez.Adapter1", "StopDiscovery")
    bus.call(device, "org.bluez.Device1", "Connect")
    until(lambda: bus.get(device, "org.bluez.Device1", "ServicesResolved"), "its services are known", every_s=0.02)
    kind = "org.bluez.GattCharacteristic1"
    return next(p for p, i in bus.objects().items() if i.get(kind, {}).get("UUID", ("", ""))[1] == CHARACTERISTIC_UUID)


def write(bus: Bus, characteristic: str, data: bytes) -> None:
    """Write without response."""
    body = (data, {"type": ("s", "command")})
    bus.call(characteristic, "org.bluez.GattCharacteristic1", "WriteValue", "aya{sv}", body)


def bluetoothd() -> int:
    """Return bluetoothd's process."""
    return int(show("MainPID", "bluetooth.service"))


# --- the ways to end a link ------------------------------------------------------------------------------------------


def disconnect(bus: Bus) -> None:
    """Device1.Disconnect."""
    bus.call(device_path(), "org.bluez.Device1", "Disconnect")


def remove(bus: Bus) -> None:
    """Adapter1.RemoveDevice."""
    bus.call(ADAPTER, "org.bluez.Adapter1", "RemoveDevice", "o", (device_path(),))


def power_off(bus: Bus) -> None:
    """Adapter1.Powered = false: every link of the adapter ends."""
    power(bus, on=False)


def shut_att_socket(_bus: Bus) -> None:
    """Shut bluetoothd's own L2CAP sockets down, from outside (root, pidfd_getfd)."""
    pid = bluetoothd()
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.pidfd_open(pid)
    for open_file in Path(f"/proc/{pid}/fd").iterdir():
        if not str(open_file.readlink()).startswith("socket:"):
            continue
        copied = libc.syscall(438, own, int(open_file.name), 0)  # pidfd_getfd
        if copied < 0:
            continue
        try:
            one = socket.socket(fileno=copied, proto=0)
        except OSError:  # no socket of a kind that Python knows
            os.close(copied)
            continue
        with one, suppress(OSError):
            if (one.family, one.type) == (socket.AF_BLUETOOTH, socket.SOCK_SEQPACKET):
                one.getpeername()  # raises for one that listens: without it bluetoothd would spin
                one.shutdown(socket.SHUT_RDWR)
    os.close(own)


def raw_disconnect(_bus: Bus) -> None:
    """HCI_Disconnect on a raw socket (root)."""
    handle = int(run("hcitool", "con").rpartition("handle ")[2].split()[0])
    with socket.socket(socket.AF_BLUETOOTH, socket.SOCK_RAW, socket.BTPROTO_HCI) as raw:
        raw.bind((0,))
        raw.send(struct.pack("<BHBHB", 1, 0x0406, 3, handle, 0x13))  # by the user


def management_disconnect(_bus: Bus) -> None:
    """Use the kernel's management interface, as `btmgmt` does (root)."""
    subprocess.run(
        ["btmgmt", "disconnect", "-t", "1", HubProfile().address],
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=CALL_LIMIT_S,
    )


WAYS: Mapping[str, Callable[[Bus], None]] = {
    "`Device1.Disconnect`": disconnect,
    "`Adapter1.RemoveDevice`": remove,
    "adapter `Powered=false`": power_off,
    "bluetoothd's ATT socket shut down (root)": shut_att_socket,
    "HCI_Disconnect on a raw socket (root)": raw_disconnect,
    "`btmgmt disconnect` (root)": management_disconnect,
}
