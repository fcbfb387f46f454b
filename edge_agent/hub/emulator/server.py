"""Serves the emulated BlueZ on a bus, as a process that can be killed and restarted, and advances its time."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from edge_agent.errors import FatalError, RetryableError
from edge_agent.hub.emulator.bluez import BluezStack
from edge_agent.hub.emulator.bus import PrivateBus
from edge_agent.hub.emulator.methods import BluezMethods
from edge_agent.hub.emulator.objects import BLUEZ

TICK_S = 0.02
"""Interval at which the hub advertises and its battery is updated."""

_CLIENT_LEFT = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''"


class BluezServer:
    """Passes method calls to the stack and its signals to the bus, which `enter` starts; `clock` is monotonic, in s."""

    def __init__(self, stack: BluezStack, bus: PrivateBus, clock: Callable[[], float]) -> None:
        self.stack = stack
        self.bus = bus
        self.methods = BluezMethods(stack, self._send, self._call_later)
        self._clock = clock
        self._connection: MessageBus | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def delayed(self) -> int:
        """How many calls are being delayed."""
        return len(self._timers)

    async def enter(self, stack: AsyncExitStack) -> None:
        """Start bus and BlueZ; `stack` stops them."""
        await stack.enter_async_context(self.bus)
        stack.push_async_callback(self.kill_bluetoothd)
        await self.start_bluetoothd()
        ticking = asyncio.create_task(self._tick(), name="hub-emulator-tick")
        stack.push_async_callback(_cancel, ticking)

    async def start_bluetoothd(self) -> None:
        """Start BlueZ, if it is not running; raises RetryableError if there is no bus."""
        if self._connection is not None:
            return
        connection = MessageBus(bus_address=self.bus.address)
        async with AsyncExitStack() as undo:
            undo.callback(self._close, connection)
            try:
                await connection.connect()
            except OSError as error:
                raise RetryableError("there is no bus to serve BlueZ on", remedy="start the bus first") from error
            await _call_bus(connection, "AddMatch", "s", [_CLIENT_LEFT])
            connection.add_message_handler(self._handle)
            self._connection = connection
            self.stack.tree.send = self._send
            self.stack.add_adapter()
            # The name comes last: clients act as soon as it appears.
            await connection.request_name(BLUEZ)
            undo.pop_all()

    async def kill_bluetoothd(self) -> None:
        """Kill BlueZ: its name leaves the bus, the hub loses its link."""
        connection, self._connection = self._connection, None
        self.stack.tree.send = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.stack.crash()
        if connection is not None:
            connection.disconnect()
            with contextlib.suppress(OSError, EOFError):
                await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast leaves it so

    async def kill_bus(self) -> None:
        """Kill the D-Bus daemon, and with it every connection to it."""
        await self.bus.stop()
        await self.kill_bluetoothd()

    async def start_bus(self) -> None:
        """Start the D-Bus daemon again, and BlueZ on it."""
        await self.bus.start()
        await self.start_bluetoothd()

    def _close(self, connection: MessageBus) -> None:
        self._connection = None
        connection.disconnect()

    async def _tick(self) -> None:
        while True:
            self.stack.advertise()
            self.stack.notify(self.stack.hub.advance(self._clock()))
            await asyncio.sleep(TICK_S)

    def _handle(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            self.stack.remove_client(message.body[0])
            return None
        return self.methods.handle(message)

    def _send(self, message: Message) -> None:
        if self._connection is not None and self._connection.connected:
            self._connection.send(message)

    def _call_later(self, delay_s: float, act: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers.add(timer)


async def _call_bus(connection: MessageBus, member: str, signature: str, body: list[str]) -> None:
    name, path = "org.freedesktop.DBus", "/org/freedesktop/DBus"
    call = Message(name, path, name, member, signature=signature, body=body)
    reply = await connection.call(call)
    if reply is None or reply.message_type is MessageType.ERROR:
        raise FatalError(f"the private bus refused {member}", remedy="update dbus-daemon")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
