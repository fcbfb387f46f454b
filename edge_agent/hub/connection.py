"""One link to one hub: what a session needs of it, and how bleak provides it.

Knows bleak's client and that its word is not to be trusted on whether the link is up: the bus watch says so too, and
whichever notices first. Knows nothing of messages or of what follows a loss.
"""

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
"""Letting go of a link that answers takes BlueZ up to some two seconds."""

LISTEN_LIMIT_S = 5.0
"""Switching on notifications is one exchange with the hub."""


class HubConnection(Protocol):
    """A link to a hub. `lost` is set once, for good; `reason` then says why in words."""

    target: BrakeTarget
    lost: asyncio.Event
    reason: str

    async def send(self, data: bytes) -> None:
        """Write without waiting for the hub. May hang, or raise anything in LINK_ERRORS: give it a time limit."""
        ...

    async def listen(self, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called in the loop with each notification; raises RetryableError."""
        ...

    def drop(self, reason: str) -> None:
        """Take the link for lost, at once; `close` lets go of what is left of it."""
        ...

    async def close(self) -> None:
        """Let go of the link in bounded time; never raises."""
        ...


class BleakConnection:
    """Implements Connection over BlueZ. Made by `connect`."""

    def __init__(self, sighting: DiscoveredHub, watch: BluezMonitor) -> None:
        self.target = BrakeTarget(sighting.address, sighting.name, _path(sighting), None)
        self.lost = asyncio.Event()
        self.reason = ""
        self._watch = watch
        self._client: BleakClient | None = None

    async def open(self, sighting: DiscoveredHub, settings: HubSettings) -> None:
        """Connect; raises RetryableError that says what to do, with nothing left behind."""
        if sighting.device is None:
            raise hub_error("no_hub")
        self._watch.follow(self.target.device, self.drop)
        limit_s = settings.connect_timeout_s * settings.connect_attempts
        try:
            self._client = await finish_within(
                establish_connection(
                    BleakClient,
                    sighting.device,
                    sighting.name,
                    disconnected_callback=lambda _client: self.drop("the hub disconnected"),
                    max_attempts=settings.connect_attempts,
                    use_services_cache=False,
                ),
                limit_s,
                f"Connecting to {sighting.name}",
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

    async def listen(self, heard: Callable[[bytes], None]) -> None:
        """Switch on notifications."""
        if self._client is None:
            raise hub_error("link")
        try:
            await finish_within(
                self._client.start_notify(CHARACTERISTIC_UUID, lambda _sender, data: heard(bytes(data))),
                LISTEN_LIMIT_S,
                "Listening to the hub",
            )
        except LINK_ERRORS as error:
            raise explain(error) from error

    def drop(self, reason: str) -> None:
        """Take the link for lost."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def close(self) -> None:
        """Disconnect, and release bleak's own connection to the bus even where the link is long gone."""
        self.drop("closed")
        self._watch.forget()
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(RetryableError, *LINK_ERRORS):
                await finish_within(client.disconnect(), CLOSE_LIMIT_S, "Disconnecting")

    def _with_characteristic(self, client: BleakClient) -> BrakeTarget:
        characteristic = client.services.get_characteristic(CHARACTERISTIC_UUID)
        if characteristic is None:
            raise wrong_hub(f"{self.target.name} does not speak LEGO's protocol")
        return BrakeTarget(self.target.address, self.target.name, self.target.device, str(characteristic.obj[0]))


async def connect(settings: HubSettings, watch: BluezMonitor, search_s: float) -> BleakConnection:
    """Find the hub that the settings ask for and connect to it; raises RetryableError that says what to do."""
    await watch.open()
    sighting = await find(await watch.objects(), settings, search_s)
    connection = BleakConnection(sighting, watch)
    await connection.open(sighting, settings)
    return connection


def _path(sighting: DiscoveredHub) -> str:
    return str(sighting.device.details["path"]) if sighting.device is not None else ""
