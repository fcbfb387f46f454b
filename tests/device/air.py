"""The hub on the air: a LEGO City Hub as a Bluetooth peripheral of bumble, on an adapter that BlueZ finds.

`python -m device.air` inside the machine, as root; it prints "ready". What the hub answers comes from the product's
emulator, what its motor moves from the simulator. orders.py lists what it can be told on its socket.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from bumble.core import UUID
from bumble.device import Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import OwnAddressType
from bumble.host import Host

from edge_agent.events import CommandKind
from edge_agent.hub import lwp3
from edge_agent.hub.emulator.device import EmulatedHub, MotorSetting
from edge_agent.hub.emulator.protocol import handle_write
from edge_agent.hub.emulator.sensors import MOTOR_PORT
from edge_agent.hub.lwp3 import Advertisement
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.world import World

from .orders import SOCKET, Order, OrderError, parse
from .radio import Adapter, Air, Radio, VirtualPort

ADAPTER_ADDRESS = "AA:BB:CC:00:00:01"
ADVERTISING_MS = 60.0
READVERTISE_S = 0.3
STEP_S = 0.1


class HubOnAir:
    """The hub, its radio, and the adapter on the other side."""

    def __init__(self) -> None:
        self.air = Air()
        self.hub = EmulatedHub(on_motor=self._on_motor)
        self.radio = Radio("hub", link=self.air, public_address=self.hub.profile.address)
        self.world = World(default_layout(1))
        self.writes: deque[tuple[float, str]] = deque(maxlen=5000)
        self.history: deque[tuple[float, str, int]] = deque(maxlen=5000)
        self.total = 0
        self._silent_since_s = 0.0
        self._port: VirtualPort | None = None
        self._connections: dict[int, Any] = {}
        self._stalled = self._dumb = self._switched_off = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Switch the hub on, and plug the adapter in."""
        properties = Characteristic.Properties
        self._characteristic = Characteristic(
            UUID(lwp3.CHARACTERISTIC_UUID),
            properties.READ | properties.WRITE | properties.WRITE_WITHOUT_RESPONSE | properties.NOTIFY,
            Characteristic.READABLE | Characteristic.WRITEABLE,
            CharacteristicValue(read=lambda _connection: b"", write=self._written),
        )
        self._characteristic.on("subscription", self._subscribed)
        self._device = Device(host=Host(self.radio, _LaterSink(self.radio)), name="LEGO Hub")
        self._device.add_service(Service(UUID(lwp3.SERVICE_UUID), [self._characteristic]))
        self._device.on("connection", self._connected)
        await self._device.power_on()
        self._later(self.air.carry())
        self._later(self._live())
        self._plug()

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            print("failed:", repr(task.exception()), flush=True)

    # --- the motor and the simulated train -----------------------------------------------------------------------

    def _on_motor(self, setting: MotorSetting, now_s: float) -> None:
        self.history.append((now_s, setting.kind.value, setting.power_percent))
        self.world.advance(now_s)
        if setting.kind is CommandKind.DRIVE:
            self.world.set_power(setting.power_percent)
        elif setting.kind is CommandKind.BRAKE:
            self.world.brake()
        else:
            self.world.coast()

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            now_s = time.monotonic()
            self.world.advance(now_s)
            if self.world.derailed:  # the next train: this bench is about the radio
                self.world = World(self.world.layout)
            self._notify(self.hub.advance(now_s))
            if now_s > self._silent_since_s + READVERTISE_S:
                await self._advertise()

    # --- GATT ----------------------------------------------------------------------------------------------------

    def _connected(self, connection: Any) -> None:
        self._connections[connection.handle] = connection
        self.history.append((time.monotonic(), "linked", 0))
        connection.on("disconnection", lambda _reason: self._disconnected(connection))

    def _disconnected(self, connection: Any) -> None:
        now_s = time.monotonic()
        self._connections.pop(connection.handle, None)
        self.history.append((now_s, "unlinked", 0))
        self.hub.link_lost(now_s)
        self._silent_since_s = now_s

    def _subscribed(self, _connection: Any, notify: bool, _indicate: bool) -> None:
        if notify:
            self._notify(self.hub.start_session())

    def _written(self, _connection: Any, value: bytes) -> None:
        if self._stalled:
            return
        now_s = time.monotonic()
        self.total += 1
        self.writes.append((now_s, bytes(value).hex()))
        self._notify(handle_write(self.hub, bytes(value), now_s))

    def _notify(self, messages: Iterable[lwp3.Message]) -> None:
        """Notify later than the answer to a write, as a hub does."""
        if not (self._stalled or self._dumb):
            for message in messages:
                self._later(self._device.notify_subscribers(self._characteristic, lwp3.encode(message)))
        if self.hub.leaving is not None:
            self.hub.leaving = None
            self._later(self._hang_up())

    async def _hang_up(self) -> None:
        for connection in list(self._connections.values()):
            await connection.disconnect()

    async def _advertise(self) -> None:
        if self._switched_off or self.radio.le_connections or self.radio.le_legacy_advertiser.enabled:
            return
        self._silent_since_s = time.monotonic()
        service = bytes(UUID(lwp3.SERVICE_UUID).to_bytes())
        advertisement = Advertisement(self.hub.button_pressed, self.hub.profile.system_type).encode()
        data = _structure(0x01, b"\x06") + _structure(0x07, service)
        data += _structure(0xFF, lwp3.COMPANY_ID.to_bytes(2, "little") + advertisement)
        await self._device.start_advertising(
            own_address_type=OwnAddressType.PUBLIC,
            advertising_interval_min=ADVERTISING_MS,
            advertising_interval_max=ADVERTISING_MS,
            advertising_data=data,
            scan_response_data=_structure(0x09, self.hub.name.encode()),
        )

    # --- the adapter ---------------------------------------------------------------------------------------------

    def _plug(self) -> None:
        if self._port is None:
            self._port = VirtualPort(
                lambda port: Adapter("adapter", host_sink=port, link=self.air, public_address=ADAPTER_ADDRESS)
            )

    def _unplug(self) -> None:
        port, self._port = self._port, None
        if port is None:
            return
        port.close()
        self.air.remove_controller(port.controller)
        for connection in port.controller.le_connections.values():
            self.air.forget(connection)
        asyncio.get_running_loop().call_later(self.air.timeout_s, self.air.cut, self.radio)

    # --- orders --------------------------------------------------------------------------------------------------

    async def obey(self, order: Order) -> dict[str, Any]:
        """Carry out an order; return the answer, with the monotonic seconds at which it began."""
        at_s = time.monotonic()
        action = getattr(self, f"_order_{order.name.replace('-', '_')}")
        answer = await action(order)
        return {"at_s": at_s, **(answer or {})}

    async def _order_out(self, _order: Order) -> None:
        self.air.silent = True
        loop = asyncio.get_running_loop()
        loop.call_later(self.air.timeout_s, lambda: self.air.silent and self.air.cut(*self.air.controllers))

    async def _order_mute(self, _order: Order) -> None:
        self.air.silent = True

    async def _order_in(self, _order: Order) -> None:
        self.air.silent = False

    async def _order_stall(self, _order: Order) -> None:
        self._stalled = True

    async def _order_silence(self, _order: Order) -> None:
        self._dumb = True

    async def _order_flow(self, _order: Order) -> None:
        self._stalled = self._dumb = False

    async def _order_off(self, _order: Order) -> None:
        self._switched_off = True
        self._notify([lwp3.HubAction(lwp3.HubActionType.WILL_SWITCH_OFF)])
        await asyncio.sleep(2 * self.air.interval_s)
        await self._hang_up()
        await self._device.stop_advertising()

    async def _order_on(self, _order: Order) -> None:
        self._switched_off = False

    async def _order_kick(self, _order: Order) -> None:
        await self._hang_up()

    async def _order_unplug(self, _order: Order) -> None:
        self._unplug()

    async def _order_plug(self, _order: Order) -> None:
        self._plug()

    async def _order_press(self, _order: Order) -> None:
        self._notify(self.hub.press_button(pressed=True))
        await asyncio.sleep(0.2)
        self._notify(self.hub.press_button(pressed=False))

    async def _order_battery(self, order: Order) -> None:
        self._notify(self.hub.set_battery(order.number))

    async def _order_alert(self, order: Order) -> None:
        self._notify(self.hub.set_alert(lwp3.Alert[order.word.upper()], raised=True))

    async def _order_calm(self, order: Order) -> None:
        self._notify(self.hub.set_alert(lwp3.Alert[order.word.upper()], raised=False))

    async def _order_motor_off(self, _order: Order) -> None:
        self.hub.set_motor(MotorSetting(), time.monotonic())  # without its plug it stands
        self._notify(self.hub.unplug(MOTOR_PORT))

    async def _order_motor_on(self, _order: Order) -> None:
        self._notify(self.hub.plug(MOTOR_PORT, lwp3.DeviceType.TRAIN_MOTOR))

    async def _order_runs_on(self, order: Order) -> None:
        self.hub.runs_on = bool(order.number)

    async def _order_interval(self, order: Order) -> None:
        self.air.interval_s = order.number / 1000

    async def _order_loss(self, order: Order) -> None:
        self.air.lost_percent = order.number

    async def _order_writes(self, order: Order) -> dict[str, Any]:
        return {"writes": list(self.writes)[-int(order.number) :]}

    async def _order_history(self, order: Order) -> dict[str, Any]:
        return {"history": [entry for entry in self.history if entry[0] >= order.number]}

    async def _order_status(self, _order: Order) -> dict[str, Any]:
        return {
            "motor": self.hub.motor.kind.value,
            "power_percent": self.hub.motor.power_percent,
            "linked": len(self._connections),
            "writes": self.total,
            "queued": self.air.queued(),
            "interval_s": self.air.interval_s,
            "supervision_s": self.air.timeout_s,
            "speed_mm_s": round(self.world.speed_mm_s),
        }


class _LaterSink:
    """Hands the hub's program's packets to its radio in the next turn of the loop, as a cable would."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio

    def on_packet(self, packet: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._radio.on_packet, packet)


def _structure(kind: int, value: bytes) -> bytes:
    """Encode one structure of an advertisement: length, type, value."""
    return bytes((len(value) + 1, kind)) + value


async def main() -> None:
    """Serve orders for ever."""
    there = HubOnAir()
    await there.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode()
        try:
            answer = await there.obey(parse(line))
        except (OrderError, KeyError) as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, SOCKET)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
