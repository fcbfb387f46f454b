"""Emulated BlueZ with one hub in range: adapter, discovery, link, notifications.

Without I/O: signals go out through the object tree, the clock is an argument. A method that BlueZ would refuse raises
BluezError.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from dbus_fast import Variant

from edge_agent.hub.emulator import objects
from edge_agent.hub.emulator.device import EmulatedHub
from edge_agent.hub.emulator.objects import ADAPTER, ADAPTER_PATH, CHARACTERISTIC, DEVICE, ObjectTree
from edge_agent.hub.emulator.protocol import handle_write
from edge_agent.hub.lwp3 import SERVICE_UUID, HubActionType, Message, encode

IN_PROGRESS = "org.bluez.Error.InProgress"
FAILED = "org.bluez.Error.Failed"
NOT_PERMITTED = "org.bluez.Error.NotPermitted"

Uuids = frozenset[str] | None


class LinkHolder(StrEnum):
    """Who else uses the hub's only link: nobody, another machine, or another program on this machine's BlueZ."""

    NOBODY = "nobody"
    ELSEWHERE = "elsewhere"
    HERE = "here"


class BluezError(Exception):
    """An error reply of BlueZ: D-Bus error name and text."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error
        self.text = text


@dataclass(frozen=True, slots=True)
class ReceivedWrite:
    """Bytes that reached the hub, and when (monotonic seconds)."""

    raw: bytes
    at_s: float


