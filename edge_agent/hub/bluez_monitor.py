"""Monitors BlueZ over a D-Bus connection of its own and reports lost links that bleak does not notice.

When bluetoothd dies, or the device or the adapter is removed, bleak's callback never fires, and its client keeps
reporting that it is connected.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from bleak.exc import BleakDBusError
from dbus_fast import BusType, Message, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from edge_agent.hub.emergency import has_bluetooth
from edge_agent.hub.errors import LINK_ERRORS, NO_ADAPTER, code_of_dbus_error, explain, hub_error, unnamed
from edge_agent.runtime.timeouts import finish_within

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
BUS_LIMIT_S = 2.0
"""Time limit of one call to the bus or to BlueZ."""

DISCONNECT_LIMIT_S = 3.5
"""Time limit of a Disconnect, which BlueZ answers when the link is down."""

QUICK_LIMIT_S = 0.3
"""Time limit of a question on whose answer a running motor waits."""

_log = structlog.get_logger(__name__)

_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_DBUS = "org.freedesktop.DBus"

# As narrow as possible: every match wakes the event loop.
_RULES = (
    f"type='signal',sender='{_DBUS}',interface='{_DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
    f"type='signal',interface='{_OBJECTS}',member='InterfacesRemoved',arg0path='/org/bluez/'",
    f"type='signal',interface='{_PROPERTIES}',member='PropertiesChanged',path_namespace='/org/bluez',arg0='{DEVICE}'",
    f"type='signal',interface='{_PROPERTIES}',member='PropertiesChanged',path_namespace='/org/bluez',arg0='{ADAPTER}'",
)

Objects = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""BlueZ's objects: path to interface to property to plain value."""


@dataclass(frozen=True, slots=True)
class Signal:
    """The parts of a D-Bus signal that the monitor uses."""

    member: str
    path: str
    body: tuple[Any, ...]


def loss_reason(signal: Signal, device: str) -> str | None:
    """Return why the link to the device at that object path is lost; None if this signal does not say so."""
    if signal.member == "NameOwnerChanged":
        _name, _old, new = signal.body
        return None if new else "bluetoothd has gone"
    adapter = device.rpartition("/")[0]
    if signal.member == "InterfacesRemoved":
        path, interfaces = signal.body
        if path == device and DEVICE in interfaces:
            return "BlueZ has forgotten the hub"
        return "the Bluetooth adapter was removed" if path == adapter and ADAPTER in interfaces else None
    interface, changed, _ = signal.body
    if signal.path == device and interface == DEVICE and changed.get("Connected") is False:
        return "the hub disconnected"
    if signal.path == adapter and interface == ADAPTER and changed.get("Powered") is False:
        return "Bluetooth was switched off"
    return None


def uses_adapter(objects: Objects, adapter: str, besides: str) -> bool:
    """Return whether a device other than `besides` is connected by an adapter, or a program searches by it."""
    if objects.get(adapter, {}).get(ADAPTER, {}).get("Discovering"):
        return True
    return any(
        path.startswith(f"{adapter}/") and path != besides and interfaces.get(DEVICE, {}).get("Connected")
        for path, interfaces in objects.items()
    )


