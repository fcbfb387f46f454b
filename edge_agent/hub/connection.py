"""A link to one hub: the interface that a session needs, and its implementation over bleak."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from bleak import BleakClient
from bleak_retry_connector import establish_connection

from edge_agent.config.control import HubSettings
from edge_agent.errors import RetryableError
from edge_agent.hub.bluez_monitor import BluezMonitor
from edge_agent.hub.discovery import DiscoveredHub, find
from edge_agent.hub.emergency import BrakeTarget
from edge_agent.hub.errors import LINK_ERRORS, explain, hub_error, wrong_hub
from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID
from edge_agent.runtime.timeouts import finish_within

CLOSE_LIMIT_S = 3.0
"""Time limit of a disconnect; BlueZ takes up to about two seconds for a link that works."""

NOTIFY_LIMIT_S = 5.0
"""Time limit of switching on notifications: one exchange with the hub."""


class HubConnection(Protocol):
    """A link to a hub. `lost` is set once and stays set; `reason` then says why, as text."""

    target: BrakeTarget
    lost: asyncio.Event
    reason: str

    async def send(self, data: bytes) -> None:
        """Write without response. May hang or raise anything in LINK_ERRORS: use a time limit."""
        ...

    async def start_notify(self, on_notification: Callable[[bytes], None]) -> None:
        """Call `on_notification` in the loop with each notification; raises RetryableError."""
        ...

    def drop(self, reason: str) -> None:
        """Mark the link as lost; `close` releases what is left of it."""
        ...

    async def close(self) -> None:
        """Disconnect in bounded time; never raises."""
        ...


class BleakConnection:
    """Implements HubConnection over BlueZ. Made by `connect`."""

    def __init__(self, hub: DiscoveredHub, monitor: BluezMonitor) -> None:
        self.target = BrakeTarget(hub.address, hub.name, _path(hub), None)
        self.lost = asyncio.Event()
        self.reason = ""
        self._monitor = monitor
        self._client: BleakClient | None = None

    async def open(self, hub: DiscoveredHub, settings: HubSettings) -> None:
        """Connect; raises RetryableError after releasing everything."""
        if hub.device is None:
            raise hub_error("no_hub")
        # bleak does not report every loss; whichever of the two notices first drops the link.
        self._monitor.watch(self.target.device, self.drop)
        limit_s = settings.connect_timeout_s * settings.connect_attempts
        try:
            self._client = await finish_within(
                establish_connection(
                    BleakClient,
                    hub.device,
                    hub.name,
                    disconnected_callback=lambda _client: self.drop("the hub disconnected"),
                    max_attempts=settings.connect_attempts,
                    use_services_cache=False,
                ),
                limit_s,
                f"Connecting to {hub.name}",
            )
            self.target = self._with_characteristic(self._client)
        except LINK_ERRORS as error:
            await self.close()
            raise explain(error) from error
        except BaseException:
            await self.close()
            raise

    async def send(self, data: bytes) -> None:
        """Write without response."""
        if self._client is None or self.lost.is_set():
            raise EOFError("no link")
        await self._client.write_gatt_char(CHARACTERISTIC_UUID, data, response=False)

    async def start_notify(self, on_notification: Callable[[bytes], None]) -> None:
        """Switch on notifications."""
        if self._client is None:
            raise hub_error("link")
        try:
            await finish_within(
                self._client.start_notify(CHARACTERISTIC_UUID, lambda _sender, data: on_notification(bytes(data))),
                NOTIFY_LIMIT_S,
                "Switching on notifications",
            )
        except LINK_ERRORS as error:
            raise explain(error) from error

    def drop(self, reason: str) -> None:
        """Mark the link as lost."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def close(self) -> None:
        """Disconnect; also releases bleak's own connection to the bus if the link is already lost."""
        self.drop("closed")
        self._monitor.unwatch()
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(RetryableError, *LINK_ERRORS):
                await finish_within(client.disconnect(), CLOSE_LIMIT_S, "Disconnecting")

    def _with_characteristic(self, client: BleakClient) -> BrakeTarget:
        characteristic = client.services.get_characteristic(CHARACTERISTIC_UUID)
        if characteristic is None:
            raise wrong_hub(f"{self.target.name} does not speak LEGO's protocol")
        return BrakeTarget(self.target.address, self.target.name, self.target.device, str(characteristic.obj[0]))


async def connect(settings: HubSettings, monitor: BluezMonitor, search_s: float) -> BleakConnection:
    """Find the hub that the settings ask for and connect to it; raises RetryableError."""
    await monitor.open()
    hub = await find(await monitor.objects(), settings, search_s)
    connection = BleakConnection(hub, monitor)
    await connection.open(hub, settings)
    return connection


def _path(hub: DiscoveredHub) -> str:
    return str(hub.device.details["path"]) if hub.device is not None else ""
