"""bleak as the agent uses it, against an emulated hub: scan, connect, write, subscribe; and plain D-Bus calls."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakBluetoothNotAvailableError
from dbus_fast import Message as Call
from dbus_fast.aio import MessageBus

from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID, SERVICE_UUID, Decoder, HubModel, Malformed, Message, encode

LIMIT_S = 10.0
"""Timeout of any step, on a machine under full load."""


class Client:
    """A bleak client that is subscribed, with every notification it received."""

    def __init__(self, bleak: BleakClient, lost: asyncio.Event) -> None:
        self.bleak = bleak
        self.lost = lost
        self.decoder = Decoder()
        self.model = HubModel()
        self.received: list[Message | Malformed] = []
        self._news = asyncio.Event()

    def on_notification(self, _characteristic: object, raw: bytearray) -> None:
        message = self.decoder.feed(raw)
        self.received.append(message)
        self.model = self.model.with_notification(message)
        self._news.set()

    async def write(self, *messages: Message, response: bool = True) -> None:
        for message in messages:
            await self.bleak.write_gatt_char(CHARACTERISTIC_UUID, encode(message), response=response)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a notification makes a condition true."""
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another thread fulfils."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - another thread sets no event of this loop
            await asyncio.sleep(0.005)


async def find(timeout_s: float = LIMIT_S, **kwargs: object) -> BLEDevice | None:
    """Scan for a hub by its service."""
    return await BleakScanner.find_device_by_filter(
        lambda _device, advertised: SERVICE_UUID in advertised.service_uuids, timeout=timeout_s, **kwargs
    )


async def find_when_ready() -> BLEDevice | None:
    """Scan until the Bluetooth adapter is ready."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await find()
            except BleakBluetoothNotAvailableError:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def linked() -> AsyncIterator[Client]:
    """Find the hub, connect to it, subscribe."""
    device = await find()
    assert device is not None
    lost = asyncio.Event()
    async with BleakClient(device, disconnected_callback=lambda _client: lost.set(), timeout=LIMIT_S) as bleak:
        client = Client(bleak, lost)
        await bleak.start_notify(CHARACTERISTIC_UUID, client.on_notification)
        yield client


@asynccontextmanager
async def bus_client(address: str) -> AsyncIterator[Callable[..., Awaitable[Call]]]:
    """Connect to a bus and call BlueZ: `await call(path, interface, method, signature, *arguments)` is the reply."""
    bus = await MessageBus(bus_address=address).connect()

    async def call(path: str, interface: str, method: str, signature: str = "", *arguments: object) -> Call:
        message = Call("org.bluez", path, interface, method, signature=signature, body=list(arguments))
        async with asyncio.timeout(LIMIT_S):
            reply = await bus.call(message)
        assert reply is not None
        return reply

    try:
        yield call
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()