class BluezMonitor:
    """Watches one device at a time. `open` may be called again after the bus was lost."""

    def __init__(self) -> None:
        self._bus: MessageBus | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._device: str | None = None
        self._off: str | None = None
        self._on_lost: Callable[[str], None] = lambda _reason: None

    async def open(self) -> None:
        """Connect to the bus, if not connected; raises RetryableError."""
        if self._bus is not None and self._bus.connected:
            return
        await self.close()
        bus = MessageBus(bus_type=BusType.SYSTEM)
        try:
            await finish_within(self._connect(bus), BUS_LIMIT_S, "Connecting to D-Bus")
        except LINK_ERRORS as error:
            bus.disconnect()
            raise explain(error) from error
        except BaseException:
            bus.disconnect()
            raise
        self._bus = bus
        self._watcher = asyncio.create_task(self._wait_disconnected(bus), name="hub-bus-watch")

    async def close(self) -> None:
        """Disconnect from the bus; never raises."""
        self.unwatch()
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None
        if self._watcher is not None:
            await asyncio.wait({self._watcher}, timeout=BUS_LIMIT_S)
            self._watcher.cancel()
            self._watcher = None

    def watch(self, device: str, on_lost: Callable[[str], None]) -> None:
        """Call `on_lost` with a reason as text as soon as the link to that device is lost."""
        self._device, self._on_lost = device, on_lost

    def unwatch(self) -> None:
        """Watch no device."""
        self._device = None

    async def objects(self, limit_s: float | None = None) -> Objects:
        """Read BlueZ's objects, within BUS_LIMIT_S by default; raises RetryableError."""
        # Without this, D-Bus tries for 25 s to start a bluetoothd whose unit waits for Bluetooth.
        if not has_bluetooth() and not await self._is_running():
            raise hub_error(NO_ADAPTER)
        body = await self._call("/", _OBJECTS, "GetManagedObjects", limit_s=limit_s)
        objects: Objects = unpack_variants(body[0])
        return objects

    async def write(self, characteristic: str, data: bytes) -> None:
        """Write without response. May hang, and raises what is in LINK_ERRORS: use a time limit."""
        body = [data, {"type": Variant("s", "command")}]
        reply = await self._ask(characteristic, CHARACTERISTIC, "WriteValue", "aya{sv}", body)
        if reply.message_type is MessageType.ERROR:
            raise BleakDBusError(reply.error_name or "", reply.body)

    async def disconnect(self, device: str) -> None:
        """Make BlueZ drop its link to a device, which takes it 2.0 to 2.9 s; raises RetryableError."""
        await self._call(device, DEVICE, "Disconnect", limit_s=DISCONNECT_LIMIT_S)

    async def power_cycle(self, device: str) -> bool:
        """Switch the device's adapter off and on, which ends its links within 20 ms; return whether it was done.

        Nothing is done where anything else uses the adapter, or BlueZ does not answer. Raises RetryableError.
        """
        adapter = device.rpartition("/")[0]
        if uses_adapter(await self.objects(QUICK_LIMIT_S), adapter, besides=device):
            return False
        _log.warning("adapter_power_cycle", adapter=adapter)
        self._off = adapter
        try:
            await self._power(adapter, on=False)
        finally:
            await self.restore_power()
        return True

    async def restore_power(self) -> None:
        """Switch on the adapter that `power_cycle` has switched off; raises RetryableError."""
        if self._off is not None:
            await self._power(self._off, on=True)
            self._off = None

    async def _is_running(self) -> bool:
        bus = self._bus
        if bus is None or not bus.connected:
            return True  # the call itself says what is wrong
        ask = Message(_DBUS, "/org/freedesktop/DBus", _DBUS, "NameHasOwner", signature="s", body=[BLUEZ])
        try:
            reply = await finish_within(bus.call(ask), BUS_LIMIT_S, "D-Bus's NameHasOwner")
        except LINK_ERRORS as error:
            raise explain(error) from error
        return bool(reply.body[0])

    async def _power(self, adapter: str, *, on: bool) -> None:
        body = [ADAPTER, "Powered", Variant("b", on)]
        await self._call(adapter, _PROPERTIES, "Set", "ssv", body)

    async def _call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
        *,
        limit_s: float | None = None,
    ) -> list[Any]:
        limit_s = BUS_LIMIT_S if limit_s is None else limit_s
        try:
            reply = await finish_within(
                self._ask(path, interface, member, signature, body), limit_s, f"BlueZ's {member}"
            )
        except LINK_ERRORS as error:
            raise explain(error) from error
        if reply.message_type is MessageType.ERROR:
            code = code_of_dbus_error(reply.error_name)
            raise unnamed(reply.error_name) if code is None else hub_error(code)
        return reply.body

    async def _ask(
        self, path: str, interface: str, member: str, signature: str = "", body: list[Any] | None = None
    ) -> Message:
        """Call BlueZ; return its reply, which may be an error."""
        bus = self._bus
        if bus is None or not bus.connected:
            raise EOFError("no connection to D-Bus")
        return await bus.call(Message(BLUEZ, path, interface, member, signature=signature, body=body or []))

    async def _connect(self, bus: MessageBus) -> None:
        await bus.connect()
        bus.add_message_handler(self._on_signal)
        for rule in _RULES:
            await bus.call(Message(_DBUS, "/org/freedesktop/DBus", _DBUS, "AddMatch", signature="s", body=[rule]))

    async def _wait_disconnected(self, bus: MessageBus) -> None:
        with contextlib.suppress(*LINK_ERRORS):
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast annotates no result here
        self._report_loss("the connection to D-Bus was lost")

    def _on_signal(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL or self._device is None or message.member is None:
            return
        signal = Signal(message.member, message.path or "", tuple(unpack_variants(message.body)))
        if signal.member in ("NameOwnerChanged", "InterfacesRemoved", "PropertiesChanged"):
            reason = loss_reason(signal, self._device)
            if reason is not None:
                self._report_loss(reason)

    def _report_loss(self, reason: str) -> None:
        # Several signals may follow one loss: report the first.
        if self._device is not None:
            self._device = None
            self._on_lost(reason)
