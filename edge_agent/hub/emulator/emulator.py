"""An emulated hub behind an emulated BlueZ on a private bus: bleak's own backend runs against it unchanged.

Knows which misbehaviour can be asked for, by name. Knows nothing of who asks. Run it in a loop of its own
(EmulatorThread, or `serve` in a process) where the loop under test is to be blocked.
"""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from edge_agent.errors import UsageError
from edge_agent.hub.emulator.bluez import FAILED, IN_PROGRESS, BluezStack, LinkHolder, ReceivedWrite
from edge_agent.hub.emulator.bus import PrivateBus
from edge_agent.hub.emulator.device import EmulatedHub
from edge_agent.hub.emulator.methods import METHOD_NAMES, Faults
from edge_agent.hub.emulator.sensors import MOTOR_PORT
from edge_agent.hub.emulator.server import BluezServer
from edge_agent.hub.lwp3 import Alert, DeviceType


class BluezEmulator:
    """Serves one hub for as long as it is entered. All methods belong to the loop that entered it.

    Args:
        hub: the hub to serve; a City hub with train motor and light by default.
        bus: the bus to serve it on, not entered yet; one in a temporary folder by default.
        clock: monotonic seconds; what `writes` and the motor's watchers are stamped with.
    """

    def __init__(
        self,
        hub: EmulatedHub | None = None,
        *,
        bus: PrivateBus | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hub = hub or EmulatedHub()
        self.bus = bus or PrivateBus()
        self.clock = clock
        self.stack = BluezStack(self.hub, clock)
        self.server = BluezServer(self.stack, self.bus, clock)
        self._exit = AsyncExitStack()

    @property
    def bus_address(self) -> str:
        """What DBUS_SYSTEM_BUS_ADDRESS must be for a client to end up here."""
        return self.bus.address

    @property
    def address(self) -> str:
        """The hub's Bluetooth address."""
        return self.hub.profile.address

    @property
    def writes(self) -> list[ReceivedWrite]:
        """The newest writes that reached the hub, oldest first."""
        return list(self.stack.writes)

    async def __aenter__(self) -> Self:
        """Start bus and BlueZ; raises FatalError when there is no dbus-daemon."""
        async with AsyncExitStack() as stack:
            await self.server.enter(stack)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all."""
        await self._exit.aclose()

    def drop_link(self) -> None:
        """Lose the radio link; BlueZ tells."""
        self.stack.drop_link()

    def vanish(self) -> None:
        """Take the hub away, its objects with it; BlueZ does not tell that it is disconnected."""
        self.stack.vanish()

    def appear(self) -> None:
        """Bring the hub back into range, switched on."""
        self.stack.in_range = True
        self.stack.advertise()

    def hold(self, holder: str = LinkHolder.ELSEWHERE) -> None:
        """Have another machine (`elsewhere`), another program of this one (`here`) or `nobody` hold the hub."""
        if holder not in tuple(LinkHolder):
            raise UsageError(f"nobody called {holder!r} holds hubs", remedy=f"choose one of {', '.join(LinkHolder)}")
        self.stack.hold(LinkHolder(holder))

    def remove_adapter(self) -> None:
        """Pull the Bluetooth adapter out; BlueZ does not tell that anything is disconnected."""
        self.stack.remove_adapter()

    def add_adapter(self) -> None:
        """Plug the Bluetooth adapter in again."""
        self.stack.add_adapter()

    def power_adapter(self, on: bool = False) -> None:
        """Switch Bluetooth off, or on again."""
        self.stack.power(on=on)

    async def kill_bluetoothd(self) -> None:
        """Kill BlueZ without a word: its name leaves the bus."""
        await self.server.kill_bluetoothd()

    async def start_bluetoothd(self) -> None:
        """Start BlueZ again; it knows no device until the next scan."""
        await self.server.start_bluetoothd()

    async def kill_bus(self) -> None:
        """Kill the D-Bus daemon, and with it every connection to it."""
        await self.server.kill_bus()

    async def start_bus(self) -> None:
        """Start the D-Bus daemon again, and BlueZ on it."""
        await self.server.start_bus()

    def hang(self, method: str = "WriteValue") -> None:
        """Have a D-Bus method never answer, its work undone; a lost link fails the calls that hang."""
        self._set_faults(self.server.methods.faults.hanging(method))

    def mute(self, method: str = "WriteValue") -> None:
        """Have a D-Bus method never answer, its work done."""
        self._set_faults(self.server.methods.faults.muting(method))

    def busy(self, method: str = "WriteValue") -> None:
        """Have a D-Bus method answer InProgress for ever."""
        self._set_faults(self.server.methods.faults.failing(method, IN_PROGRESS, "In Progress"))

    def fail(self, method: str = "Connect", error: str = FAILED, text: str = "Operation failed") -> None:
        """Have a D-Bus method answer an error for ever."""
        self._set_faults(self.server.methods.faults.failing(method, error, text))

    def slow(self, delay_s: float, method: str = "WriteValue") -> None:
        """Have a D-Bus method take its time."""
        self._set_faults(self.server.methods.faults.delaying(method, delay_s))

    def silence(self, on: bool = True) -> None:
        """Keep the hub from notifying: no feedback, no alert, no button."""
        self.stack.silent = on

    def behave(self) -> None:
        """End the misbehaviour of methods, and the silence; calls that hang go on hanging."""
        self._set_faults(Faults())
        self.stack.silent = False

    def press_button(self, pressed: bool = True) -> None:
        """Press the green button, or release it."""
        self.stack.notify(self.hub.press_button(pressed=pressed))

    def raise_alert(self, alert: str = "low_voltage", raised: bool = True) -> None:
        """Raise an alert, or clear it: low_voltage, high_current, low_signal or over_power."""
        named = {known.name.lower(): known for known in Alert}
        if alert not in named:
            raise UsageError(f"hubs have no alert {alert!r}", remedy=f"choose one of {', '.join(named)}")
        self.stack.notify(self.hub.set_alert(named[alert], raised=raised))

    def set_battery(self, percent: float) -> None:
        """Set the battery's charge; at 0 the hub says farewell and switches off."""
        self.stack.notify(self.hub.set_battery(percent))

    def drain(self, percent_per_s: float) -> None:
        """Drain the battery from now on."""
        self.hub.drain_percent_per_s = percent_per_s

    def feed(self, voltage_mv: int, current_ma: int | None = None, percent: float | None = None) -> None:
        """Have the sensors measure what a simulated world says."""
        self.stack.notify(self.hub.feed(voltage_mv, current_ma, percent))

    def plug(self, port: int = MOTOR_PORT, device_type: int = DeviceType.TRAIN_MOTOR) -> None:
        """Plug a device in."""
        self.stack.notify(self.hub.plug(port, device_type))

    def unplug(self, port: int = MOTOR_PORT) -> None:
        """Pull a plug."""
        self.stack.notify(self.hub.unplug(port))

    def run_on(self, on: bool = True) -> None:
        """Choose what the motor does when the link is lost: run on as with Pybricks firmware, or halt."""
        self.hub.runs_on = on

    def babble(self, raw: bytes) -> None:
        """Have the hub notify bytes that need not be a message."""
        self.stack.notify_raw(raw)

    def status(self) -> dict[str, Any]:
        """Tell how things stand, in words that fit JSON."""
        return {
            "connected": self.stack.connected,
            "links": self.stack.links,
            "listeners": self.stack.subscribers,
            "scanners": self.stack.scanners,
            "motor": self.hub.motor.kind.value,
            "power_percent": self.hub.motor.power_percent,
            "light_percent": self.hub.light_percent,
            "colour": self.hub.colour.name.lower(),
            "battery_percent": round(self.hub.battery.percent),
        }

    def _set_faults(self, faults: Faults) -> None:
        unknown = sorted(faults.methods - METHOD_NAMES)
        if unknown:
            raise UsageError(
                f"BlueZ has no method {unknown[0]!r}", remedy=f"choose one of {', '.join(sorted(METHOD_NAMES))}"
            )
        self.server.methods.faults = faults
