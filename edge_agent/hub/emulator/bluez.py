"""Emulated BlueZ with one hub in range: adapter, discovery, link, notifications.

Without I/O: signals go out through the object tree, clock and timers are arguments. A method that BlueZ would refuse
raises BluezError; one that takes time calls `finish` at its end, with the error if it failed.
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
from edge_agent.hub.emulator.radio import Later, LinkTiming, Radio
from edge_agent.hub.lwp3 import SERVICE_UUID, HubAction, HubActionType, Message, encode

IN_PROGRESS = "org.bluez.Error.InProgress"
FAILED = "org.bluez.Error.Failed"
NOT_CONNECTED = "org.bluez.Error.NotConnected"
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


Finish = Callable[["BluezError | None"], None]


def ignore_end(_error: "BluezError | None") -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class ReceivedWrite:
    """Bytes that reached the hub, and when (monotonic seconds)."""

    raw: bytes
    at_s: float


class BluezStack:
    """BlueZ with adapter hci0 and one hub.

    `writes` are the newest writes that reached the hub, oldest first; `links` counts connections; `silent` suppresses
    notifications; `holder` is who else uses the hub; `in_range` is False while the hub is away or switched off;
    `connected` is what BlueZ knows of the link, `linked` whether there is one: the kernel keeps that of a killed
    bluetoothd. `on_link_lost` is called after each loss.
    """

    def __init__(
        self, hub: EmulatedHub, clock: Callable[[], float], later: Later, timing: LinkTiming | None = None
    ) -> None:
        self.hub = hub
        self.tree = ObjectTree()
        self.writes: deque[ReceivedWrite] = deque(maxlen=20_000)
        self.links = 0
        self.connected = self.linked = False
        self.in_range = True
        self.silent = False
        self.holder = LinkHolder.NOBODY
        self.on_link_lost: Callable[[], None] = lambda: None
        self.radio = Radio(timing or LinkTiming(), clock, later, self._on_write, self._on_notification)
        self.device_path = objects.device_path(hub.profile.address)
        self.service_path = objects.service_path(hub.profile.address)
        self.characteristic_path = objects.characteristic_path(hub.profile.address)
        self._clock = clock
        self._later = later
        self._rssi_jitter_db = 0
        self._filters: dict[str, Uuids] = {}
        self._scanners: dict[str, Uuids] = {}
        self._subscribers: set[str] = set()
        self._connecting: list[Finish] = []
        self._subscribing: list[Finish] = []
        self._leaving: HubActionType | None = None

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
        """Pull the adapter: BlueZ tells that the link is lost, then that its objects go; the hub hears nothing."""
        self._scanners.clear()
        self._tell_link_lost(self._leave_hub)
        self.tree.change(ADAPTER_PATH, ADAPTER, {"Powered": Variant("b", False)})
        self.tree.remove(ADAPTER_PATH)

    def power(self, *, on: bool, finish: Finish = ignore_end) -> None:
        """Switch the adapter on or off."""

        def switch() -> None:
            if not on:
                self._scanners.clear()
                self.drop_link()
            self.tree.change(ADAPTER_PATH, ADAPTER, {"Powered": Variant("b", on), "Discovering": Variant("b", False)})
            finish(None)

        self._after(self.radio.timing.power_off_s, switch)

    def vanish(self) -> None:
        """Take the hub out of range and remove its objects."""
        self.in_range = False
        self._forget()

    def lose_radio(self) -> None:
        """Take the hub out of range: nothing passes any more, and the link ends at its supervision timeout."""
        self.in_range = False
        self.radio.out = True
        self._for_this_link(self.radio.timing.supervision_s, self._stop_hub)
        self._for_this_link(self.radio.timing.supervision_s + self.radio.timing.report_s, self.drop_link)

    def remove_device(self, finish: Finish = ignore_end) -> None:
        """Disconnect the hub and remove its objects; the next scan finds it again if it is in range."""

        def remove() -> None:
            self._forget()
            finish(None)

        self._after(self.radio.timing.remove_s if self.connected else 0.0, remove)

    def crash(self) -> None:
        """Forget everything without a signal, as a killed process does; the kernel keeps the link for a while."""
        self._scanners.clear()
        self._filters.clear()
        self._subscribers.clear()
        self._connecting.clear()
        self._subscribing.clear()
        had_link, self.connected = self.connected, False
        self.tree.clear()
        if had_link:
            self._for_this_link(self.radio.timing.orphan_s, self._lose_link)
        self.on_link_lost()

    def _leave_hub(self) -> None:
        """End BlueZ's side of the link; the hub notices by its supervision timeout."""
        self.connected = False
        self._subscribers.clear()
        self.radio.out = True
        self._for_this_link(self.radio.timing.supervision_s, self._lose_link)
        self.on_link_lost()

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
        free = self.in_range and not self.linked and self.holder is not LinkHolder.ELSEWHERE
        if not (self.powered and wanted and free):
            return
        # As on a real radio, the signal strength is never quite the same.
        self._rssi_jitter_db ^= 1
        self.tree.add(self.device_path, objects.device(self.hub))
        self.tree.change(self.device_path, DEVICE, objects.advertised(self.hub, self._rssi_jitter_db))

    def connect(self, finish: Finish = ignore_end) -> None:
        """Connect and resolve the services; all signals are sent before it finishes."""
        if self.connected and not self._connecting:
            finish(None)
            return
        if not self.powered:
            raise BluezError("org.bluez.Error.NotReady", "Resource Not Ready")
        if not self.in_range or self.holder is LinkHolder.ELSEWHERE or self.linked != self.connected:
            raise BluezError(FAILED, "Connection timed out")
        self._connecting.append(finish)
        if self.connected:
            return
        self.connected = self.linked = True
        self.links += 1
        self.radio.open()
        self.tree.add(self.device_path, objects.device(self.hub))
        self.tree.change(self.device_path, DEVICE, {"Connected": Variant("b", True)})
        self._for_this_link(self.radio.timing.connect_s, self._resolve)

    def _resolve(self) -> None:
        self.tree.add(self.service_path, objects.service(self.hub))
        self.tree.add(self.characteristic_path, objects.characteristic(self.hub))
        self.tree.change(self.device_path, DEVICE, {"ServicesResolved": Variant("b", True)})
        self._finish_connecting(None)

    def _finish_connecting(self, error: BluezError | None) -> None:
        waiting, self._connecting = self._connecting, []
        for finish in waiting:
            finish(error)

    def disconnect(self, finish: Finish = ignore_end) -> None:
        """Drop the link, after a timer of bluetoothd; what is written meanwhile still reaches the hub."""
        if not self.connected:
            raise BluezError(NOT_CONNECTED, "Not Connected")

        def end() -> None:
            self.drop_link()
            finish(None)

        link = self.links
        self._after(self.radio.timing.disconnect_s, lambda: end() if link == self.links else finish(None))

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
        self._tell_link_lost(self._lose_link)

    def _tell_link_lost(self, lose: Callable[[], None]) -> None:
        if self.connected:
            lose()
            self._update_use()
            self.tree.change(self.device_path, DEVICE, {"ServicesResolved": Variant("b", False)})
            self.tree.change(self.device_path, DEVICE, {"Connected": Variant("b", False)})

    def _forget(self) -> None:
        self.drop_link()
        self.tree.remove(self.device_path)

    def start_notify(self, client: str, finish: Finish = ignore_end) -> None:
        """Subscribe a client to notifications; the hub takes it behind earlier writes, and announces its ports."""
        self._require_link("Notify acquired")
        if self._subscribers:
            self._subscribers.add(client)
            finish(None)
            return

        def subscribe() -> None:
            self._subscribing.remove(finish)
            self._subscribers.add(client)
            self._update_use()
            self.notify(self.hub.start_session())
            finish(None)

        self._subscribing.append(finish)
        self.radio.request(subscribe)

    def stop_notify(self, client: str) -> None:
        """End a client's subscription."""
        self._subscribers.discard(client)
        if not self._subscribers:
            self._update_use()

    def write(self, raw: bytes) -> None:
        """Accept a write without response: the radio carries it to the hub, now or later."""
        self._require_link("Write acquired")
        self.radio.write(raw)

    def _on_write(self, raw: bytes, now_s: float) -> None:
        self.writes.append(ReceivedWrite(raw, now_s))
        self.notify(handle_write(self.hub, raw, now_s))

    def notify(self, messages: Iterable[Message]) -> None:
        """Notify messages to the subscribers; a hub that announces to leave then drops the link."""
        for message in messages:
            self.notify_raw(encode(message))
        if self.hub.leaving is None:
            return
        self._leaving, self.hub.leaving = self.hub.leaving, None
        if not self._is_heard:
            self._leave()

    def notify_raw(self, raw: bytes) -> None:
        """Notify bytes to the subscribers."""
        if self._is_heard:
            self.radio.notify(raw)

    @property
    def _is_heard(self) -> bool:
        return self.connected and bool(self._subscribers) and not self.silent

    def _on_notification(self, raw: bytes) -> None:
        if not self._subscribers:
            return
        self.tree.change(self.characteristic_path, CHARACTERISTIC, {"Value": Variant("ay", raw)})
        if self._leaving is not None and raw == encode(HubAction(self._leaving)):
            self._leave()

    def _leave(self) -> None:
        leaving, self._leaving = self._leaving, None
        self.in_range = self.in_range and leaving is not HubActionType.WILL_SWITCH_OFF
        self.drop_link()

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
        self.connected = False
        self._subscribers.clear()
        self._stop_hub()
        self.radio.close()
        self._finish_connecting(BluezError(FAILED, "le-connection-abort-by-local"))
        waiting, self._subscribing = self._subscribing, []
        for finish in waiting:
            finish(BluezError(FAILED, "Not connected"))
        self.on_link_lost()

    def _stop_hub(self) -> None:
        """Let the hub notice that its link has ended."""
        had_link, self.linked = self.linked, False
        if had_link:
            self.hub.link_lost(self._clock())

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call at once where there is nothing to wait for, else later."""
        if delay_s > 0:
            self._later(delay_s, act)
        else:
            act()

    def _for_this_link(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call later, unless another link has come until then."""
        link = self.links
        self._after(delay_s, lambda: act() if link == self.links else None)

    def _update_discovering(self) -> None:
        self.tree.change(ADAPTER_PATH, ADAPTER, {"Discovering": Variant("b", bool(self._scanners))})

    def _update_use(self) -> None:
        """Update the properties that show whether a program uses the characteristic."""
        acquired = self.connected and self.holder is LinkHolder.HERE
        use = {"Notifying": bool(self._subscribers) or acquired, "NotifyAcquired": acquired, "WriteAcquired": acquired}
        changes = {name: Variant("b", value) for name, value in use.items()}
        self.tree.change(self.characteristic_path, CHARACTERISTIC, changes)
