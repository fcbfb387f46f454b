"""A link to one hub: the interface that a session needs, and its implementation over bleak."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from bleak import BleakClient
from bleak.exc import BleakError
from bleak_retry_connector import establish_connection

from edge_agent.config.control import HubSettings
from edge_agent.errors import RetryableError
from edge_agent.hub.bluez_monitor import BluezMonitor
from edge_agent.hub.discovery import DiscoveredHub, find, read_objects
from edge_agent.hub.emergency import BrakeTarget
from edge_agent.hub.errors import LINK_ERRORS, explain, hub_error, wrong_hub
from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID
from edge_agent.runtime.timeouts import finish_within

CLOSE_LIMIT_S = 3.5
"""Time limit of a disconnect: bluetoothd takes 2.0 to 2.9 s for it, by a timer of its own."""

PAUSE_S = 3.0
"""What an attempt to connect may take beyond its limit: bluetoothd ends a link that failed, and a pause follows."""

RELEASE_LIMIT_S = 0.5
"""Time limit of releasing what bleak keeps of a link that has been dropped."""

GRACE_S = 0.15
"""How long a last brake may stay unconfirmed before the link is cut: three connection intervals of BlueZ's 50 ms."""

POLL_S = 0.01

NOTIFY_LIMIT_S = 5.0
"""Time limit of switching on notifications: one exchange with the hub."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """How to stop the motor before the link is dropped.

    `brakes` are written first, without waiting for an answer; `is_stopped` returns whether the hub has confirmed one,
    or nothing can move; `braked_s` is since when brakes are written, on the loop's clock, None if not yet.
    """

    brakes: tuple[bytes, ...]
    is_stopped: Callable[[], bool]
    braked_s: float | None = None


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

    async def close(self, farewell: Farewell | None = None) -> None:
        """Stop the motor, then disconnect, in bounded time; never raises."""
        ...


class _OneAttempt(BleakClient):
    """A client whose `connect` takes `limit_s` at most, and ends when BlueZ tells that the link is lost.

    The retry connector asks for 20 s each time. bleak asks a BlueZ that aborts a connection again at once, without a
    pause: thousands of times a second where it aborts at once.
    """

    def __init__(
        self, *args: Any, limit_s: float, watch: Callable[[Callable[[str], None]], None], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._limit_s, self._watch = limit_s, watch

    async def connect(self, **kwargs: Any) -> None:
        """Connect; raises TimeoutError, or BleakError with a text by which the connector counts it as an attempt."""
        lost = asyncio.Event()
        self._watch(lambda _reason: lost.set())
        connecting = asyncio.ensure_future(super().connect(**kwargs | {"timeout": self._limit_s}))
        losing = asyncio.ensure_future(lost.wait())
        try:
            await asyncio.wait({connecting, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise BleakError("the hub disconnected")
            connecting.result()
        finally:
            losing.cancel()
            if not connecting.done():
                connecting.cancel()
                await asyncio.wait({connecting})


class BleakConnection:
    """Implements HubConnection over BlueZ. Made by `connect`."""

    def __init__(self, hub: DiscoveredHub, monitor: BluezMonitor) -> None:
        self.target = BrakeTarget(hub.address, hub.name, _path(hub), None)
        self.lost = asyncio.Event()
        self.reason = ""
        self._monitor = monitor
        self._client: BleakClient | None = None
        self._gone = asyncio.Event()
        self._may_power_cycle = True

    async def open(self, hub: DiscoveredHub, settings: HubSettings) -> None:
        """Connect; raises RetryableError after releasing everything."""
        if hub.device is None:
            raise hub_error("no_hub")
        self._may_power_cycle = settings.may_power_cycle
        try:
            self._client = await finish_within(
                establish_connection(
                    _OneAttempt,
                    hub.device,
                    hub.name,
                    disconnected_callback=self._on_disconnected,
                    max_attempts=settings.connect_attempts,
                    use_services_cache=False,
                    limit_s=settings.connect_timeout_s,
                    watch=lambda on_lost: self._monitor.watch(self.target.device, on_lost),
                ),
                (settings.connect_timeout_s + PAUSE_S) * settings.connect_attempts,
                f"Connecting to {hub.name}",
            )
            # bleak does not report every loss; whichever of the two notices first drops the link.
            self._monitor.watch(self.target.device, self._on_gone)
            if not self._client.is_connected:
                self._on_gone("the hub disconnected")
            self.target = self._with_characteristic(self._client)
        except LINK_ERRORS as error:
            await self.close()
            raise explain(error) from error
        except BaseException:
            await self.close()
            raise

    async def send(self, data: bytes) -> None:
        """Write without response."""
        if self.target.characteristic is None or self.lost.is_set():
            raise EOFError("no link")
        # Not by bleak, which repeats a write for ever while BlueZ answers InProgress, also one that is out of date.
        await self._monitor.write(self.target.characteristic, data)

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

    async def close(self, farewell: Farewell | None = None) -> None:
        """Stop the motor and disconnect; also releases bleak's connection to the bus if the link is already lost."""
        self.drop("closed")
        client, self._client = self._client, None
        limit_s = CLOSE_LIMIT_S
        if client is not None and farewell is not None and not self._gone.is_set():
            await self._stop_and_disconnect(farewell)
            limit_s = RELEASE_LIMIT_S
        self._monitor.unwatch()
        if client is not None:
            with contextlib.suppress(RetryableError, *LINK_ERRORS):
                await finish_within(client.disconnect(), limit_s, "Disconnecting")

    async def _stop_and_disconnect(self, farewell: Farewell) -> None:
        """Brake and disconnect; where the brake stays unconfirmed, cut the link by the adapter.

        A bluetoothd that stands still does both once it goes on, in this sequence.
        """
        calls = [asyncio.ensure_future(self._try(self._write(data))) for data in farewell.brakes]
        calls.append(asyncio.ensure_future(self._try(self._monitor.disconnect(self.target.device))))
        now_s = asyncio.get_running_loop().time()
        deadline_s = now_s + CLOSE_LIMIT_S
        # A brake that was written long ago has had its time to be confirmed.
        cut_s = (now_s if farewell.braked_s is None else farewell.braked_s) + GRACE_S
        while not self._gone.is_set() and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(POLL_S)
            if farewell.is_stopped() or asyncio.get_running_loop().time() < cut_s:
                continue
            cut_s = deadline_s
            if self._may_power_cycle:
                await self._try(self._monitor.power_cycle(self.target.device))
        for call in calls:
            call.cancel()

    async def _write(self, data: bytes) -> None:
        if self.target.characteristic is not None:
            await self._monitor.write(self.target.characteristic, data)

    async def _try(self, call: Coroutine[Any, Any, object]) -> None:
        with contextlib.suppress(RetryableError, *LINK_ERRORS):
            await call

    def _on_disconnected(self, client: BleakClient) -> None:
        # bleak calls it for attempts that failed too.
        if client is self._client:
            self._on_gone("the hub disconnected")

    def _on_gone(self, reason: str) -> None:
        self._gone.set()
        self.drop(reason)

    def _with_characteristic(self, client: BleakClient) -> BrakeTarget:
        characteristic = client.services.get_characteristic(CHARACTERISTIC_UUID)
        if characteristic is None:
            raise wrong_hub(f"{self.target.name} does not speak LEGO's protocol")
        return BrakeTarget(self.target.address, self.target.name, self.target.device, str(characteristic.obj[0]))


async def connect(
    settings: HubSettings, monitor: BluezMonitor, search_s: float, known: str | None = None
) -> BleakConnection:
    """Find the hub that the settings ask for and connect to it; raises RetryableError. `known` as in `find`."""
    await monitor.open()
    await monitor.restore_power()
    hub = await find(await read_objects(monitor), settings, search_s, known)
    connection = BleakConnection(hub, monitor)
    await connection.open(hub, settings)
    return connection


def _path(hub: DiscoveredHub) -> str:
    return str(hub.device.details["path"]) if hub.device is not None else ""