class BluezStack:
    """BlueZ with adapter hci0 and one hub.

    `writes` are the newest writes that reached the hub, oldest first; `links` counts connections; `silent` suppresses
    notifications; `holder` is who else uses the hub; `in_range` is False while the hub is away or switched off.
    `on_link_lost` is called after each loss.
    """

    def __init__(self, hub: EmulatedHub, clock: Callable[[], float]) -> None:
        self.hub = hub
        self.tree = ObjectTree()
        self.writes: deque[ReceivedWrite] = deque(maxlen=20_000)
        self.links = 0
        self.connected = False
        self.in_range = True
        self.silent = False
        self.holder = LinkHolder.NOBODY
        self.on_link_lost: Callable[[], None] = lambda: None
        self.device_path = objects.device_path(hub.profile.address)
        self.service_path = objects.service_path(hub.profile.address)
        self.characteristic_path = objects.characteristic_path(hub.profile.address)
        self._clock = clock
        self._rssi_jitter_db = 0
        self._filters: dict[str, Uuids] = {}
        self._scanners: dict[str, Uuids] = {}
        self._subscribers: set[str] = set()

    @property
    def powered(self) -> bool:
        """Whether there is an adapter and it is powered."""
        return ADAPTER_PATH in self.tree and bool(self.tree.get(ADAPTER_PATH, ADAPTER, "Powered"))

    @property
    def subscribers(self) -> int:
        """How many clients are subscribed to notifications."""
        return len(self._subscribers)

    @property
    def scanners(self) -> int:
        """How many clients are scanning."""
        return len(self._scanners)

    def add_adapter(self) -> None:
        """Plug the adapter in; no device is known yet."""
        self.tree.add(ADAPTER_PATH, objects.adapter())

    def remove_adapter(self) -> None:
        """Remove the adapter and all objects below it, without a change of `Connected`."""
        self._scanners.clear()
        self._lose_link()
        self.tree.remove(ADAPTER_PATH)

    def power(self, *, on: bool) -> None:
        """Switch the adapter on or off."""
        if not on:
            self._scanners.clear()
            self.drop_link()
        self.tree.change(ADAPTER_PATH, ADAPTER, {"Powered": Variant("b", on), "Discovering": Variant("b", False)})

    def vanish(self) -> None:
        """Take the hub out of range and remove its objects, without a change of `Connected`."""
        self.in_range = False
        self.remove_device()

    def remove_device(self) -> None:
        """Remove the hub's objects; the next scan finds it again if it is in range."""
        self._lose_link()
        self.tree.remove(self.device_path)

    def crash(self) -> None:
        """Forget everything without a signal, as a killed process does; the hub loses its link."""
        self._scanners.clear()
        self._filters.clear()
        self._lose_link()
        self.tree.clear()

    def set_filter(self, client: str, uuids: Uuids) -> None:
        """Set the services that a client wants to find; None for any."""
        self._filters[client] = uuids

    def start_scan(self, client: str) -> None:
        """Start discovery for a client."""
        if not self.powered:
            raise BluezError("org.bluez.Error.NotReady", "Resource Not Ready")
        self._scanners[client] = self._filters.get(client)
        self._update_discovering()
        self.advertise()

    def stop_scan(self, client: str) -> None:
        """Stop discovery for a client."""
        if client not in self._scanners:
            raise BluezError(FAILED, "No discovery started")
        del self._scanners[client]
        self._update_discovering()

    def advertise(self) -> None:
        """Send an advertisement to the clients that scan; the first one adds the device's object."""
        wanted = any(uuids is None or SERVICE_UUID in uuids for uuids in self._scanners.values())
        free = self.in_range and not self.connected and self.holder is not LinkHolder.ELSEWHERE
        if not (self.powered and wanted and free):
            return
        # As on a real radio, the signal strength is never quite the same.
        self._rssi_jitter_db ^= 1
        self.tree.add(self.device_path, objects.device(self.hub))
        self.tree.change(self.device_path, DEVICE, objects.advertised(self.hub, self._rssi_jitter_db))

    def connect(self) -> None:
        """Connect and resolve the services; all signals are sent before this returns."""
        if self.connected:
            return
        if not self.powered:
            raise BluezError("org.bluez.Error.NotReady", "Resource Not Ready")
        if not self.in_range or self.holder is LinkHolder.ELSEWHERE:
            raise BluezError(FAILED, "Connection timed out")
        self.connected = True
        self.links += 1
        self.tree.add(self.device_path, objects.device(self.hub))
        self.tree.change(self.device_path, DEVICE, {"Connected": Variant("b", True)})
        self.tree.add(self.service_path, objects.service(self.hub))
        self.tree.add(self.characteristic_path, objects.characteristic(self.hub))
        self.tree.change(self.device_path, DEVICE, {"ServicesResolved": Variant("b", True)})

    def hold(self, holder: LinkHolder) -> None:
        """Let another program or machine use the hub, or nobody; one on this machine gets a link, and acquires it."""
        # connect() refuses a hub that another machine holds.
        self.holder = LinkHolder.NOBODY
        self.drop_link()
        if holder is LinkHolder.HERE:
            self.connect()
        self.holder = holder
        self._update_use()

    def drop_link(self) -> None:
        """Lose the link, with the signals of a normal disconnect."""
        if self.connected:
            self._lose_link()
            self._update_use()
            self.tree.change(self.device_path, DEVICE, {"ServicesResolved": Variant("b", False)})
            self.tree.change(self.device_path, DEVICE, {"Connected": Variant("b", False)})

    def start_notify(self, client: str) -> None:
        """Subscribe a client to notifications; for the first one the hub announces its ports."""
        self._require_link("Notify acquired")
        first = not self._subscribers
        self._subscribers.add(client)
        if first:
            self._update_use()
            self.notify(self.hub.start_session())

    def stop_notify(self, client: str) -> None:
        """End a client's subscription."""
        self._subscribers.discard(client)
        if not self._subscribers:
            self._update_use()

    def deliver(self, raw: bytes) -> None:
        """Deliver a write to the hub, and notify its answers."""
        self._require_link("Write acquired")
        now_s = self._clock()
        self.writes.append(ReceivedWrite(raw, now_s))
        self.notify(handle_write(self.hub, raw, now_s))

    def notify(self, messages: Iterable[Message]) -> None:
        """Notify messages to the subscribers; a hub that announces to leave then drops the link."""
        for message in messages:
            self.notify_raw(encode(message))
        leaving, self.hub.leaving = self.hub.leaving, None
        if leaving is not None:
            self.in_range = self.in_range and leaving is not HubActionType.WILL_SWITCH_OFF
            self.drop_link()

    def notify_raw(self, raw: bytes) -> None:
        """Notify bytes to the subscribers."""
        if self.connected and self._subscribers and not self.silent:
            self.tree.change(self.characteristic_path, CHARACTERISTIC, {"Value": Variant("ay", raw)})

    def remove_client(self, client: str) -> None:
        """End scan and subscription of a client that has left the bus; the link stays."""
        self._filters.pop(client, None)
        if self._scanners.pop(client, None) is not None:
            self._update_discovering()
        if client in self._subscribers:
            self.stop_notify(client)

    def _require_link(self, refusal: str) -> None:
        if self.holder is LinkHolder.HERE:
            raise BluezError(NOT_PERMITTED, refusal)
        if not self.connected:
            raise BluezError(FAILED, "Not connected")

    def _lose_link(self) -> None:
        had_link, self.connected = self.connected, False
        self._subscribers.clear()
        if had_link:
            self.hub.link_lost(self._clock())
        self.on_link_lost()

    def _update_discovering(self) -> None:
        self.tree.change(ADAPTER_PATH, ADAPTER, {"Discovering": Variant("b", bool(self._scanners))})

    def _update_use(self) -> None:
        """Update the properties that show whether a program uses the characteristic."""
        acquired = self.connected and self.holder is LinkHolder.HERE
        use = {"Notifying": bool(self._subscribers) or acquired, "NotifyAcquired": acquired, "WriteAcquired": acquired}
        changes = {name: Variant("b", value) for name, value in use.items()}
        self.tree.change(self.characteristic_path, CHARACTERISTIC, changes)
