"""Discovery of hubs: those that BlueZ is already connected to, and those that advertise nearby.

A hub that a dead process left connected does not advertise; the agent takes over its link.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from edge_agent.config.control import HubSettings
from edge_agent.errors import RetryableError
from edge_agent.hub import lwp3
from edge_agent.hub.bluez_monitor import ADAPTER, CHARACTERISTIC, DEVICE, BluezMonitor, Objects
from edge_agent.hub.emergency import kernel_adapters
from edge_agent.hub.errors import (
    ADAPTER_DEAD,
    ADAPTER_OFF,
    LINK_ERRORS,
    NO_ADAPTER,
    NO_HUB,
    SEARCHING,
    explain,
    held,
    hub_error,
    is_in_progress,
    wrong_address,
    wrong_hub,
)
from edge_agent.runtime.timeouts import finish_within

PYBRICKS_UUID = "c5f50001-8280-46da-89f4-6d8051e4aeef"
"""Service that hubs with Pybricks firmware advertise instead of LEGO's (pybricks/technical-info, BLE profile)."""

SCAN_CALL_LIMIT_S = 5.0
"""Time limit of starting or stopping discovery, which involves the radio."""

ADAPTER_LIMIT_S = 3.0
"""How long a bluetoothd that knows no adapter is asked again while the kernel has one: it takes about a second."""

ADAPTER_POLL_S = 0.1

_IN_USE = ("Notifying", "NotifyAcquired", "WriteAcquired")
"""Properties by which BlueZ shows that a program uses a characteristic."""

_KINDS: Mapping[int, str] = {
    lwp3.SystemType.CITY: "City Hub",
    lwp3.SystemType.DUPLO_TRAIN: "Duplo train",
    lwp3.SystemType.MOVE: "Move Hub",
    lwp3.SystemType.HANDSET: "handset",
    lwp3.SystemType.MARIO: "Mario",
    lwp3.SystemType.TECHNIC: "Technic Hub",
}


