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
from edge_agent.hub.emulator.device import EmulatedHub
from edge_agent.hub.emulator.methods import BluezMethods
from edge_agent.hub.emulator.objects import BLUEZ
from edge_agent.hub.emulator.radio import LinkTiming

TICK_S = 0.02
"""Interval at which the hub advertises and its battery is updated."""

_CLIENT_LEFT = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''"


class BluezServer:
    """Passes method calls to a stack and its signals to the bus, which `enter` starts; `clock` is monotonic, in s."""

    def __init__(self, hub: EmulatedHub, bus: PrivateBus, clock: Callable[[], float], timing: LinkTiming) -> None:
        # The radio outlives bluetoothd, the delayed replies do not.
        self._link_timers = _Timers()
        self._reply_timers = _Timers()
        self.stack = BluezStack(hub, clock, self._link_timers.call_later, timing)
        self.bus = bus
        self.methods = BluezMethods(self.stack, self._send, self._reply_timers.call_later)
        self._clock = clock
        self._connection: MessageBus | None = None
        # What waits while bluetoothd is stopped: calls to it, and what it has to send; None while it runs.
        self._held_calls: list[Message] | None = None
        self._held_sends: list[Message] = []

    @property
    def delayed(self) -> int:
        """How many calls are being delayed."""
        return len(self._reply_timers)

    async def enter(self, stack: AsyncExitStack) -> None:
        """Start bus and BlueZ; `stack` stops them."""
        await stack.enter_async_context(self.bus)
        stack.callback(self._link_timers.cancel)
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
        self._reply_timers.cancel()
        self._held_calls = None
        self._held_sends.clear()
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

    def freeze(self) -> None:
        """Stop bluetoothd as SIGSTOP does: the kernel goes on, calls wait."""
        if self._held_calls is None:
            self._held_calls = []

    def thaw(self) -> None:
        """Let bluetoothd go on: it does what it was asked meanwhile, in that sequence."""
        calls, self._held_calls = self._held_calls or [], None
        sends, self._held_sends = self._held_sends, []
        for message in sends:
            self._send(message)
        for call in calls:
            reply = self._handle(call)
            if isinstance(reply, Message):
                self._send(reply)

    def _handle(self, message: Message) -> Message | bool | None:
        if self._held_calls is not None:
            self._held_calls.append(message)
            return True
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            self.stack.remove_client(message.body[0])
            return None
        return self.methods.handle(message)

    def _send(self, message: Message) -> None:
        if self._held_calls is not None:
            self._held_sends.append(message)
        elif self._connection is not None and self._connection.connected:
            self._connection.send(message)


class _Timers:
    """Timers of the running loop that can be cancelled together."""

    def __init__(self) -> None:
        self._timers: set[asyncio.TimerHandle] = set()

    def __len__(self) -> int:
        return len(self._timers)

    def call_later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call after so many seconds."""

        def due() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers.add(timer)

    def cancel(self) -> None:
        """Cancel all."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


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