@dataclass(frozen=True, slots=True)
class DiscoveredHub:
    """A hub that advertises or is connected to this machine. `held`: another program uses it.

    `gap_name` is the name that BlueZ knows it by, which after a connection may be another than the advertised one.
    """

    address: str
    name: str
    system_type: int | None = None
    rssi_dbm: int | None = None
    connected: bool = False
    held: bool = False
    pybricks: bool = False
    gap_name: str | None = None
    device: BLEDevice | None = field(default=None, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """What kind of hub it is, as text for people."""
        if self.pybricks:
            return "hub with Pybricks firmware"
        if self.system_type is None:
            return "hub of unknown kind"
        return _KINDS.get(self.system_type, f"hub of unknown kind 0x{self.system_type:02x}")

    @property
    def is_supported(self) -> bool:
        """Whether it can drive the train. The kind of a hub that is already connected may be unknown."""
        return not self.pybricks and self.system_type in (lwp3.SystemType.CITY, None)

    def matches(self, settings: HubSettings, known: str | None = None) -> bool:
        """Return whether it has the address and name that the settings ask for, if they do.

        `known` is the address of a hub that had that name: once it was connected, BlueZ may know it by another.
        """
        if settings.address is not None and self.address.casefold() != settings.address.casefold():
            return False
        return settings.name is None or self.address == known or settings.name in (self.name, self.gap_name)


def check_adapters(objects: Objects) -> None:
    """Raise HubError if there is no adapter, or none that is powered."""
    adapters = [interfaces[ADAPTER] for interfaces in objects.values() if ADAPTER in interfaces]
    if not adapters:
        raise hub_error(ADAPTER_DEAD if kernel_adapters() else NO_ADAPTER)
    if not any(adapter.get("Powered", False) for adapter in adapters):
        raise hub_error(ADAPTER_OFF)


def connected_hubs(objects: Objects) -> list[DiscoveredHub]:
    """List the hubs that BlueZ is connected to."""
    return [
        _from_properties(path, interfaces[DEVICE], held=_is_used(objects, path))
        for path, interfaces in objects.items()
        if interfaces.get(DEVICE, {}).get("Connected") and lwp3.SERVICE_UUID in interfaces[DEVICE].get("UUIDs", ())
    ]


def choose(hubs: Iterable[DiscoveredHub], settings: HubSettings, known: str | None = None) -> DiscoveredHub:
    """Choose a hub: connected ones first, then the strongest signal. Raises HubError if none can be used."""
    seen = list(hubs)
    if not seen:
        raise hub_error(NO_HUB)
    wanted = [hub for hub in seen if hub.matches(settings, known)]
    fitting = [hub for hub in wanted if hub.is_supported]
    free = [hub for hub in fitting if not hub.held]
    if free:
        return max(free, key=lambda one: (one.connected, one.rssi_dbm if one.rssi_dbm is not None else -127))
    if fitting:
        raise held(fitting[0].name)
    if wanted:
        raise wrong_hub(f"Found {wanted[0].name} ({wanted[0].address}), which is a {wanted[0].kind}")
    raise wrong_address(" ".join(filter(None, (settings.name, settings.address))), seen[0].name, seen[0].address)


async def read_objects(monitor: BluezMonitor) -> Objects:
    """Read BlueZ's objects; a bluetoothd that has just been started gets time to find its adapter."""
    deadline_s = asyncio.get_running_loop().time() + ADAPTER_LIMIT_S
    while True:
        objects = await monitor.objects()
        found = any(ADAPTER in interfaces for interfaces in objects.values())
        if found or not kernel_adapters() or asyncio.get_running_loop().time() >= deadline_s:
            return objects
        await asyncio.sleep(ADAPTER_POLL_S)


async def scan(limit_s: float, is_match: Callable[[DiscoveredHub], bool] = lambda _hub: False) -> list[DiscoveredHub]:
    """Scan for advertising hubs for `limit_s`, or until `is_match` accepts one; raises RetryableError."""
    seen: dict[str, DiscoveredHub] = {}
    matched = asyncio.Event()

    def detected(device: BLEDevice, advertisement: AdvertisementData) -> None:
        hub = _from_advertisement(device, advertisement)
        seen[hub.address] = hub
        if is_match(hub):
            matched.set()

    try:
        # Hubs with Pybricks firmware are included, so that the error can name them.
        scanner = BleakScanner(detected, service_uuids=[lwp3.SERVICE_UUID, PYBRICKS_UUID])
        await finish_within(scanner.start(), SCAN_CALL_LIMIT_S, "Starting the search for hubs")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await matched.wait()
        finally:
            with contextlib.suppress(RetryableError, *LINK_ERRORS):
                await finish_within(scanner.stop(), SCAN_CALL_LIMIT_S, "Ending the search for hubs")
    except LINK_ERRORS as error:
        if is_in_progress(error):
            raise hub_error(SEARCHING) from error
        raise explain(error) from error
    return list(seen.values())


async def find(objects: Objects, settings: HubSettings, limit_s: float, known: str | None = None) -> DiscoveredHub:
    """Find the hub to connect to; `known` as in `DiscoveredHub.matches`. Raises RetryableError.

    A hub that is already connected to this machine needs no search. One that another program uses is reported only if
    the search finds no other.
    """
    check_adapters(objects)
    # A hub that a dead process left connected does not advertise: no scan would find it.
    linked = [hub for hub in connected_hubs(objects) if hub.matches(settings, known) and hub.is_supported]
    if any(not hub.held for hub in linked):
        return choose(linked, settings, known)
    found = await scan(limit_s, lambda hub: hub.matches(settings, known) and hub.is_supported)
    return choose([*found, *linked], settings, known)


def _is_used(objects: Objects, device: str) -> bool:
    """Return whether a program is subscribed to the hub, or has acquired its reads or writes."""
    characteristics = (
        interfaces.get(CHARACTERISTIC, {}) for path, interfaces in objects.items() if path.startswith(device + "/")
    )
    return any(one.get("UUID") == lwp3.CHARACTERISTIC_UUID and any(map(one.get, _IN_USE)) for one in characteristics)


def _from_properties(path: str, properties: Mapping[str, Any], *, held: bool) -> DiscoveredHub:
    address = str(properties.get("Address", ""))
    name = str(properties.get("Alias", address))
    return DiscoveredHub(
        address=address,
        name=name,
        gap_name=properties.get("Name"),
        system_type=_system_type(properties.get("ManufacturerData", {})),
        rssi_dbm=properties.get("RSSI"),
        connected=True,
        held=held,
        device=BLEDevice(address, name, {"path": path, "props": dict(properties)}),
    )


def _from_advertisement(device: BLEDevice, advertisement: AdvertisementData) -> DiscoveredHub:
    return DiscoveredHub(
        address=device.address,
        name=advertisement.local_name or device.name or device.address,
        gap_name=device.name,
        system_type=_system_type(advertisement.manufacturer_data),
        rssi_dbm=advertisement.rssi,
        pybricks=PYBRICKS_UUID in advertisement.service_uuids,
        device=device,
    )


def _system_type(manufacturer_data: Mapping[int, bytes]) -> int | None:
    raw = manufacturer_data.get(lwp3.COMPANY_ID)
    if raw is None:
        return None
    read = lwp3.decode_advertisement(raw)
    return None if isinstance(read, lwp3.Malformed) else read.system_type
